"""How the tokens of a request are resolved to an outcome: a valid short session, else what the long one gives."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never

from ..database.rotation import Rotation
from ..database.verdicts import Accepted, Gone, ProofMissing
from ..model import signals
from ..model.clock import Clock
from ..model.outcome import Anonymous, Ended, Outcome, Refreshed, Unproven
from ..model.records import Context, Notice, ShortSession
from ..model.settings import Settings
from ..tokens.long import LongToken, LongTokenSigner
from ..tokens.short import ClaimsTooLarge, check_claims
from ..verification.ended import EndedSessionCache
from .ending import Ending
from .hooks import Hooks
from .minting import Minter
from .presented import PresentedTokens, authentic_tokens

log = logging.getLogger("flask_corbado_session")


class Refresh:
    """Resolves tokens on one app's settings, keys and database.

    Raises :class:`StoreUnavailable`, and :class:`UserLoaderFailed` where the app's ``user_loader`` raised. Both leave
    the browser a token that is good for the next request.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        minter: Minter,
        long_tokens: LongTokenSigner,
        rotation: Rotation,
        ended_cache: EndedSessionCache,
        ending: Ending,
        hooks: Hooks,
        sender: object,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._minter = minter
        self._long_tokens = long_tokens
        self._rotation = rotation
        self._ended_cache = ended_cache
        self._ending = ending
        self._hooks = hooks
        self._sender = sender
        self._reported = ""

    def refresh(self, presented: PresentedTokens) -> Outcome | Unproven:
        """The outcome of the long tokens alone, also while a short session is still valid. Statements: PROTOCOL.md."""
        outcome: Outcome | Unproven = Anonymous()
        if not presented.may_refresh:
            return outcome
        for token in authentic_tokens(self._long_tokens, presented.long):
            found = self.present(token, presented.context(self._settings))
            if isinstance(found, Refreshed):
                return found
            if not isinstance(outcome, Unproven):  # which goes on: an ended session beside it must not hide it
                outcome = found
        return outcome

    def advance(self, presented: PresentedTokens, session_id: str) -> Refreshed | Ended | None:
        """Refresh a session whose short session is still valid, by one statement; None if its token does not allow it.

        Nothing is decided against the session: its short session still serves.
        """
        context, at = presented.context(self._settings), self._clock.now()
        for token in authentic_tokens(self._long_tokens, presented.long):
            if token.session_id == session_id:
                accepted = self._rotation.advance(token, context, at)
                return None if accepted is None else self._accept(token, accepted, context, at)
        return None

    def present(self, token: LongToken, context: Context, *, proven: bool = False) -> Refreshed | Ended | Unproven:
        """The outcome of one authentic token. ``proven`` says that the browser has shown the key of its session."""
        reason = self._ended_cache.reason(token.session_id, token.secret_hash)
        if reason is not None:
            return Ended(token.session_id, reason)
        at = self._clock.now()
        verdict = self._rotation.present(token, context, at, proven=proven)
        match verdict:
            case Accepted():
                return self._accept(token, verdict, context, at)
            case Gone():
                return self._record_gone(token, verdict, context)
            case ProofMissing():
                return Unproven(token.session_id, verdict.user_id, context, verdict.previous, verdict.age)
            case _:  # pragma: no cover
                assert_never(verdict)

    def _accept(self, token: LongToken, accepted: Accepted, context: Context, at: datetime) -> Refreshed | Ended:
        user_id = accepted.user_id
        if not self._hooks.user_exists(user_id):
            self._ending.end_disabled(token.session_id, user_id)
            return Ended(token.session_id, "user_disabled")
        short, short_token = self.mint(token.session_id, accepted, at)
        signals.session_refreshed.send(
            self._sender,
            user_id=user_id,
            session_id=token.session_id,
            kind=accepted.kind,
            context=context,
            previous=accepted.previous,
        )
        return Refreshed(
            short=short,
            short_token=short_token,
            long_token=self._long_tokens.dump(token.child()) if accepted.gets_child else None,
            persistent=accepted.persistent,
            long_expires_at=accepted.expires_at,
            at=at,
            kind=accepted.kind,
        )

    def mint(self, session_id: str, accepted: Accepted, at: datetime) -> tuple[ShortSession, str]:
        """The new short session: with the claims of now, or those of the sign-in where the former can't be had."""

        def mint(claims: Mapping[str, Any]) -> tuple[ShortSession, str]:
            return self._minter.mint(
                accepted.user_id,
                session_id,
                at,
                long_expires_at=accepted.expires_at,
                auth_time=accepted.auth_time,
                amr=accepted.amr,
                bound=accepted.bound,
                not_before=accepted.short_not_before,
                claims=claims,
            )

        try:
            loaded = check_claims(self._hooks.claims(accepted.user_id))
        except Exception as error:  # the app's own; it must not sign anyone out, nor break pages that need no claim
            self._report_claims(session_id, error)
            return mint(accepted.claims)
        try:
            minted = mint({**accepted.claims, **loaded})
        except ClaimsTooLarge as error:
            self._report_claims(session_id, error)
            return mint(accepted.claims)
        self._reported = ""
        return minted

    def _report_claims(self, session_id: str, error: Exception) -> None:
        """Tell the developer, once for each thing that is wrong."""
        text = f"{type(error).__name__}: {error}"
        if text != self._reported:
            self._reported = text
            log.error(
                "the claims of session %s could not be loaded anew; it goes on with those of its sign-in",
                session_id,
                exc_info=error,
            )

    def _record_gone(self, token: LongToken, gone: Gone, context: Context) -> Ended:
        session_id = token.session_id
        self._ended_cache.remember([session_id], gone.reason, token.secret_hash)
        if gone.found_now:
            user_id = gone.user_id or ""
            self._ending.add_to_ended_set([session_id])
            signals.session_reuse_detected.send(
                self._sender, user_id=user_id, session_id=session_id, context=context, previous=gone.previous
            )
            self._hooks.notify(Notice("reuse", user_id, session_id, context, gone.previous), None)
        return Ended(session_id, gone.reason)
