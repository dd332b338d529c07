"""The ids ended during the last short lifetime, as this process knows them: how a revoked session stops within a
second everywhere for one query a second and process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from ..model.clock import Clock, lifetime_ms, to_ms
from ..model.errors import StoreUnavailable
from ..model.records import Changes, GoneReason

log = logging.getLogger("flask_corbado_session")

LONGEST_WAIT = 0.25
"""Seconds a request waits for another one's query before the last set serves it."""

FEED_AGE = timedelta(milliseconds=200)
"""How old the set may be that services which only verify are told."""

_NOTHING = timedelta(0)
OVERLAP = 60_000
"""Milliseconds each query looks back beyond the last one, for clocks that differ and commits that came late."""


class EndedSet:
    """``fetch(since)`` gives what changed after a time in milliseconds; whoever finds the set too old asks for all."""

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
        self._lock = threading.Lock()

    def holds(self, session_id: str, now: datetime) -> bool:
        """Whether this session has been ended, as of at most one interval ago."""
        if not _NOTHING <= now - self._asked_at < self._interval:
            self.bring_up_to_date()
        return session_id in self._ended

    def is_stale(self, session_id: str, issued_at: datetime) -> bool:
        """Whether short sessions as old as this one were expired, as of the last question."""
        return bool(self._not_before) and to_ms(issued_at) <= self._not_before.get(session_id, -1)

    def invalidate_before(self, session_ids: Iterable[str], after: int) -> None:
        """The same, known at once in the process that did it."""
        self._not_before.update(dict.fromkeys(session_ids, after))

    def add(self, session_ids: Iterable[str]) -> None:
        """What this process ended itself it knows at once."""
        now = to_ms(self._clock.now())
        self._ended.update(dict.fromkeys(session_ids, now))

    @property
    def is_failing(self) -> bool:
        """Whether the last question went unanswered, so that an older set serves."""
        return self._failing

    def since(self, at: int, limit: int) -> tuple[list[str], dict[str, int], int]:
        """What is known to have changed after ``at`` (milliseconds): the ids that ended, those that were not_before and
        up to when, and the time that all this reaches up to. The first ``limit`` of them, and what shares the time of
        the last."""
        self.bring_up_to_date(FEED_AGE)
        ended, not_before = self._ended.copy(), self._not_before.copy()
        times = sorted(time for known in (ended, not_before) for time in known.values() if time > at)
        last = times[:limit][-1] if times else at
        return (
            [session_id for session_id, time in ended.items() if at < time <= last],
            {session_id: time for session_id, time in not_before.items() if at < time <= last},
            # not ``at`` where that is later: who once heard a time of a wrong clock would never hear of an end again
            last if len(times) > limit else self._known_until,
        )

    def bring_up_to_date(self, age: timedelta | None = None) -> None:
        """Ask, if the set is older than the interval; if somebody else is asking, wait for him, 250 ms at most."""
        age = self._interval if age is None else min(age, self._interval)
        if not self._is_older(age):
            return
        if self._lock.acquire(blocking=False):
            try:
                if self._is_older(age):
                    self._ask()
            finally:
                self._lock.release()
        elif self._lock.acquire(timeout=LONGEST_WAIT):
            self._lock.release()

    def _is_older(self, age: timedelta) -> bool:
        # also after a clock was set back
        return not _NOTHING <= self._clock.now() - self._asked_at < age

    def _ask(self) -> None:
        asked_at = self._clock.now()
        now = to_ms(asked_at)
        oldest = now - self._keep
        try:
            # a clock that was ahead and was set back has let go of ids too early: they are asked for again
            since = oldest if now < self._known_until else max(oldest, self._known_until - OVERLAP)
            changes = self._fetch(since)
        except StoreUnavailable as error:
            log.warning("the sessions ended meanwhile could not be asked for, the last known set serves: %s", error)
            self._asked_at = self._clock.now()
            self._failing = True
            return
        # changed in place, not replaced: what another request adds meanwhile must not be lost
        for known, found in ((self._ended, changes.ended), (self._not_before, changes.not_before)):
            known.update(found)
            for session_id in [session_id for session_id, at in known.copy().items() if at <= oldest]:
                known.pop(session_id, None)
        self._known_until = now
        self._failing = False
        self._asked_at = asked_at


CACHE_TTL = timedelta(seconds=60)


_LIMIT = 4096


class EndedSessionCache:
    """Bounded, and of this process: the rows know it anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[GoneReason, datetime]] = {}

    def reason(self, session_id: str) -> GoneReason | None:
        """Why it is dead, if it was seen so within the last minute."""
        known = self._seen.get(session_id)
        return known[0] if known is not None and self._clock.now() < known[1] else None

    def clear(self) -> None:
        """Forget them: the next request asks the rows again."""
        self._seen = {}

    def remember(self, session_ids: Iterable[str], reason: GoneReason) -> None:
        """Seen dead just now."""
        if len(self._seen) >= _LIMIT:
            self._seen = {}
        until = self._clock.now() + CACHE_TTL
        self._seen |= {session_id: (reason, until) for session_id in session_ids}
