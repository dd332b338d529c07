"""Which sessions have ended, as this process knows it.

The ended set is how a revoked session stops everywhere within a second, for one query a second and process.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import chain

from ..model.clock import Clock, lifetime_ms, to_ms
from ..model.errors import StoreUnavailable
from ..model.process import ProcessLock
from ..model.records import Changes, GoneReason
from .single_flight import SingleFlight

log = logging.getLogger("flask_corbado_session")

LONGEST_WAIT = 0.25
"""Seconds that a request waits for the set to be refreshed before it makes do with the last one."""

FEED_AGE = timedelta(milliseconds=200)
"""How old the set may be when the revocation feed is served from it."""

OVERLAP = 60_000
"""Milliseconds by which each query looks back beyond the last one, for clocks that differ and commits that come late.
"""

MANY = 2_000
"""Ends within :data:`OVERLAP` from which on not every query looks back that far: each would read them all again."""

SHORT_OVERLAP = 5_000
"""Milliseconds by which the other queries look back then: more than a statement that ends a session can take."""

LOOK_BACK_EVERY = 10_000
"""Milliseconds after which one looks back all the way even then."""

CACHE_TTL = timedelta(seconds=60)
"""How long an ended session is remembered."""

_CACHE_SIZE = 4096
_NOTHING = timedelta(0)


class EndedSet:
    """The ids of the sessions that ended during the last short lifetime.

    ``fetch(since)`` returns what changed after a time in milliseconds. The first caller after the interval has the set
    refreshed, in the background, for the whole process. Nobody waits for that longer than 250 ms, and while it hangs
    nobody waits at all: the last set serves.
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
        self.not_before: dict[str, int] = {}
        """By session: until when (milliseconds) its short sessions were made that no longer count. Usually empty."""
        self._known_until = 0
        self._forgotten_until = 0
        self._looked_back_at = 0
        self._are_many = False
        """Whether the last query that looked back all the way found very many ends."""
        self._is_slow = False
        """Whether a caller has waited in vain since the last refresh that succeeded."""
        self._error: Exception | None = None
        self._refreshed_at = clock.now() - 2 * interval
        self._lock = ProcessLock()
        self._flight = SingleFlight(self._refresh)

    def holds(self, session_id: str, now: datetime) -> bool:
        """Whether this session has been ended, as of at most one interval ago."""
        if not _NOTHING <= now - self._refreshed_at < self._interval:
            self.bring_up_to_date()
        return session_id in self._ended

    def is_stale(self, session_id: str, issued_at: datetime) -> bool:
        """Whether a short session made then no longer counts, because newer claims hold, as of the last refresh."""
        return to_ms(issued_at) <= self.not_before.get(session_id, -1)

    def invalidate_before(self, session_ids: Iterable[str], at: int) -> None:
        """Record that short sessions of these sessions made until ``at`` (milliseconds) no longer count."""
        self.not_before.update(dict.fromkeys(session_ids, at))

    def add(self, session_ids: Iterable[str]) -> None:
        """Record that these sessions have ended now: what this process ended it knows at once."""
        now = to_ms(self._clock.now())
        self._ended.update(dict.fromkeys(session_ids, now))

    def since(self, at: int, limit: int) -> tuple[list[str], dict[str, int], int]:
        """What changed after ``at``: the ids that ended, the not-before times by id, and the time this reaches up to.

        All times are milliseconds. At most ``limit`` changes are returned, and any that share the time of the last.
        """
        self.bring_up_to_date(FEED_AGE)
        ended = [(time, session_id) for session_id, time in self._ended.copy().items() if time > at]
        not_before = [(time, session_id) for session_id, time in self.not_before.copy().items() if time > at]
        reaches = self._known_until
        if len(ended) + len(not_before) > limit:
            # not ``at`` where that is later: a service that once got a time of a wrong clock would miss every end
            reaches = sorted(time for time, _ in chain(ended, not_before))[limit - 1]
            ended = [change for change in ended if change[0] <= reaches]
            not_before = [change for change in not_before if change[0] <= reaches]
        return (
            [session_id for _, session_id in ended],
            {session_id: time for time, session_id in not_before},
            reaches,
        )

    def bring_up_to_date(self, age: timedelta | None = None) -> None:
        """Refresh the set if it is older than the interval (or than ``age``, if that is shorter)."""
        oldest = self._interval if age is None else min(age, self._interval)
        if not self._is_older(oldest):
            return
        self._flight.start(if_still=lambda: self._is_older(oldest))
        if not self._is_slow and not self._flight.wait(LONGEST_WAIT):
            self._note_slow()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _note_slow(self) -> None:
        with self._lock:
            if not self._is_slow:
                log.warning("the sessions that ended are still being fetched, the last known set serves meanwhile")
            self._is_slow = True

    def _is_older(self, age: timedelta) -> bool:
        # after a clock was set back too
        return not _NOTHING <= self._clock.now() - self._refreshed_at < age

    def _refresh(self) -> None:
        now = to_ms(self._clock.now())
        oldest = now - self._keep
        try:
            # while a clock was ahead, ids were dropped too early: once it is set back they are fetched again
            is_short = self._are_many and 0 <= now - self._looked_back_at < LOOK_BACK_EVERY
            overlap = SHORT_OVERLAP if is_short else OVERLAP
            since = oldest if now < self._known_until else max(oldest, self._known_until - overlap)
            changes = self._fetch(since)
        except StoreUnavailable as error:
            log.warning("the sessions that ended could not be fetched, the last known set serves: %s", error)
        except Exception as error:  # not for the thread but for a developer: the tables are missing, say
            self._error = error
            return
        else:
            # changed in place, not replaced: what another request adds meanwhile must not be lost
            self._ended.update(changes.ended)
            self.not_before.update(changes.not_before)
            self._forget(oldest)
            self._known_until = now
            if since <= now - OVERLAP:
                self._looked_back_at, self._are_many = now, len(changes.ended) > MANY
            self._is_slow = False
        # from now on, and not from when it was asked: a slow query must not be asked again as soon as it is answered
        self._refreshed_at = self._clock.now()

    def _forget(self, oldest: int) -> None:
        """Drop what no short session can be as old as; every so often, since it looks at all of them."""
        if abs(oldest - self._forgotten_until) < OVERLAP:
            return
        self._forgotten_until = oldest
        for known in (self._ended, self.not_before):
            for session_id in [session_id for session_id, at in known.copy().items() if at <= oldest]:
                known.pop(session_id, None)


