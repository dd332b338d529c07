"""Sessions by day: counted by the database, and kept in the process so that a past day is counted once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, Select, case, func, or_, select

from ..database.engine import Database
from ..model.process import ProcessLock

DAY = 86_400_000
"""Milliseconds."""
TODAY_TTL = 60_000
"""Milliseconds for which today's number is kept."""


class DailyCounts:
    """Counts the sessions of each day (UTC, numbered from the epoch). All raise :class:`StoreUnavailable` when the
    database does not answer in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session

    def sign_ins(self, first: int, now: int) -> dict[int, int]:
        """How many sessions started on each day from ``first`` on. Read from an index alone."""
        c = self._session.c
        day = (c.created_at // DAY).label("day")
        stmt = select(day, func.count().label("number")).where(c.created_at >= first * DAY, c.created_at <= now)
        return {int(row.day): row.number for row in self._rows(stmt.group_by(day))}

    def active(self, first: int, now: int) -> dict[int, int]:
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
            c.expires_at >= first * DAY,
            c.idle_expires_at >= first * DAY,
            or_(c.ended_at.is_(None), c.ended_at >= first * DAY),
            c.created_at <= now,
        )
        active = dict.fromkeys(range(first, today + 1), 0)
        for row in self._rows(stmt.group_by(first_day, last_day)):
            for day in range(int(row.first_day), min(int(row.last_day), today) + 1):
                active[day] += row.number
        return active

    def _rows(self, stmt: Select[Any]) -> list[Row[Any]]:
        return self._database.run(lambda connection: list(connection.execute(stmt).all()))


class DailyNumbers:
    """One number for each of the last days, kept in this process. A past day no longer changes, so it is read once."""

    def __init__(self) -> None:
        self._past: dict[int, int] = {}
        self._today: tuple[int, int, int] = (-1, 0, 0)
        self._lock = ProcessLock()

    def last(self, days: int, now: int, read: Callable[[int, int], Mapping[int, int]]) -> dict[date, int]:
        """The last days (UTC), today included. ``read(first day, now)`` is called for what is missing or too old."""
        today = now // DAY
        shown = range(today - days + 1, today + 1)
        with self._lock:
            missing = [day for day in shown[:-1] if day not in self._past]
            day, number, read_at = self._today
            if missing or day != today or not 0 <= now - read_at < TODAY_TTL:
                counts = read(missing[0] if missing else today, now)
                number = counts.get(today, 0)
                self._past = {day: self._past.get(day, counts.get(day, 0)) for day in shown[:-1]}
                self._today = (today, number, now)
            numbers = {**self._past, today: number}
        return {datetime.fromtimestamp(day * DAY / 1000, UTC).date(): numbers[day] for day in shown}
