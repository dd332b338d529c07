"""What the rows tell: whether a session serves, what changed lately, and the lists people and operators see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    distinct,
    false,
    func,
    select,
    true,
    union_all,
)

from ..model.clock import from_ms
from ..model.records import Changes, Context, Device, LongSession, device_label
from .engine import Database
from .tables import Tables

_LISTED = 200
"""How many ended sessions a history shows at most."""


class Reading:
    """Every statement that only reads. All raise :class:`StoreUnavailable` when the database does not answer."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self.database = database
        self._session = tables.session
        self._device = tables.device

    def session_exists(self, which: ColumnElement[bool]) -> bool:
        """Whether any row, live or ended, is among ``which``."""
        asked = select(self._session.c.id).where(which).limit(1)
        return self.database.run(lambda connection: connection.execute(asked).scalar()) is not None

    def device_exists(self, device_id: str, user_id: str | None) -> bool:
        """Whether this device is known (to this user)."""
        c = self._device.c
        asked = select(c.id).where(c.id == device_id)
        if user_id is not None:
            asked = asked.where(c.user_id == user_id)
        return self.database.run(lambda connection: connection.execute(asked).scalar()) is not None

    def is_alive(self, session_id: str, now: int) -> bool:
        """Whether the row itself says that this session serves: what ``recheck=True`` asks."""
        asked = select(self._session.c.id).where(self._session.c.id == session_id, self._alive(now))
        return self.database.run(lambda connection: connection.execute(asked).scalar()) is not None

    def changes_since(self, since: int) -> Changes:
        """The sessions ended, and those whose short sessions were expired, after ``since``: one indexed query."""
        c = self._session.c
        ended = select(c.id, c.ended_at.label("at"), true().label("over")).where(c.ended_at > since)
        not_before = select(c.id, c.short_not_before, false()).where(c.short_not_before > since, c.ended_at.is_(None))
        rows = self.database.run(lambda connection: connection.execute(union_all(ended, not_before)).all())
        over = [(row.id, row.at) for row in rows if row.over]
        return Changes(over, [(row.id, row.at) for row in rows if not row.over])

    def carried_over(self, session_id: str) -> tuple[bool, dict[str, Any]] | None:
        """Whether a session is persistent, and the claims given at its sign-in."""
        asked = select(self._session.c.persistent, self._session.c.claims).where(self._session.c.id == session_id)
        row = self.database.run(lambda connection: connection.execute(asked).one_or_none())
        return None if row is None else (bool(row.persistent), json.loads(row.claims))

    def _alive(self, now: int) -> ColumnElement[bool]:
        c = self._session.c
        return c.ended_at.is_(None) & (c.expires_at > now) & (c.idle_expires_at > now)

    def session(self, session_id: str) -> LongSession | None:
        """One session, live or ended."""
        asked = select(self._session).where(self._session.c.id == session_id)
        row = self.database.run(lambda connection: connection.execute(asked).one_or_none())
        return None if row is None else _long_session(row, None)

    def devices(self, user_id: str, now: int, current: str | None) -> list[Device]:
        """The user's devices that have a live session, the current one first, then the latest seen. One statement."""
        s, d = self._session.c, self._device.c
        named = [column.label(f"of_device_{column.name}") for column in self._device.c]
        asked = (
            select(self._session, *named)
            .join(self._device, s.device_id == d.id)
            .where(s.user_id == user_id, self._alive(now))
            .order_by(s.last_seen_at.desc(), s.created_at.desc(), s.id)
        )
        rows = self.database.run(lambda connection: connection.execute(asked).all())
        grouped: dict[str, list[Row[Any]]] = {}
        for row in rows:
            grouped.setdefault(row.device_id, []).append(row)
        found = [_device(rows_of_one, current) for rows_of_one in grouped.values()]
        return sorted(found, key=lambda device: not device.is_current)

    def history(self, user_id: str, limit: int = 200, offset: int = 0) -> list[LongSession]:
        """The user's sessions that were ended and are not yet forgotten, the latest first."""
        c = self._session.c
        ended = self._titled().where(c.user_id == user_id, c.ended_at.is_not(None))
        return self._sessions(ended.order_by(c.ended_at.desc(), c.id).limit(limit).offset(offset))

    def live_sessions(self, user_id: str | None, now: int, limit: int) -> list[LongSession]:
        """The live sessions (of one user), those that started last first."""
        c = self._session.c
        live = self._titled().where(self._alive(now))
        if user_id is not None:
            live = live.where(c.user_id == user_id)
        return self._sessions(live.order_by(c.created_at.desc(), c.id.desc()).limit(limit))

    def _titled(self) -> Any:
        d = self._device.c
        asked = select(self._session, d.name.label("of_name"), d.browser, d.system)
        return asked.join(self._device, self._session.c.device_id == d.id)

    def _sessions(self, asked: Any) -> list[LongSession]:
        rows = self.database.run(lambda connection: connection.execute(asked).all())
        return [_long_session(row, None, row.of_name or device_label(row.browser, row.system)) for row in rows]

    def device_with_cookie(self, device_id: str) -> tuple[Device, bytes] | None:
        """A device without its sessions, and the hash of its cookie."""
        asked = select(self._device).where(self._device.c.id == device_id)
        row = self.database.run(lambda connection: connection.execute(asked).one_or_none())
        if row is None:
            return None
        seen = from_ms(row.first_seen_at)
        device = Device(row.id, row.user_id, row.name, row.browser, row.system, row.device_type, row.user_agent, seen)
        return device, row.cookie_hash

    def stats(self, now: int, since: int) -> dict[str, Any]:
        """What there is, and how the sessions ended after ``since`` ended."""
        c = self._session.c
        live = select(func.count(), func.count(distinct(c.user_id))).where(self._alive(now))
        ended = select(c.end_reason, func.count()).where(c.ended_at > since).group_by(c.end_reason)

        def ask(connection: Connection) -> dict[str, Any]:
            sessions, users = connection.execute(live).one()
            devices = connection.execute(select(func.count()).select_from(self._device)).scalar_one()
            reasons = {row[0]: row[1] for row in connection.execute(ended)}
            return {"live_sessions": sessions, "users": users, "devices": devices, "ended_in_a_day": reasons}

        return self.database.run(ask)


