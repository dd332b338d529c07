"""Sessions by day: counted by the database, and kept in the process so that a past day is counted once.

In a large table that is too much for one request, so each counts for a second at most and the next one goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, Select, case, func, or_, select

from ..database.engine import Database
from ..database.windows import Cursor, Order, windows
from ..model.process import ProcessLock

DAY = 86_400_000
"""Milliseconds."""
TODAY_TTL = 60_000
"""Milliseconds for which today's number is kept."""
BUDGET = 1.0
"""Seconds after which counting stops until the next request. Each of its statements takes a fraction of that."""


class DayCounts(dict[int, int]):
    """Numbers by day (UTC, numbered from the epoch)."""

    go_on: Callable[[], DayCounts] | None = None
    """Counts on from where the time was up; None once everything is counted."""


class DayNumbers(dict[date, int]):
    """Numbers by date. ``at_least`` is true while not everything has been counted."""

    at_least = False


class DailyCounts:
    """Counts the sessions of each day. All raise :class:`StoreUnavailable` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session

    def sign_ins(self, first: int, now: int) -> DayCounts:
        """How many sessions started on each day from ``first`` on. Read from an index alone."""
        c = self._session.c
        day = (c.created_at // DAY).label("day")
        order = Order((c.created_at,), within=(c.created_at >= first * DAY) & (c.created_at <= now))

        def add(counts: DayCounts, row: Row[Any]) -> None:
            counts[int(row.day)] = counts.get(int(row.day), 0) + row.number

        return self._count(DayCounts(), order, select(day, func.count().label("number")).group_by(day), add)

    def active(self, first: int, now: int) -> DayCounts:
        """How many sessions were live at some point of each day from ``first`` on.

        No index holds the end of a session that was idle too long, so this reads every session that may have been
        live. The index on ``expires_at`` leaves the others out.
        """
        c, today = self._session.c, now // DAY
        until = case((c.idle_expires_at < c.expires_at, c.idle_expires_at), else_=c.expires_at)
        until = case((c.ended_at < until, c.ended_at), else_=until)
        since = case((c.created_at < first * DAY, first * DAY), else_=c.created_at)
        first_day, last_day = (since // DAY).label("first_day"), (until // DAY).label("last_day")
        stmt = select(first_day, last_day, func.count().label("number")).where(
            c.idle_expires_at >= first * DAY,
            or_(c.ended_at.is_(None), c.ended_at >= first * DAY),
            c.created_at <= now,
        )
        order = Order((c.expires_at,), within=c.expires_at >= first * DAY)

        def add(counts: DayCounts, row: Row[Any]) -> None:
            for day in range(int(row.first_day), min(int(row.last_day), today) + 1):
                counts[day] += row.number

        counts = DayCounts(dict.fromkeys(range(first, today + 1), 0))
        return self._count(counts, order, stmt.group_by(first_day, last_day), add)

    def _count(
        self,
        counts: DayCounts,
        order: Order,
        stmt: Select[Any],
        add: Callable[[DayCounts, Row[Any]], None],
        after: Cursor | None = None,
    ) -> DayCounts:
        for condition, end in windows(self._database, order, after, seconds=BUDGET):
            for row in self._rows(stmt.where(condition)):
                add(counts, row)
            # after each window: should the next one fail, those before it are not counted twice
            counts.go_on = None if end is None else partial(self._count, counts, order, stmt, add, (end,))
        return counts

    def _rows(self, stmt: Select[Any]) -> list[Row[Any]]:
        return self._database.run(lambda connection: list(connection.execute(stmt).all()))


class DailyNumbers:
    """One number for each of the last days, kept in this process. A past day no longer changes, so it is read once."""

    def __init__(self) -> None:
        self._past: dict[int, int] = {}
        self._today: tuple[int, int, int] = (-1, 0, 0)
        self._unfinished: tuple[int, int, DayCounts] | None = None
        self._lock = ProcessLock()

    def last(self, days: int, now: int, read: Callable[[int, int], Mapping[int, int]]) -> DayNumbers:
        """The last days (UTC), today included. ``read(first day, now)`` is called for what is missing or too old."""
        today = now // DAY
        shown = range(today - days + 1, today + 1)
        with self._lock:
            missing = [day for day in shown[:-1] if day not in self._past]
            day, number, read_at = self._today
            at_least = False
            past: Mapping[int, int] = self._past
            if missing or day != today or not 0 <= now - read_at < TODAY_TTL:
                counts = self._read(missing[0] if missing else today, now, read)
                past = {day: self._past.get(day, counts.get(day, 0)) for day in shown[:-1]}
                if self._unfinished is None:
                    number, self._past = counts.get(today, 0), past
                    self._today = (today, number, now)
                elif missing or day != today:
                    number, at_least = counts.get(today, 0), True
            numbers = {**past, today: number}
        result = DayNumbers({datetime.fromtimestamp(day * DAY / 1000, UTC).date(): numbers[day] for day in shown})
        result.at_least = at_least
        return result

    def _read(self, first: int, now: int, read: Callable[[int, int], Mapping[int, int]]) -> Mapping[int, int]:
        """Count from that day on, or go on with it where that was begun earlier."""
        begun_first, begun_today, begun = self._unfinished or (-1, -1, None)
        if begun is not None and begun.go_on is not None and (begun_first, begun_today) == (first, now // DAY):
            counts: Mapping[int, int] = begun.go_on()
        else:
            self._unfinished = None
            counts = read(first, now)
        self._unfinished = None
        if isinstance(counts, DayCounts) and counts.go_on is not None:
            self._unfinished = (first, now // DAY, counts)
        return counts
