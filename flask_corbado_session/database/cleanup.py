"""Old rows deleted in short batches that nobody waits for, and how many rows there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, distinct, func, select

from ..model.clock import to_ms
from ..model.errors import ConstraintViolated, StoreUnavailable
from .conditions import is_live
from .engine import Database

_BATCH = 500
"""Rows."""


class Cleanup:
    """Deletes and counts on one database. Raises :class:`StoreUnavailable` when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session
        self._device = database.tables.device

    def delete_old_sessions(self, before: datetime) -> int:
        """Delete one batch of sessions that ended, or ran out, before this time; how many."""
        c, at = self._session.c, to_ms(before)
        return self._delete(select(c.id).where((c.ended_at < at) | (c.expires_at < at)), self._session)

    def delete_old_devices(self, before: datetime) -> int:
        """Delete one batch of devices first seen before this time that have no session any more; how many."""
        d = self._device.c
        used = select(self._session.c.id).where(self._session.c.device_id == d.id).exists()
        return self._delete(select(d.id).where(d.first_seen_at < to_ms(before), ~used), self._device)

    def _delete(self, old: Select[Any], table: Table) -> int:
        def delete_batch(connection: Connection) -> int:
            ids = connection.execute(old.limit(_BATCH)).scalars().all()
            if ids:
                connection.execute(delete(table).where(table.c.id.in_(ids)))
            return len(ids)

        try:
            return self._database.run(delete_batch, writes=True)
        except ConstraintViolated as error:  # someone signed in on a device between the two statements
            raise StoreUnavailable("a device came back to use while it was being deleted; run cleanup again") from error

    def stats(self, now: datetime, since: datetime) -> dict[str, Any]:
        """How many sessions serve, for how many users, how many devices there are, and how the sessions ended after
        ``since`` ended."""
        c = self._session.c
        live = select(func.count(), func.count(distinct(c.user_id))).where(is_live(c, to_ms(now)))
        ended = select(c.end_reason, func.count()).where(c.ended_at > to_ms(since)).group_by(c.end_reason)

        def count(connection: Connection) -> dict[str, Any]:
            sessions, users = connection.execute(live).one()
            devices = connection.execute(select(func.count()).select_from(self._device)).scalar_one()
            reasons = {row[0]: row[1] for row in connection.execute(ended)}
            return {"live_sessions": sessions, "users": users, "devices": devices, "ended_in_a_day": reasons}

        return self._database.run(count)
