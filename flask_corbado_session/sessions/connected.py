"""Who is at the other end of a connection that outlives its request: found and renewed without tokens.

Nothing can set a cookie there, so the row is read and never moved on: whoever presents the token later finds it as
good as before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..database.rotation import Rotation
from ..database.verdicts import Accepted, Gone, ProofMissing, Verdict
from ..model.clock import Clock
from ..model.outcome import Active, Anonymous, Ended
from ..model.records import ShortSession
from ..tokens.long import LongTokenSigner
from .ending import Ending
from .hooks import Hooks
from .presented import PresentedTokens, authentic_tokens

Mint = Callable[[str, Accepted, datetime], tuple[ShortSession, str]]
"""Makes the short session of a refresh: :meth:`Refresh.mint`."""


class ConnectedSessions:
    """The sessions of one app's sockets and streams. Raises what :class:`Refresh` does."""

    def __init__(
        self,
        clock: Clock,
        long_tokens: LongTokenSigner,
        rotation: Rotation,
        ending: Ending,
        hooks: Hooks,
        mint: Mint,
    ) -> None:
        self._clock = clock
        self._long_tokens = long_tokens
        self._rotation = rotation
        self._ending = ending
        self._hooks = hooks
        self._mint = mint

    def find(self, presented: PresentedTokens) -> Active | Anonymous | Ended:
        """The outcome of the long tokens of a handshake. A spent one is nobody's: it may be as old as the connection,
        so it is no reuse. One statement."""
        outcome: Active | Anonymous | Ended = Anonymous()
        for token in authentic_tokens(self._long_tokens, presented.long):
            verdict = self._rotation.look(token, self._clock.now())
            outcome = Anonymous() if verdict is None else self._resolve(token.session_id, verdict)
            if isinstance(outcome, Active):
                break
        return outcome

    def renew(self, short: ShortSession) -> Active | Anonymous | Ended:
        """The outcome once the short session has run out, with the claims of now. One statement."""
        if short.session_id is None:
            return Anonymous()
        return self._resolve(short.session_id, self._rotation.look_up(short.session_id, self._clock.now()))

    def _resolve(self, session_id: str, verdict: Verdict) -> Active | Ended:
        if isinstance(verdict, Gone):
            return Ended(session_id, verdict.reason)
        if isinstance(verdict, ProofMissing):
            return Ended(session_id, "unproven")
        user_id = verdict.user_id
        if not self._hooks.user_exists(user_id):
            self._ending.end_disabled(session_id, user_id)
            return Ended(session_id, "user_disabled")
        short, _ = self._mint(session_id, verdict, self._clock.now())
        return Active(short)
