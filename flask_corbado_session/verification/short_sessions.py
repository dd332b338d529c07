"""Authenticating a request by its short session, without a database."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from ..model.clock import Clock
from ..model.errors import InvalidShortSession
from ..model.outcome import Active, Anonymous
from ..model.records import ShortSession
from ..tokens.short import ShortTokenVerifier
from .ended import EndedSet

log = logging.getLogger("flask_corbado_session")


class ShortSessionAuthenticator:
    """Verifies a token and looks whether its session has ended since: all that a service without a database needs.

    Without ``ended`` a session that was revoked is accepted until its short session expires.
    """

    def __init__(self, verifier: ShortTokenVerifier, ended: EndedSet | None, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock
        self.ended = ended

    def verify(self, token: str, now: datetime | None = None) -> ShortSession:
        """The short session, or :class:`InvalidShortSession`."""
        now = now or self._clock.now()
        short = self._verifier.verify(token, now)
        ended, session_id = self.ended, short.session_id
        if ended is None or session_id is None:
            return short
        if ended.holds(session_id, now):
            raise InvalidShortSession("revoked", "its session has been ended")
        if ended.not_before and ended.is_stale(session_id, short.issued_at):
            raise InvalidShortSession("expired", "it was made before its user's claims changed; refresh it")
        return short

    def holds_still(self, short: ShortSession) -> bool | None:
        """Whether a short session that was verified before holds now: False once it was ended, None once it needs to
        be renewed."""
        now, ended, session_id = self._clock.now(), self.ended, short.session_id
        if ended is not None and session_id is not None:
            if ended.holds(session_id, now):
                return False
            if ended.is_stale(session_id, short.issued_at):
                return None
        return True if now < short.expires_at else None

    def first_valid(self, tokens: Iterable[str], now: datetime | None = None) -> ShortSession | None:
        """The short session of the first valid token."""
        for token in tokens:
            try:
                return self.verify(token, now)
            except InvalidShortSession as error:
                log.debug("a short session was not accepted: %s", error.code)
        return None

    def token_of(self, short: ShortSession, tokens: Iterable[str]) -> str | None:
        """Which of these tokens a short session was read from. It may have run out, or been ended, meanwhile."""
        for token in tokens:
            try:
                if self._verifier.verify(token, short.issued_at) == short:
                    return token
            except InvalidShortSession:
                continue
        return None

    def bearer(self, token: str) -> Active | Anonymous:
        """The outcome of a request that brought a bearer token (RFC 6750)."""
        try:
            return Active(self.verify(token))
        except InvalidShortSession as error:
            return Anonymous(error.code, str(error))