class EndedSessionCache:
    """Ended sessions that presented a token lately, so that an ended cookie does not cost a statement each request.

    Known by id and by the secret of the token that was presented: whoever has ``SECRET_KEY`` and somebody's id, but not
    their secret, is ``missing``, and their session must not be. What this process ended itself is known by the id
    alone. Bounded, and of this process: the rows have it all.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # in the order in which they are forgotten
        self._reasons: dict[tuple[str, bytes | None], tuple[GoneReason, datetime]] = {}
        self._lock = ProcessLock()

    def reason(self, session_id: str, secret_hash: bytes | None = None) -> GoneReason | None:
        """Why this session is gone for who presents this secret, if that was recorded within the last minute."""
        for key in ((session_id, secret_hash), (session_id, None)):
            reason, until = self._reasons.get(key, (None, None))
            if until is not None and self._clock.now() < until:
                return reason
        return None

    def remember(self, session_ids: Iterable[str], reason: GoneReason, secret_hash: bytes | None = None) -> None:
        """Record that these sessions have ended, for any secret or for this one. Of more than 4,096 the oldest are
        forgotten."""
        until = self._clock.now() + CACHE_TTL
        with self._lock:
            for session_id in deque(session_ids, maxlen=_CACHE_SIZE):
                key = session_id, secret_hash
                self._reasons.pop(key, None)
                self._reasons[key] = reason, until
                if len(self._reasons) > _CACHE_SIZE:
                    del self._reasons[next(iter(self._reasons))]

    def clear(self) -> None:
        """Forget them all: the next request asks the rows again."""
        with self._lock:
            self._reasons.clear()
