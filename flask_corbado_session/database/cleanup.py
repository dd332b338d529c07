"""Old rows deleted in short batches that nobody waits for.

Each batch is a range of one index, of at most :data:`BATCH` rows, and the next one starts where it ended. So it takes
as long in a table of any size, and does not pass again over the entries of rows that earlier batches deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, delete, select

from ..model.clock import to_ms
from ..model.errors import ConstraintViolated
from .engine import Database
from .windows import Cursor, Order

BATCH = 500
"""Rows."""


class Cleanup:
    """Deletes and counts on one database. Raises :class:`StoreUnavailable` when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session
        self._device = database.tables.device

    def delete_old(self, before: datetime) -> Iterator[int]:
        """Delete, batch by batch, the sessions that ended, or ran out, before this time, and then the devices first
        seen before it that have no session any more. Yields how many rows, for each batch that deleted some."""
        yield from filter(None, self.session_batches(before))
        yield from filter(None, self.device_batches(before))

    def stats(self, now: datetime, since: datetime) -> dict[str, Any]:
        """How many sessions serve, for how many users, how many devices there are, and how the sessions ended after
        ``since`` ended. ``at_least`` names the counts that were not finished in time."""
        from .stats import count_all  # for the command alone

        return count_all(self._database, to_ms(now), to_ms(since))

    def session_batches(self, before: datetime) -> Iterator[int]:
        """Delete the old sessions; how many in each batch."""
        c, at = self._session.c, to_ms(before)
        # one index after the other: for "the one or the other" a database reads the whole table
        for column in (c.ended_at, c.expires_at):
            for rows in self._batches(Order((column,)), c.id, column < at):
                yield self._delete(self._session, [row.id for row in rows])

    def device_batches(self, before: datetime) -> Iterator[int]:
        """Look at all old devices and delete those without a session; how many in each batch."""
        d, s, at = self._device.c, self._session.c, to_ms(before)
        for rows in self._batches(Order((d.first_seen_at, d.id)), d.id, d.first_seen_at < at):
            ids = [row.id for row in rows]
            # found first, so that no lock is ever asked for on a device in use
            used = {row.device_id for row in self._all(select(s.device_id).where(s.device_id.in_(ids)).distinct())}
            has_session = select(s.id).where(s.device_id == d.id).exists()
            yield self._delete(self._device, [each for each in ids if each not in used], ~has_session)

    def _batches(
        self, order: Order, key: ColumnElement[Any], is_old: ColumnElement[bool]
    ) -> Iterator[Sequence[Row[Any]]]:
        """The old rows in batches. Those that share the first value of a batch may come twice, where it is no key."""
        after: Cursor | None = None
        by = order.columns
        while True:
            start = by[0] >= after[0] if after and len(by) == 1 else order.after(after)
            stmt = select(*by, key.label("id")) if key not in by else select(*by)
            rows = self._all(stmt.where(is_old, start).order_by(*order.by()).limit(BATCH))
            if rows:
                yield rows
            if len(rows) < BATCH:
                return
            after = tuple(rows[-1][: len(by)])

    def _delete(self, table: Table, ids: list[str], *conditions: ColumnElement[bool]) -> int:
        if not ids:
            return 0
        stmt = delete(table).where(table.c.id.in_(ids), *conditions)
        try:
            return self._database.run(lambda connection: connection.execute(stmt).rowcount)
        except ConstraintViolated:  # someone signed in on one of these devices just now; the next cleanup looks again
            return 0

    def _all(self, stmt: Select[Any]) -> Sequence[Row[Any]]:
        return self._database.run(lambda connection: connection.execute(stmt).all())
