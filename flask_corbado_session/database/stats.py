"""How many rows of each kind there are, counted in windows: exactly where that can be done in time, else "at least"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, Select, distinct, func, select

from .conditions import is_live
from .engine import Database
from .windows import Order, windows

SECONDS = 30.0
"""Seconds after which a count stops and says how far it got. Each of its statements takes a fraction of one."""


def count_all(database: Database, now: int, since: int) -> dict[str, Any]:
    """Live sessions, their users, devices, and by reason the sessions ended after ``since``; times in milliseconds.

    ``at_least`` names the counts that the time was too short for.
    """
    c, d = database.tables.session.c, database.tables.device.c
    # a window never parts the rows of a user, so each of them is counted once
    live_now = select(func.count(), func.count(distinct(c.user_id))).where(is_live(c, now))
    live = Walk(database, Order((c.user_id,)))
    sessions = users = devices = 0
    for row in live.rows(live_now):
        sessions += row[0]
        users += row[1]
    seen = Walk(database, Order((d.first_seen_at,)))
    for row in seen.rows(select(func.count(d.id))):
        devices += row[0]
    ended = Walk(database, Order((c.ended_at,), within=c.ended_at > since))
    reasons: Counter[str] = Counter()
    for row in ended.rows(select(c.end_reason, func.count()).group_by(c.end_reason)):
        reasons[row[0]] += row[1]
    counted = {"live_sessions": sessions, "users": users, "devices": devices, "ended_in_a_day": dict(reasons)}
    walks = {"live_sessions": live, "users": live, "devices": seen, "ended_in_a_day": ended}
    return {**counted, "at_least": [name for name, walk in walks.items() if not walk.is_complete]}


class Walk:
    """One statement, run for each window of an order."""

    def __init__(self, database: Database, order: Order) -> None:
        self._database = database
        self._order = order
        self.is_complete = False
        """Whether the whole table was read, and not only what there was time for."""

    def rows(self, stmt: Any) -> Iterator[Any]:
        """The rows that ``stmt`` finds, window by window."""
        for condition, end in windows(self._database, self._order, seconds=SECONDS):
            yield from self._in_window(stmt.where(condition))
            self.is_complete = end is None

    def _in_window(self, stmt: Select[Any]) -> Sequence[Row[Any]]:
        return self._database.run(lambda connection: connection.execute(stmt).all())
