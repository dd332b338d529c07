"""The rows: devices found or added, sessions added, ended and forgotten. Rotation has a module of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    insert,
    select,
    update,
)

from ..model.errors import ConstraintViolated, StoreUnavailable
from ..model.records import Context, EndReason, UserAgentDescription
from ..tokens.ids import new_id
from .reading import Reading

_BATCH = 500


@dataclass(frozen=True, slots=True)
class NewSession:
    """The row of a session about to start; times in milliseconds."""

    session_id: str
    user_id: str
    device_id: str
    secret_hash: bytes = field(repr=False)
    root: bytes = field(repr=False)
    persistent: bool
    claims: Mapping[str, Any]
    amr: Sequence[str]
    context: Context
    created_at: int
    auth_time: int
    idle_expires_at: int
    expires_at: int


class Store(Reading):
    """Every statement that writes, but those of rotation; it raises as what it reads by does."""

    # ---- starting

    def find_or_add_device(
        self,
        user_id: str,
        cookie_hash: bytes,
        user_agent: str | None,
        describe: Callable[[], UserAgentDescription],
        now: int,
    ) -> tuple[str, bool]:
        """The device of this cookie and user, and whether it was added just now. One statement, two when new."""
        c = self._device.c
        wanted = select(c.id).where(c.user_id == user_id, c.cookie_hash == cookie_hash)
        found = self.database.run(lambda connection: connection.execute(wanted).scalar())
        if found is not None:
            return found, False
        seen, device_id = describe(), new_id()
        row = {
            "id": device_id,
            "user_id": user_id,
            "cookie_hash": cookie_hash,
            "user_agent": user_agent,
            "browser": seen.browser,
            "system": seen.system,
            "device_type": seen.device_type,
            "first_seen_at": now,
        }
        try:
            self.database.run(lambda connection: connection.execute(insert(self._device), row))
        except ConstraintViolated:  # the same browser signed in twice at once
            return self.database.run(lambda connection: connection.execute(wanted).scalar_one()), False
        return device_id, True

    def add_session(self, new: NewSession, superseded: Iterable[str]) -> list[str]:
        """Insert the row and end those it replaces, together; the ids that were ended by it."""
        row = _new_row(new)
        replaced = list(superseded)

        def start(connection: Connection) -> list[str]:
            connection.execute(insert(self._session), row)
            return self._end(connection, self._session.c.id.in_(replaced), "superseded", new.created_at)

        try:
            if replaced:
                return self.database.transaction(start)
            self.database.run(lambda connection: connection.execute(insert(self._session), row))
        except ConstraintViolated as error:
            # ids are chance, so a row of this one is ours: its connection was lost after the commit, and it was tried
            # again; else the device was deleted since it was found
            if not self.session_exists(self.session_is(new.session_id)):
                raise StoreUnavailable("the device was deleted meanwhile; sign in again") from error
        return replaced

    def enforce_session_limit(self, user_id: str, limit: int, now: int) -> list[str]:
        """End the least recently seen sessions beyond ``limit``. Asked after the insert has been committed, so that of
        two parallel sign-ins the later one sees both."""
        c = self._session.c
        latest_first = (c.last_seen_at.desc(), c.created_at.desc(), c.id)
        surplus = select(c.id).where(c.user_id == user_id, self._alive(now)).order_by(*latest_first).offset(limit)
        # MySQL and SQLite know no OFFSET without LIMIT
        ids = self.database.run(lambda connection: connection.execute(surplus.limit(10_000)).scalars().all())
        return self.end(c.id.in_(ids), "limit", now) if ids else []

    # ---- ending

    def end(self, which: ColumnElement[bool], reason: EndReason, now: int) -> list[str]:
        """End the live ones among ``which``; the ids that were. One statement (two on MySQL)."""
        return self.database.run(lambda connection: self._end(connection, which, reason, now))

    def _end(self, connection: Connection, which: ColumnElement[bool], reason: EndReason, now: int) -> list[str]:
        c = self._session.c
        these = which & c.ended_at.is_(None)
        change = update(self._session).values(ended_at=now, end_reason=reason)
        if connection.dialect.update_returning:
            return list(connection.execute(change.where(these).returning(c.id)).scalars())
        ids = list(connection.execute(select(c.id).where(these)).scalars())
        if ids:
            connection.execute(change.where(c.id.in_(ids), c.ended_at.is_(None)))
        return ids

    def session_is(self, session_id: str, user_id: str | None = None) -> ColumnElement[bool]:
        """The session of this id, if it is this user's."""
        c = self._session.c
        return (c.id == session_id) if user_id is None else (c.id == session_id) & (c.user_id == user_id)

    def sessions_are(self, session_ids: Sequence[str]) -> ColumnElement[bool]:
        """The sessions of these ids, whoever's they are."""
        return self._session.c.id.in_(session_ids)

    def device_is(self, device_id: str, user_id: str | None = None) -> ColumnElement[bool]:
        """The sessions on this device, if it is this user's."""
        c = self._session.c
        return (c.device_id == device_id) if user_id is None else (c.device_id == device_id) & (c.user_id == user_id)

    def user_is(self, user_id: str, except_session_id: str | None = None) -> ColumnElement[bool]:
        """The sessions of this user, but for one."""
        c = self._session.c
        return (
            (c.user_id == user_id)
            if except_session_id is None
            else (c.user_id == user_id) & (c.id != except_session_id)
        )

    def expire_short(self, user_id: str, after: int, now: int, except_session_id: str | None = None) -> list[str]:
        """Let no short session of this user made up to ``after`` count any more; the sessions concerned."""
        c = self._session.c
        which = self.user_is(user_id, except_session_id) & self._alive(now)

        def expire(connection: Connection) -> list[str]:
            ids = list(connection.execute(select(c.id).where(which)).scalars())
            connection.execute(update(self._session).where(which).values(short_not_before=after))
            return ids

        return self.database.run(expire)

    def rename_device(self, device_id: str, user_id: str | None, name: str | None) -> bool:
        """Give a device a name, or take it away; whether there is such a device."""
        c = self._device.c
        which = c.id == device_id if user_id is None else (c.id == device_id) & (c.user_id == user_id)
        change = update(self._device).where(which).values(name=name)
        return self.database.run(lambda connection: connection.execute(change).rowcount) > 0

    def disown_device(self, device_id: str, cookie_hash: bytes, now: int) -> list[str] | None:
        """Forget the device's cookie and end its sessions, together; None if somebody else has done so."""
        c = self._device.c
        forget = update(self._device).where(c.id == device_id, c.cookie_hash == cookie_hash)

        def disown(connection: Connection) -> list[str] | None:
            if not connection.execute(forget.values(cookie_hash=secrets.token_bytes(32))).rowcount:
                return None
            return self._end(connection, self._session.c.device_id == device_id, "revoked", now)

        return self.database.transaction(disown)

    # ---- forgetting

    def delete_old_sessions(self, before: int) -> int:
        """Delete one batch of sessions that ended, or ran out, before ``before``; how many. Short, so that nobody who
        signs in meanwhile waits for it."""
        c = self._session.c
        old = select(c.id).where((c.ended_at < before) | (c.expires_at < before)).limit(_BATCH)
        return self._forget(old, self._session)

    def delete_old_devices(self, before: int) -> int:
        """Delete one batch of devices first seen before ``before`` that no session is left of; how many."""
        d = self._device.c
        used = select(self._session.c.id).where(self._session.c.device_id == d.id).exists()
        return self._forget(select(d.id).where(d.first_seen_at < before, ~used).limit(_BATCH), self._device)

    def _forget(self, old: Any, table: Any) -> int:
        def forget(connection: Connection) -> int:
            ids = connection.execute(old).scalars().all()
            if ids:
                connection.execute(delete(table).where(table.c.id.in_(ids)))
            return len(ids)

        try:
            return self.database.run(forget)
        except ConstraintViolated as error:  # a device was signed in on between the two statements
            raise StoreUnavailable("a device came back to use while it was being deleted; run cleanup again") from error


def _new_row(new: NewSession) -> dict[str, Any]:
    return {
        "id": new.session_id,
        "user_id": new.user_id,
        "device_id": new.device_id,
        "secret_hash": new.secret_hash,
        "generation": 0,
        "token_hash": new.root,
        "rotated_at": new.created_at,
        "reopened": 0,
        "last_step": 0,
        "created_at": new.created_at,
        "last_seen_at": new.created_at,
        "idle_expires_at": new.idle_expires_at,
        "expires_at": new.expires_at,
        "persistent": new.persistent,
        "claims": json.dumps(dict(new.claims)),
        "auth_time": new.auth_time,
        "amr": " ".join(new.amr),
        "ip": new.context.ip,
        "user_agent": new.context.user_agent,
    }
