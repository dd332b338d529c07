"""Short sessions are refreshed ahead of time (PROTOCOL.md, "Ahead of time"), so that an outage finds them young.

A request whose short session is in the last part of its life refreshes it, if the database answers at once. If it does
not, the short session still serves, since it is still valid.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from threading import Lock

from ..model.clock import Clock
from ..model.errors import StoreUnavailable
from ..model.outcome import Ended, Refreshed
from ..model.records import ShortSession
from ..model.settings import MIN_AGE, Settings
from .presented import PresentedTokens
from .refresh import Refresh

log = logging.getLogger("flask_corbado_session")

PAUSE = timedelta(seconds=5)
"""How long nobody tries after the database did not answer."""

_ONE_SECOND = timedelta(seconds=1)
_NOTHING = timedelta(0)


class RefreshAhead:
    """Refreshes ahead of time in one app and process: one request at a time, and none for a while after a failure."""

    def __init__(self, settings: Settings, clock: Clock, refresh: Refresh) -> None:
        self._clock = clock
        self._refresh = refresh
        self._lock = Lock()
        self._failed_at: datetime | None = None
        # a parent younger than MIN_AGE is not replaced by its child; tokens hold whole seconds
        self._age = (
            None
            if settings.refresh_ahead is None
            else max(settings.short_lifetime * settings.refresh_ahead, MIN_AGE + _ONE_SECOND)
        )

    def is_due(self, short: ShortSession, now: datetime) -> bool:
        """Whether this valid short session is old enough. A bound one is refreshed with a proof alone."""
        return not short.bound and self._age is not None and now - short.issued_at >= self._age

    def refresh(self, short: ShortSession, presented: PresentedTokens) -> Refreshed | Ended | None:
        """The outcome of refreshing now; None where the short session simply serves on.

        One statement at most. Nobody waits behind another request's, and nothing is decided against the session: a
        token that is not the next one is left to the refresh that comes when the short session has expired.
        """
        if short.session_id is None or not presented.may_refresh or self._pauses():
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._refresh.advance(presented, short.session_id)
        except StoreUnavailable as error:
            self._failed_at = self._clock.now()
            log.warning("short sessions are not refreshed ahead of time just now: %s", error)
            return None
        finally:
            self._lock.release()

    def _pauses(self) -> bool:
        return self._failed_at is not None and _NOTHING <= self._clock.now() - self._failed_at < PAUSE