def _long_session(row: Any, current: str | None, device_title: str = "") -> LongSession:
    both = row.previous_ip is not None or row.previous_user_agent is not None
    return LongSession(
        session_id=row.id,
        user_id=row.user_id,
        device_id=row.device_id,
        created_at=from_ms(row.created_at),
        last_seen_at=from_ms(row.last_seen_at),
        idle_expires_at=from_ms(row.idle_expires_at),
        expires_at=from_ms(row.expires_at),
        auth_time=from_ms(row.auth_time),
        amr=tuple(row.amr.split()),
        persistent=bool(row.persistent),
        ip=row.ip,
        user_agent=row.user_agent,
        ended_at=None if row.ended_at is None else from_ms(row.ended_at),
        end_reason=row.end_reason,
        previous=Context(row.previous_ip, row.previous_user_agent) if both else None,
        is_current=row.id == current,
        device_title=device_title,
    )


def _device(rows: Sequence[Any], current: str | None) -> Device:
    first = rows[0]
    sessions = tuple(_long_session(row, current) for row in rows)
    return Device(
        id=first.device_id,
        user_id=first.of_device_user_id,
        name=first.of_device_name,
        browser=first.of_device_browser,
        system=first.of_device_system,
        device_type=first.of_device_device_type,
        user_agent=first.of_device_user_agent,
        first_seen_at=from_ms(first.of_device_first_seen_at),
        sessions=sorted_current_first(sessions),
        is_current=any(session.is_current for session in sessions),
    )


def sorted_current_first(sessions: Sequence[LongSession]) -> tuple[LongSession, ...]:
    """The current session first, the rest as they came."""
    return tuple(sorted(sessions, key=lambda session: not session.is_current))
