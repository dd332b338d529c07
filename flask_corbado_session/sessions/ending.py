"""How this browser's own session ends: it signs out, or its user is gone; and how an end becomes known everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from ..database.sessions import SessionStore
from ..model import signals
from ..model.clock import Clock, to_ms
from ..model.records import EndReason
from ..tokens.long import LongTokenSigner
from ..verification.ended import EndedSessionCache
from ..verification.short_sessions import ShortSessionAuthenticator
from .presented import PresentedTokens, authentic_tokens


class Ending:
    """Ends sessions of one app, and records which have ended."""

    def __init__(
        self,
        clock: Clock,
        long_tokens: LongTokenSigner,
        short_sessions: ShortSessionAuthenticator,
        sessions: SessionStore,
        ended_cache: EndedSessionCache,
        sender: object,
    ) -> None:
        self._clock = clock
        self._long_tokens = long_tokens
        self._short_sessions = short_sessions
        self._sessions = sessions
        self._ended_cache = ended_cache
        self._sender = sender

    def sign_out(self, presented: PresentedTokens, session_id: str | None = None) -> None:
        """End every session this browser can name. One UPDATE, or none when it names none.

        ``session_id`` is the session of this very request, which may have started or been refreshed in it.
        """
        session_ids = self.presented_session_ids(presented, session_id)
        if session_ids:
            ended = self._sessions.end_sessions(session_ids, "signed_out", self._clock.now())
            self.record(ended, None, "signed_out")

    def end_disabled(self, session_id: str, user_id: str) -> None:
        """End the session of a user whom the app's ``user_loader`` no longer knows."""
        ended = self._sessions.end_session(session_id, "user_disabled", self._clock.now(), user_id=user_id)
        self.record(ended, user_id, "user_disabled")

    def presented_session_ids(self, presented: PresentedTokens, session_id: str | None = None) -> list[str]:
        """The sessions whose tokens came with the request, each signature checked, and that of the request itself."""
        session_ids = [session_id] if session_id else []
        session_ids += [token.session_id for token in authentic_tokens(self._long_tokens, presented.long)]
        short = self._short_sessions.first_valid(presented.short)
        if short is not None and short.session_id is not None:
            session_ids.append(short.session_id)
        return list(dict.fromkeys(session_ids))

    def record(self, session_ids: list[str], user_id: str | None, reason: EndReason) -> None:
        """Let this process know at once what it ended itself, and signal it."""
        self.add_to_ended_set(session_ids)
        self._ended_cache.remember(session_ids, reason)
        for session_id in session_ids:
            signals.session_ended.send(self._sender, user_id=user_id, session_id=session_id, reason=reason)

    def add_to_ended_set(self, session_ids: Iterable[str]) -> None:
        """No short session of these counts any more in this process."""
        if self._short_sessions.ended is not None:
            self._short_sessions.ended.add(session_ids)

    def invalidate_short(self, user_id: str, except_session_id: str | None = None) -> None:
        """Have every short session of this user refreshed before it counts again, but those of one long session."""
        at = self._clock.now()
        session_ids = self._sessions.invalidate_short(user_id, at, except_session_id=except_session_id)
        if self._short_sessions.ended is not None:
            self._short_sessions.ended.invalidate_before(session_ids, to_ms(at))

    def is_live(self, session_id: str) -> bool:
        """What the row itself says, valid short session or not."""
        return self._sessions.is_live(session_id, self._clock.now())
