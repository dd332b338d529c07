"""Which sessions have ended, as this process knows it.

The ended set is how a revoked session stops everywhere within a second, for one query a second and process.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from ..model.clock import Clock, lifetime_ms, to_ms
from ..model.errors import StoreUnavailable
from ..model.process import ProcessLock
from ..model.records import Changes, GoneReason

log = logging.getLogger("flask_corbado_session")

LONGEST_WAIT = 0.25
"""Seconds that a request waits for the query of another before it makes do with the last set."""

FEED_AGE = timedelta(milliseconds=200)
"""How old the set may be when the revocation feed is served from it."""

OVERLAP = 60_000
"""Milliseconds by which each query looks back beyond the last one, for clocks that differ and commits that come late.
"""

CACHE_TTL = timedelta(seconds=60)
"""How long an ended session is remembered."""

_CACHE_SIZE = 4096
_NOTHING = timedelta(0)


class EndedSet:
    """The ids of the sessions that ended during the last short lifetime.

    ``fetch(since)`` returns what changed after a time in milliseconds. The first caller after the interval refreshes
    the set for the whole process.
    """

    def __init__(
        self,
        fetch: Callable[[int], Changes],
        clock: Clock,
        interval: timedelta,
        short_lifetime: timedelta,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._interval = interval
        self._keep = lifetime_ms(short_lifetime) + OVERLAP
        self._ended: dict[str, int] = {}
        self._not_before: dict[str, int] = {}
        self._known_until = 0
        self._failing = False
        self._asked_at = clock.now() - 2 * interval
        self._lock = ProcessLock()

    def holds(self, session_id: str, now: datetime) -> bool:
        """Whether this session has been ended, as of at most one interval ago."""
        if not _NOTHING <= now - self._asked_at < self._interval:
            self.bring_up_to_date()
        return session_id in self._ended

    def is_stale(self, session_id: str, issued_at: datetime) -> bool:
        """Whether a short session made then no longer counts, because newer claims hold, as of the last refresh."""
        return bool(self._not_before) and to_ms(issued_at) <= self._not_before.get(session_id, -1)

    def invalidate_before(self, session_ids: Iterable[str], at: int) -> None:
        """Record that short sessions of these sessions made until ``at`` (milliseconds) no longer count."""
        self._not_before.update(dict.fromkeys(session_ids, at))

    def add(self, session_ids: Iterable[str]) -> None:
        """Record that these sessions have ended now: what this process ended it knows at once."""
        now = to_ms(self._clock.now())
        self._ended.update(dict.fromkeys(session_ids, now))

    @property
    def is_failing(self) -> bool:
        """Whether the last refresh failed, so that an older set serves."""
        return self._failing

    def since(self, at: int, limit: int) -> tuple[list[str], dict[str, int], int]:
        """What changed after ``at``: the ids that ended, the not-before times by id, and the time this reaches up to.

        All times are milliseconds. At most ``limit`` changes are returned, and any that share the time of the last.
        """
        self.bring_up_to_date(FEED_AGE)
        ended, not_before = self._ended.copy(), self._not_before.copy()
        times = sorted(time for known in (ended, not_before) for time in known.values() if time > at)
        last = times[:limit][-1] if times else at
        return (
            [session_id for session_id, time in ended.items() if at < time <= last],
            {session_id: time for session_id, time in not_before.items() if at < time <= last},
            # not ``at`` where that is later: a service that once got a time of a wrong clock would miss every end
            last if len(times) > limit else self._known_until,
        )

    def bring_up_to_date(self, age: timedelta | None = None) -> None:
        """Refresh the set if it is older than the interval; if another thread does, wait for it, 250 ms at most."""
        age = self._interval if age is None else min(age, self._interval)
        if not self._is_older(age):
            return
        if self._lock.acquire(blocking=False):
            try:
                if self._is_older(age):
                    self._refresh()
            finally:
                self._lock.release()
        elif self._lock.acquire(timeout=LONGEST_WAIT):
            self._lock.release()

    def _is_older(self, age: timedelta) -> bool:
        # after a clock was set back too
        return not _NOTHING <= self._clock.now() - self._asked_at < age

    def _refresh(self) -> None:
        asked_at = self._clock.now()
        now = to_ms(asked_at)
        oldest = now - self._keep
        try:
            # while a clock was ahead, ids were dropped too early: once it is set back they are fetched again
            since = oldest if now < self._known_until else max(oldest, self._known_until - OVERLAP)
            changes = self._fetch(since)
        except StoreUnavailable as error:
            log.warning("the sessions that ended could not be fetched, the last known set serves: %s", error)
            self._asked_at = self._clock.now()
            self._failing = True
            return
        # changed in place, not replaced: what another request adds meanwhile must not be lost
        for known, changed in ((self._ended, changes.ended), (self._not_before, changes.not_before)):
            known.update(changed)
            for session_id in [session_id for session_id, at in known.copy().items() if at <= oldest]:
                known.pop(session_id, None)
        self._known_until = now
        self._failing = False
        self._asked_at = asked_at


class EndedSessionCache:
    """Ended sessions that presented a token lately, so that an ended cookie does not cost a statement each request.

    Bounded, and of this process: the rows have it all.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reasons: dict[str, tuple[GoneReason, datetime]] = {}  # in the order in which they are forgotten
        self._lock = ProcessLock()

    def reason(self, session_id: str) -> GoneReason | None:
        """Why this session is gone, if that was recorded within the last minute."""
        reason, until = self._reasons.get(session_id, (None, None))
        return reason if until is not None and self._clock.now() < until else None

    def remember(self, session_ids: Iterable[str], reason: GoneReason) -> None:
        """Record that these sessions have ended. Of more than 4,096 the oldest are forgotten."""
        until = self._clock.now() + CACHE_TTL
        with self._lock:
            for session_id in deque(session_ids, maxlen=_CACHE_SIZE):
                self._reasons.pop(session_id, None)
                self._reasons[session_id] = reason, until
                if len(self._reasons) > _CACHE_SIZE:
                    del self._reasons[next(iter(self._reasons))]

    def clear(self) -> None:
        """Forget them all: the next request asks the rows again."""
        with self._lock:
            self._reasons.clear()
