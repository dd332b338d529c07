"""The device table: devices are found, added, named and disowned, and listed with their live sessions."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Row, Select, bindparam, insert, select, update

from ..model.clock import to_ms
from ..model.errors import ConstraintViolated
from ..model.records import Device, UserAgentDescription
from ..tokens.ids import new_id
from .conditions import is_live
from .engine import Database
from .rows import device, long_session
from .sessions import SessionStore

_PREFIX = "device_"


class DeviceStore:
    """The devices of one database. Raises :class:`StoreUnavailable` when it does not answer."""

    def __init__(self, database: Database, sessions: SessionStore) -> None:
        self._database = database
        self._sessions = sessions
        self._session = database.tables.session
        self._device = database.tables.device

    def find_or_add(
        self,
        user_id: str,
        cookie_hash: bytes,
        user_agent: str | None,
        describe: Callable[[], UserAgentDescription],
        now: datetime,
        *,
        unused_is_new: bool = False,
    ) -> tuple[str, UserAgentDescription | None]:
        """The id of this cookie's device for this user, and its description if it was added just now.

        With ``unused_is_new`` also if it has no session: the sign-in that added it failed, and nobody was told of it.
        One statement, two when it is new.
        """
        cookie = {"of_user": user_id, "of_cookie": cookie_hash}
        found = self._database.run(lambda connection: connection.execute(self._known, cookie).one_or_none())
        if found is not None:
            return found.id, describe() if unused_is_new and not found.was_used else None
        description, new_device_id = describe(), new_id()
        row = {
            "id": new_device_id,
            "user_id": user_id,
            "cookie_hash": cookie_hash,
            "user_agent": user_agent,
            "browser": description.browser,
            "system": description.system,
            "device_type": description.device_type,
            "first_seen_at": to_ms(now),
        }
        try:
            self._database.run(lambda connection: connection.execute(self._insert, row), writes=True)
        except ConstraintViolated:
            device_id = self._database.run(lambda connection: connection.execute(self._known, cookie).one()).id
            # another's id: the same browser signed in twice at once. Ours: the answer of the first attempt was lost
            return device_id, description if device_id == new_device_id else None
        return new_device_id, description

    @cached_property
    def _known(self) -> Select[Any]:
        """A cookie's device of a user. Built once: each sign-in asks."""
        c = self._device.c
        was_used = select(self._session.c.id).where(self._session.c.device_id == c.id).exists().label("was_used")
        return select(c.id, was_used).where(c.user_id == bindparam("of_user"), c.cookie_hash == bindparam("of_cookie"))

    @cached_property
    def _insert(self) -> Insert:
        return insert(self._device)

    def exists(self, device_id: str, user_id: str | None = None) -> bool:
        """Whether there is such a device (of this user)."""
        stmt = select(self._device.c.id).where(self._owned(device_id, user_id))
        return self._database.run(lambda connection: connection.execute(stmt).scalar()) is not None

    def rename(self, device_id: str, user_id: str | None, name: str | None) -> bool:
        """Give a device a name, or take it away; whether there is such a device (of this user)."""
        stmt = update(self._device).where(self._owned(device_id, user_id)).values(name=name)
        is_changed = self._database.run(lambda connection: connection.execute(stmt).rowcount, writes=True) > 0
        return is_changed or self.exists(device_id, user_id)  # MariaDB may not count a name that was the same before

    def disown(self, device_id: str, cookie_hash: bytes, now: datetime) -> list[str] | None:
        """Forget the device's cookie and end its sessions, in one transaction; None if that has been done already."""
        c, fresh = self._device.c, secrets.token_bytes(32)
        forget = update(self._device).where(c.id == device_id, c.cookie_hash == cookie_hash).values(cookie_hash=fresh)
        forgotten = select(c.id).where(c.id == device_id, c.cookie_hash == fresh)

        def disown(connection: Connection) -> list[str] | None:
            if not connection.execute(forget).rowcount:
                return None
            return self._sessions.end_device_in(connection, device_id, "revoked", now)

        def disown_again(connection: Connection) -> list[str] | None:
            if connection.execute(forgotten).scalar() is None:
                return disown(connection)
            return self._sessions.device_ended_in(connection, device_id, "revoked", now)

        return self._database.transaction(disown, disown_again)

    def with_cookie(self, device_id: str) -> tuple[Device, bytes] | None:
        """A device without its sessions, and the hash of its cookie."""
        stmt = select(self._device).where(self._device.c.id == device_id)
        row = self._database.run(lambda connection: connection.execute(stmt).one_or_none())
        return None if row is None else (device(row), row.cookie_hash)

    def of_user(self, user_id: str, now: datetime, current_id: str | None) -> list[Device]:
        """The user's devices that have a live session, the current one first, then the latest seen. One statement."""
        return self._list(self._session.c.user_id == user_id, now, current_id)

    def of_session(self, session_id: str, now: datetime) -> Device | None:
        """The device a live session runs on, with its live sessions. One statement."""
        c = self._session.c
        its_device = select(c.device_id).where(c.id == session_id).scalar_subquery()
        return next(iter(self._list(c.device_id == its_device, now, session_id)), None)

    def _list(self, which: ColumnElement[bool], now: datetime, current_id: str | None) -> list[Device]:
        s, d = self._session.c, self._device.c
        stmt = (
            select(self._session, *(column.label(_PREFIX + column.name) for column in d if column.name != "id"))
            .join(self._device, s.device_id == d.id)
            .where(which, is_live(s, to_ms(now)))
            .order_by(s.last_seen_at.desc(), s.created_at.desc(), s.id)
        )
        rows = self._database.run(lambda connection: connection.execute(stmt).all())
        by_device: dict[str, list[Row[Any]]] = {}
        for row in rows:
            by_device.setdefault(row.device_id, []).append(row)
        devices = [
            device(rows[0], [long_session(row, current_id) for row in rows], _PREFIX) for rows in by_device.values()
        ]
        return sorted(devices, key=lambda device: not device.is_current)

    def _owned(self, device_id: str, user_id: str | None) -> ColumnElement[bool]:
        c = self._device.c
        return c.id == device_id if user_id is None else (c.id == device_id) & (c.user_id == user_id)
