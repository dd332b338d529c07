"""How the long session rotates: PROTOCOL.md's transition as one statement, and how a statement that matched no row is
classified."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Update,
    bindparam,
    case,
    literal_column,
    null,
    or_,
    select,
    update,
)

from ..model import settings
from ..model.clock import lifetime_ms
from ..model.records import Context
from .conditions import is_live
from .engine import Database
from .verdicts import Accepted, Gone, ProofMissing, Token, Verdict, accepted_by, gone, kind_of

BURST_WINDOW, MIN_AGE = lifetime_ms(settings.BURST_WINDOW), lifetime_ms(settings.MIN_AGE)


def _number(value: int) -> ColumnElement[int]:
    """A number in the statement's text: each parameter costs as much as ten columns."""
    return literal_column(str(value), Integer)


_ONE = _number(1)


class _Advanced(NamedTuple):
    """What the statement that moves a row on reads back of it."""

    user_id: str
    expires_at: int
    auth_time: int
    amr: str
    persistent: bool
    claims: str
    last_step: int
    short_not_before: int | None
    previous_ip: str | None
    previous_user_agent: str | None


class Rotation:
    """The statements of one database; built once, since they never change.

    With ``binds``, the row of a bound session is moved on by a proven token alone. Without it no session is bound, and
    one that was becomes unbound at its next refresh.
    """

    def __init__(self, database: Database, idle_lifetime: timedelta, *, binds: bool = False) -> None:
        self._database = database
        self._idle_lifetime = lifetime_ms(idle_lifetime)
        self._session = database.tables.session
        self._binds = binds

    def present(self, token: Token, context: Context, at: datetime, *, proven: bool = False) -> Verdict:
        """Move the row on as far as this authentic token allows.

        One statement when it moves, two when it does not, three for a reuse. Raises :class:`StoreUnavailable`; then
        nothing was changed, or the change is harmless to present again.
        """
        now = self._database.time(at)
        values = self._values(token, context, now)
        return self._database.run(
            lambda connection: self._present(connection, token, values, now, proven),
            lambda connection: self._present_again(connection, token, values, now, proven),
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
        }

    def _present_again(
        self, connection: Connection, token: Token, values: dict[str, Any], now: int, proven: bool
    ) -> Verdict:
        """After an attempt whose answer was lost: what that one did is told as done, for nobody was told of it yet."""
        verdict = self._present(connection, token, values, now, proven)
        row = connection.execute(self._select, values).one_or_none()
        if row is None or isinstance(verdict, ProofMissing):
            return verdict
        if isinstance(verdict, Accepted):
            was_moved = verdict.kind == "reissue" and row.rotated_at == now
            return accepted_by(kind_of(row), row, bound=verdict.bound) if was_moved else verdict
        found_by = (row.end_reason, row.ended_at, row.previous_ip, row.previous_user_agent)
        if found_by == ("reuse", now, values["from_ip"], values["from_user_agent"]):
            return verdict._replace(found_now=True, previous=Context(row.ip, row.user_agent))
        return verdict

    def look(self, token: Token, at: datetime) -> Verdict | None:
        """What this authentic token would be given, without moving the row; None for a spent one. One statement."""
        values = {"sid": token.session_id, "secret": token.secret_hash}
        row = self._database.run(lambda connection: connection.execute(self._select, values).one_or_none())
        return self._classify(row, token, self._database.time(at))

    def look_up(self, session_id: str, at: datetime) -> Accepted | Gone:
        """What a session holds, whatever its tokens. One statement."""
        stmt = select(self._session).where(self._session.c.id == session_id)
        row = self._database.run(lambda connection: connection.execute(stmt).one_or_none())
        bound = self._binds and row is not None and row.binding_key is not None
        return gone(row, self._database.time(at)) or accepted_by("hold", row, bound=bound)

    def advance(self, token: Token, context: Context, at: datetime) -> Accepted | None:
        """Move the row on if this authentic token allows; None, and no second statement, where it does not.

        Raises :class:`StoreUnavailable`, as :meth:`present` does.
        """
        values = self._values(token, context, self._database.time(at))
        return self._database.run(lambda connection: self._move_on(connection, values, proven=False), writes=True)

    def _move_on(self, connection: Connection, values: dict[str, Any], proven: bool) -> Accepted | None:
        advance = self._advance_proven if proven else self._advance
        if connection.dialect.update_returning:
            found = connection.execute(advance, values).one_or_none()
            row: Any = None if found is None else _Advanced(*found)  # whose attributes cost a tenth of a Row's
        else:  # MySQL and MariaDB: what was written is read back in a transaction of its own
            changed = connection.execute(advance, values).rowcount
            row = connection.execute(self._select, values).one_or_none() if changed else None
        if row is None:
            return None
        return accepted_by(kind_of(row), row, bound=proven)

    def _present(self, connection: Connection, token: Token, values: dict[str, Any], now: int, proven: bool) -> Verdict:
        accepted = self._move_on(connection, values, proven)
        if accepted is not None:
            return accepted
        row = connection.execute(self._select, values).one_or_none()
        return self._classify(row, token, now, proven) or self._end_reused(connection, row, values)

    def _classify(self, row: Row[Any] | None, token: Token, now: int, proven: bool = False) -> Verdict | None:
        """What it means that the statement matched no row; None is a reuse."""
        is_gone = gone(row, now)
        if is_gone is not None or row is None:
            return is_gone
        is_current = row.generation == token.generation and row.token_hash == token.hash
        if self._binds and not proven and row.binding_key is not None:
            # the token of before the registration, whose answer was lost: what it holds is not the browser's to prove
            if is_current and token.generation < row.binding_generation:
                return accepted_by("hold", row)
            # a token that is spent is no reuse either: who has copied cookies alone must not end the owner's session
            age = timedelta(milliseconds=now - row.rotated_at)
            return ProofMissing(row.user_id, Context(row.ip, row.user_agent), age)
        if is_current:
            return accepted_by("reissue", row, bound=proven)
        is_child = row.generation == token.generation - 1 and row.token_hash == token.parent_hash
        if is_child or row.generation < token.generation - 1:
            return accepted_by("hold", row, bound=proven)
        return None

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
        """By the token alone: never of a bound session, unless the token is older than what the registration gave."""
        c = self._session.c
        is_free = or_(c.binding_key.is_(None), bindparam("g", type_=c.generation.type) < c.binding_generation)
        return self._advancing([is_free] if self._binds else [], [(c.binding_key, null())])

    @cached_property
    def _advance_proven(self) -> Any:
        return self._advancing([], [])

    def _advancing(self, conditions: Sequence[ColumnElement[bool]], values: Sequence[tuple[Any, Any]]) -> Any:
        c = self._session.c
        g, h = bindparam("g", type_=c.generation.type), bindparam("h", type_=c.token_hash.type)
        now = bindparam("now", type_=c.rotated_at.type)
        idle = now + _number(self._idle_lifetime)
        parent = bindparam("parent", type_=c.token_hash.type)
        promote = (c.generation == g - _ONE) & (c.token_hash == parent) & (now - c.rotated_at > _number(MIN_AGE))
        is_current = (c.generation == g) & (c.token_hash == h)
        reopen = (
            is_current & (now - c.rotated_at > _number(BURST_WINDOW)) & (c.reopened < _number(settings.MAX_REOPENS))
        )
        rollback = c.generation < g - _ONE
        reopens = c.generation == g
        stmt = (
            update(self._session)
            .where(c.id == bindparam("sid"), c.secret_hash == bindparam("secret"), is_live(c, now))
            .where(or_(promote, reopen, rollback), *conditions)
            .ordered_values(
                # MySQL evaluates left to right: what reads generation, ip or user_agent stands before they change
                (c.reopened, case((reopens, c.reopened + _ONE), else_=_number(0))),
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
                *values,
            )
        )
        read_back = [c[name] for name in _Advanced.__annotations__]
        return stmt.returning(*read_back) if self._database.engine.dialect.update_returning else stmt
