"""How the long session rotates: PROTOCOL.md's transition as one statement, and how a statement that matched no row is
classified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import Connection, Row, Select, Update, bindparam, case, null, or_, select, update

from ..model import settings
from ..model.clock import from_ms, lifetime_ms
from ..model.records import Context, GoneReason, RefreshKind
from .conditions import ONE, is_live, number, state_of
from .engine import Database
from .rows import AdvancedRow

BURST_WINDOW, MIN_AGE = lifetime_ms(settings.BURST_WINDOW), lifetime_ms(settings.MIN_AGE)


class Token(Protocol):
    """What the transition asks of a long token."""

    @property
    def session_id(self) -> str: ...
    @property
    def secret_hash(self) -> bytes: ...
    @property
    def generation(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """The token was good: what the new short session is made of, and whether the browser gets a child of the token."""

    kind: RefreshKind
    user_id: str
    device_id: str
    expires_at: datetime
    auth_time: datetime
    amr: tuple[str, ...]
    persistent: bool
    claims: Mapping[str, Any]
    short_not_before: datetime | None
    previous: Context | None

    @property
    def gets_child(self) -> bool:
        """HOLD alone leaves the browser the token it has."""
        return self.kind != "hold"


@dataclass(frozen=True, slots=True)
class Gone:
    """The session no longer serves. ``found_now`` is true for the one call that found the reuse and ended it."""

    reason: GoneReason
    user_id: str | None = None
    found_now: bool = False
    previous: Context | None = None


class Rotation:
    """The statements of one database; built once, since they never change."""

    def __init__(self, database: Database, idle_lifetime: timedelta) -> None:
        self._database = database
        self._idle_lifetime = lifetime_ms(idle_lifetime)
        self._session = database.tables.session

    def present(self, token: Token, context: Context, at: datetime) -> Accepted | Gone:
        """Move the row on as far as this authentic token allows.

        One statement when it moves, two when it does not, three for a reuse. Raises :class:`StoreUnavailable`; then
        nothing was changed, or the change is harmless to present again.
        """
        now = self._database.time(at)
        values = self._values(token, context, now)
        return self._database.run(
            lambda connection: self._present(connection, token, values, now),
            lambda connection: self._present_again(connection, token, values, now),
            writes=True,
        )

    def _values(self, token: Token, context: Context, now: int) -> dict[str, Any]:
        return {
            "sid": token.session_id,
            "secret": token.secret_hash,
            "g": token.generation,
            "h": token.hash,
            "parent": token.parent_hash,
            "now": now,
            "from_ip": context.ip,  # not "ip": an UPDATE would take that for the column
            "from_user_agent": context.user_agent,
            "idle": now + self._idle_lifetime,
        }

    def _present_again(self, connection: Connection, token: Token, values: dict[str, Any], now: int) -> Accepted | Gone:
        """After an attempt whose answer was lost: what that one did is told as done, for nobody was told of it yet."""
        verdict = self._present(connection, token, values, now)
        row = connection.execute(self._select, values).one_or_none()
        if row is None:
            return verdict
        if isinstance(verdict, Accepted):
            return _accepted(_kind_of(row), row) if verdict.kind == "reissue" and row.rotated_at == now else verdict
        found_by = (row.end_reason, row.ended_at, row.previous_ip, row.previous_user_agent)
        if found_by == ("reuse", now, values["from_ip"], values["from_user_agent"]):
            return replace(verdict, found_now=True, previous=Context(row.ip, row.user_agent))
        return verdict

    def look(self, token: Token, at: datetime) -> Accepted | Gone | None:
        """What this authentic token would be given, without moving the row; None for a spent one. One statement."""
        values = {"sid": token.session_id, "secret": token.secret_hash}
        row = self._database.run(lambda connection: connection.execute(self._select, values).one_or_none())
        return _classify(row, token, self._database.time(at))

    def look_up(self, session_id: str, at: datetime) -> Accepted | Gone:
        """What a session holds, whatever its tokens. One statement."""
        stmt = select(self._session).where(self._session.c.id == session_id)
        row = self._database.run(lambda connection: connection.execute(stmt).one_or_none())
        return _gone(row, self._database.time(at)) or _accepted("hold", row)

    def advance(self, token: Token, context: Context, at: datetime) -> Accepted | None:
        """Move the row on if this authentic token allows; None, and no second statement, where it does not.

        Raises :class:`StoreUnavailable`, as :meth:`present` does.
        """
        values = self._values(token, context, self._database.time(at))
        return self._database.run(lambda connection: self._move_on(connection, values), writes=True)

    def _move_on(self, connection: Connection, values: dict[str, Any]) -> Accepted | None:
        if connection.dialect.update_returning:
            found = connection.execute(self._advance, values).one_or_none()
            row: Any = None if found is None else AdvancedRow(*found)  # whose attributes cost a tenth of a Row's
        else:  # MySQL and MariaDB: what was written is read back in a transaction of its own
            changed = connection.execute(self._advance, values).rowcount
            row = connection.execute(self._select, values).one_or_none() if changed else None
        if row is None:
            return None
        return _accepted(_kind_of(row), row)

    def _present(self, connection: Connection, token: Token, values: dict[str, Any], now: int) -> Accepted | Gone:
        accepted = self._move_on(connection, values)
        if accepted is not None:
            return accepted
        row = connection.execute(self._select, values).one_or_none()
        return _classify(row, token, now) or self._end_reused(connection, row, values)

    def _end_reused(self, connection: Connection, row: Any, values: dict[str, Any]) -> Gone:
        changed = connection.execute(self._end, values).rowcount
        return Gone("reuse", row.user_id, found_now=changed == 1, previous=Context(row.ip, row.user_agent))

    @cached_property
    def _select(self) -> Select[Any]:
        c = self._session.c
        return select(self._session).where(c.id == bindparam("sid"), c.secret_hash == bindparam("secret"))

    @cached_property
    def _end(self) -> Update:
        c = self._session.c
        return (
            update(self._session)
            .where(c.id == bindparam("sid"), c.ended_at.is_(None))
            .values(
                ended_at=bindparam("now"),
                end_reason="reuse",
                previous_ip=bindparam("from_ip"),
                previous_user_agent=bindparam("from_user_agent"),
            )
        )

    @cached_property
    def _advance(self) -> Any:
        c = self._session.c
        g, h = bindparam("g", type_=c.generation.type), bindparam("h", type_=c.token_hash.type)
        now, idle = bindparam("now", type_=c.rotated_at.type), bindparam("idle", type_=c.rotated_at.type)
        parent = bindparam("parent", type_=c.token_hash.type)
        promote = (c.generation == g - ONE) & (c.token_hash == parent) & (now - c.rotated_at > number(MIN_AGE))
        is_current = (c.generation == g) & (c.token_hash == h)
        reopen = is_current & (now - c.rotated_at > number(BURST_WINDOW)) & (c.reopened < number(settings.MAX_REOPENS))
        rollback = c.generation < g - ONE
        reopens = c.generation == g
        stmt = (
            update(self._session)
            .where(c.id == bindparam("sid"), c.secret_hash == bindparam("secret"), is_live(c, now))
            .where(or_(promote, reopen, rollback))
            .ordered_values(
                # MySQL evaluates left to right: what reads generation, ip or user_agent stands before they change
                (c.reopened, case((reopens, c.reopened + ONE), else_=number(0))),
                (c.last_step, g - c.generation),
                (c.previous_ip, case((reopens, c.ip), else_=null())),
                (c.previous_user_agent, case((reopens, c.user_agent), else_=null())),
                (c.ip, bindparam("from_ip", type_=c.ip.type)),
                (c.user_agent, bindparam("from_user_agent", type_=c.user_agent.type)),
                (c.rotated_at, now),
                (c.token_hash, h),
                (c.generation, g),
                (c.last_seen_at, now),
                (c.idle_expires_at, case((idle < c.expires_at, idle), else_=c.expires_at)),
            )
        )
        read_back = [c[name] for name in AdvancedRow.__annotations__]
        return stmt.returning(*read_back) if self._database.engine.dialect.update_returning else stmt


def _classify(row: Row[Any] | None, token: Token, now: int) -> Accepted | Gone | None:
    """What it means that the statement matched no row; None is a reuse."""
    gone = _gone(row, now)
    if gone is not None or row is None:
        return gone
    if row.generation == token.generation and row.token_hash == token.hash:
        return _accepted("reissue", row)
    is_child = row.generation == token.generation - 1 and row.token_hash == token.parent_hash
    if is_child or row.generation < token.generation - 1:
        return _accepted("hold", row)
    return None


def _gone(row: Row[Any] | None, now: int) -> Gone | None:
    """Why a session no longer serves, if it does not."""
    if row is None:
        return Gone("missing")
    state = state_of(row, now)
    return None if state == "live" else Gone(row.end_reason if state == "ended" else state, row.user_id)


def _kind_of(row: Any) -> RefreshKind:
    """Which row of the table it was that the statement matched."""
    return "promote" if row.last_step == 1 else "reopen" if row.last_step == 0 else "rollback"


def _accepted(kind: RefreshKind, row: Any) -> Accepted:
    return Accepted(
        kind=kind,
        user_id=row.user_id,
        device_id=row.device_id,
        expires_at=from_ms(row.expires_at),
        auth_time=from_ms(row.auth_time),
        amr=tuple(row.amr.split()),
        persistent=row.persistent,
        claims=json.loads(row.claims),
        short_not_before=None if row.short_not_before is None else from_ms(row.short_not_before),
        previous=Context(row.previous_ip, row.previous_user_agent) if kind == "reopen" else None,
    )
