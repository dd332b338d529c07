"""The session table: sessions are added, ended and listed. Rotation has a module of its own.

Every method raises :class:`StoreUnavailable` when the database does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    Select,
    and_,
    bindparam,
    insert,
    select,
    union_all,
    update,
)

from ..model.clock import to_ms
from ..model.errors import ConstraintViolated, StoreUnavailable
from ..model.records import Changes, EndReason, LongSession, device_label
from .conditions import is_live
from .engine import Database
from .rows import CarriedOver, NewSession, long_session, plain_tuples
from .windows import Order, windows


class SessionStore:
    """The sessions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session
        self._device = database.tables.device

    # ---- starting

    def add(self, new: NewSession, superseded: Sequence[str]) -> list[str]:
        """Insert the row and end the sessions it replaces, in one transaction; the ids of those."""
        row = new.as_row() | {"rotated_at": self._database.time(new.created_at)}

        def start(connection: Connection) -> list[str]:
            connection.execute(self._insert, row)
            return self._end(connection, self._session.c.id.in_(superseded), "superseded", new.created_at)

        try:
            if superseded:
                return self._database.transaction(start)
            self._database.run(lambda connection: connection.execute(self._insert, row), writes=True)
        except ConstraintViolated as error:
            # ids are random, so a row of this id is ours: the connection was lost after the commit, and the work was
            # done twice. Otherwise the device was deleted since it was found.
            if not self.exists(new.session_id):
                raise StoreUnavailable("the device was deleted meanwhile; sign in again") from error
        return list(superseded)

    def enforce_session_limit(self, user_id: str, limit: int, now: datetime) -> list[str]:
        """End the least recently seen sessions beyond ``limit``; their ids.

        Called after the insert has been committed, so that of two parallel sign-ins the later one sees both.
        """
        values = {"of_user": user_id, "now": to_ms(now), "kept": limit}
        ids = self._database.run(lambda connection: connection.execute(self._surplus, values).scalars().all())
        return self.end_sessions(ids, "limit", now) if ids else []

    @cached_property
    def _insert(self) -> Insert:
        """Like :attr:`_surplus` built once: each sign-in runs both."""
        return insert(self._session)

    @cached_property
    def _surplus(self) -> Select[Any]:
        """The ids of a user's live sessions but for the latest ``kept``."""
        c = self._session.c
        latest_first = (c.last_seen_at.desc(), c.created_at.desc(), c.id)
        live = select(c.id).where(c.user_id == bindparam("of_user"), is_live(c, bindparam("now", type_=BigInteger)))
        # MySQL and SQLite know no OFFSET without LIMIT
        return live.order_by(*latest_first).limit(10_000).offset(bindparam("kept", type_=Integer))

    # ---- ending: each ends the live ones among the sessions it names and returns their ids, in one statement (two on
    # MySQL, which has no RETURNING)

    def end_session(
        self, session_id: str, reason: EndReason, now: datetime, *, user_id: str | None = None
    ) -> list[str]:
        """End one session, if it is this user's (or anyone's, without ``user_id``)."""
        return self._run_end(self._owned(self._session.c.id == session_id, user_id), reason, now)

    def end_sessions(self, session_ids: Sequence[str], reason: EndReason, now: datetime) -> list[str]:
        """End these sessions, of any user."""
        return self._run_end(self._session.c.id.in_(session_ids), reason, now)

    def end_device(self, device_id: str, reason: EndReason, now: datetime, *, user_id: str | None = None) -> list[str]:
        """End the sessions on a device, if it is this user's (or anyone's)."""
        return self._run_end(self._owned(self._session.c.device_id == device_id, user_id), reason, now)

    def end_user(
        self, user_id: str, reason: EndReason, now: datetime, *, except_session_id: str | None = None
    ) -> list[str]:
        """End the sessions of a user, but for one."""
        return self._run_end(self._of_user(user_id, except_session_id), reason, now)

    def end_device_in(self, connection: Connection, device_id: str, reason: EndReason, now: datetime) -> list[str]:
        """End the sessions on a device as part of a transaction that is under way."""
        return self._end(connection, self._session.c.device_id == device_id, reason, now)

    def device_ended_in(self, connection: Connection, device_id: str, reason: EndReason, now: datetime) -> list[str]:
        """The sessions on a device that were ended by an attempt whose answer was lost."""
        return self._ended_then(connection, self._session.c.device_id == device_id, reason, now)

    def _ended_then(
        self, connection: Connection, which: ColumnElement[bool], reason: EndReason, now: datetime
    ) -> list[str]:
        """The sessions that were ended for this reason at this very time: by an attempt whose answer was lost."""
        c = self._session.c
        ended = select(c.id).where(which, c.ended_at == self._database.time(now), c.end_reason == reason)
        return list(connection.execute(ended).scalars())

    def _run_end(self, which: ColumnElement[bool], reason: EndReason, now: datetime) -> list[str]:
        def end_again(connection: Connection) -> list[str]:
            self._end(connection, which, reason, now)
            return self._ended_then(connection, which, reason, now)

        return self._database.run(lambda connection: self._end(connection, which, reason, now), end_again, writes=True)

    def _end(self, connection: Connection, which: ColumnElement[bool], reason: EndReason, now: datetime) -> list[str]:
        c = self._session.c
        unended = which & c.ended_at.is_(None)
        end = update(self._session).values(ended_at=self._database.time(now), end_reason=reason)
        if connection.dialect.update_returning:
            return list(connection.execute(end.where(unended).returning(c.id)).scalars())
        ids = list(connection.execute(select(c.id).where(unended)).scalars())
        is_ours = not ids or connection.execute(end.where(c.id.in_(ids), c.ended_at.is_(None))).rowcount == len(ids)
        return ids if is_ours else self._ended_then(connection, c.id.in_(ids), reason, now)

    def _owned(self, which: ColumnElement[bool], user_id: str | None) -> ColumnElement[bool]:
        return which if user_id is None else which & (self._session.c.user_id == user_id)

    def _of_user(self, user_id: str, except_session_id: str | None) -> ColumnElement[bool]:
        c = self._session.c
        whose = c.user_id == user_id
        return whose if except_session_id is None else whose & (c.id != except_session_id)

    def invalidate_short(self, user_id: str, now: datetime, *, except_session_id: str | None = None) -> list[str]:
        """Let no short session of this user made up to now count any more; the ids of the sessions concerned."""
        c, at = self._session.c, to_ms(now)
        which = self._of_user(user_id, except_session_id) & is_live(c, at)

        def invalidate(connection: Connection) -> list[str]:
            ids = list(connection.execute(select(c.id).where(which)).scalars())
            connection.execute(update(self._session).where(which).values(short_not_before=self._database.time(now)))
            return ids

        return self._database.run(invalidate, writes=True)

    # ---- asking

    def exists(self, session_id: str, user_id: str | None = None) -> bool:
        """Whether there is such a session (of this user), live or ended."""
        stmt = select(self._session.c.id).where(self._owned(self._session.c.id == session_id, user_id))
        return self._scalar(stmt) is not None

    def is_live(self, session_id: str, now: datetime) -> bool:
        """Whether the row itself says that this session serves: what ``recheck=True`` asks."""
        c = self._session.c
        return self._scalar(select(c.id).where(c.id == session_id, is_live(c, to_ms(now)))) is not None

    def device_id_of(self, session_id: str) -> str | None:
        """The id of the device a session runs on."""
        device_id: str | None = self._scalar(select(self._session.c.device_id).where(self._session.c.id == session_id))
        return device_id

    def changes_since(self, since: int) -> Changes:
        """The sessions ended or invalidated after ``since`` (milliseconds): one indexed query.

        Times are this process's; where its clock is off, the rows' are the database's.
        """
        c = self._session.c
        skew = self._database.skew.ms
        after = since + skew
        ended = select(c.id, c.ended_at - skew).where(c.ended_at > after)
        # told apart by the sign, so that the driver's own tuples serve as they are: of a hundred thousand ends each
        # poll reads all, and to make rows of them would take longer than the query
        invalidated = select(c.id, skew - c.short_not_before).where(c.short_not_before > after, c.ended_at.is_(None))

        def fetch(connection: Connection) -> list[tuple[str, int]]:
            rows = plain_tuples(connection, union_all(ended, invalidated))
            self._database.compare_clocks(connection)
            return rows

        rows = self._database.run(fetch)
        not_before = [(session_id, -at) for session_id, at in rows if at < 0]
        return Changes([row for row in rows if row[1] >= 0] if not_before else rows, not_before)

    def carried_over(self, session_id: str) -> CarriedOver | None:
        """What a step-up carries over to the new session."""
        c = self._session.c
        stmt = select(c.persistent, c.claims, c.created_at, c.expires_at).where(c.id == session_id)
        row = self._database.run(lambda connection: connection.execute(stmt).one_or_none())
        if row is None:
            return None
        lifetime = timedelta(milliseconds=row.expires_at - row.created_at)
        return CarriedOver(bool(row.persistent), json.loads(row.claims), lifetime)

    def session(self, session_id: str) -> LongSession | None:
        """One session, live or ended."""
        stmt = select(self._session).where(self._session.c.id == session_id)
        row = self._database.run(lambda connection: connection.execute(stmt).one_or_none())
        return None if row is None else long_session(row)

    # ---- lists

    def history(self, user_id: str, limit: int, offset: int) -> list[LongSession]:
        """The user's sessions that were ended and are not yet deleted, the latest first."""
        c = self._session.c
        return self._list(and_(c.user_id == user_id, c.ended_at.is_not(None)), [c.ended_at.desc(), c.id], limit, offset)

    def live_sessions(self, user_id: str | None, now: datetime, limit: int) -> list[LongSession]:
        """The live sessions (of one user), those that started last first."""
        c = self._session.c
        live, order = is_live(c, to_ms(now)), [c.created_at.desc(), c.id.desc()]
        if user_id is not None:
            return self._list(live & (c.user_id == user_id), order, limit, offset=0)
        found: list[LongSession] = []
        # in windows, because after a mass revocation a million ended ones may stand before the first live one
        for condition, _ in windows(self._database, Order((c.created_at,), descending=True), seconds=float("inf")):
            found += self._list(live & condition, order, limit - len(found), offset=0)
            if len(found) == limit:
                break
        return found

    def _list(
        self, where: ColumnElement[bool], order: Iterable[ColumnElement[Any]], limit: int, offset: int
    ) -> list[LongSession]:
        d = self._device.c
        stmt = (
            select(self._session, d.name.label("device_name"), d.browser, d.system)
            .join(self._device, self._session.c.device_id == d.id)
            .where(where)
            .order_by(*order)
            .limit(limit)
            .offset(offset)
        )
        rows = self._database.run(lambda connection: connection.execute(stmt).all())
        return [
            long_session(row, device_title=row.device_name or device_label(row.browser, row.system)) for row in rows
        ]

    def _scalar(self, stmt: Select[Any]) -> Any:
        return self._database.run(lambda connection: connection.execute(stmt.limit(1)).scalar())
