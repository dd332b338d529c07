"""How the long session rotates: PROTOCOL.md's transition as one statement, and what its silence means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, null, or_, select, update

from ..model.clock import lifetime_ms
from ..model.records import Context, GoneReason, RefreshKind
from ..tokens.long import LongToken
from .engine import Database
from .tables import Tables

BURST_WINDOW = 10_000
"""Milliseconds in which a token used again is an echo of the same burst."""
MIN_AGE = 60_000
"""Milliseconds before which a child does not replace its parent."""
MAX_REOPENS = 8
"""How often one token is reopened without a child of it being used."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The token was good: what the new short session is made of, and whether the browser gets a child of it."""

    kind: RefreshKind
    user_id: str
    device_id: str
    expires_at: int
    auth_time: int
    amr: tuple[str, ...]
    persistent: bool
    claims: Mapping[str, Any]
    short_not_before: int | None
    previous: Context | None

    @property
    def gets_child(self) -> bool:
        """HOLD alone leaves the browser the token it has."""
        return self.kind != "hold"


@dataclass(frozen=True, slots=True)
class Gone:
    """The session no longer serves. ``found_now`` is true in the one call that found the reuse, with both contexts."""

    reason: GoneReason
    user_id: str | None = None
    found_now: bool = False
    previous: Context | None = None


class Rotation:
    """The statements of one database; built once, since they never change."""

    def __init__(self, database: Database, tables: Tables, idle_lifetime: timedelta) -> None:
        self._database = database
        self._idle = lifetime_ms(idle_lifetime)
        self._session = tables.session
        columns = self._session.c
        self._classify = select(self._session).where(columns.id == bindparam("sid"), columns.secret_hash == _secret())
        self._revoke = (
            update(self._session)
            .where(columns.id == bindparam("sid"), columns.ended_at.is_(None))
            .values(
                ended_at=bindparam("now"),
                end_reason="reuse",
                previous_ip=bindparam("from_ip"),
                previous_user_agent=bindparam("ua"),
            )
        )

    def present(self, token: LongToken, context: Context, now: int) -> Accepted | Gone:
        """Move the row on as far as this authentic token allows. One statement when it does, else two, three for theft.

        Raises :class:`StoreUnavailable`; then nothing was changed, or what was is harmless to present again.
        """
        values = {
            "sid": token.session_id,
            "s": token.secret_hash,
            "g": token.generation,
            "h": token.hash,
            "parent": token.parent_hash,
            "now": now,
            "from_ip": context.ip,  # not "ip": an UPDATE would take that for the column
            "ua": context.user_agent,
            "idle": now + self._idle,
        }
        return self._database.run(lambda connection: self._present(connection, token, values, now))

    def _present(self, connection: Connection, token: LongToken, values: dict[str, Any], now: int) -> Accepted | Gone:
        if connection.dialect.update_returning:
            row = connection.execute(self._advance, values).one_or_none()
        else:  # MySQL and MariaDB: what was written is read back in a transaction of its own
            changed = connection.execute(self._advance, values).rowcount
            row = connection.execute(self._classify, values).one_or_none() if changed else None
        if row is not None:
            kind: RefreshKind = "promote" if row.last_step == 1 else "reopen" if row.last_step == 0 else "rollback"
            return _accepted(kind, row)
        row = connection.execute(self._classify, values).one_or_none()
        verdict = _classify(row, token, now)
        if verdict is None:
            return self._end_stolen(connection, row, values)
        return verdict

    def _end_stolen(self, connection: Connection, row: Any, values: dict[str, Any]) -> Gone:
        changed = connection.execute(self._revoke, values).rowcount
        return Gone("reuse", row.user_id, found_now=changed == 1, previous=Context(row.ip, row.user_agent))

    @cached_property
    def _advance(self) -> Any:
        c = self._session.c
        sid: Any = bindparam("sid")
        g, h = bindparam("g", type_=c.generation.type), bindparam("h", type_=c.token_hash.type)
        now, idle = bindparam("now", type_=c.rotated_at.type), bindparam("idle", type_=c.rotated_at.type)
        promote = (
            (c.generation == g - 1)
            & (c.token_hash == bindparam("parent", type_=c.token_hash.type))
            & (now - c.rotated_at > MIN_AGE)
        )
        reopen = (
            (c.generation == g) & (c.token_hash == h) & (now - c.rotated_at > BURST_WINDOW) & (c.reopened < MAX_REOPENS)
        )
        rollback = c.generation < g - 1
        alive = c.ended_at.is_(None) & (c.expires_at > now) & (c.idle_expires_at > now)
        statement = (
            update(self._session)
            .where(c.id == sid, c.secret_hash == _secret(), alive, or_(promote, reopen, rollback))
            .ordered_values(
                # MySQL evaluates left to right: whatever reads gen, ip or user_agent stands before they change
                (c.reopened, case((c.generation == g, c.reopened + 1), else_=0)),
                (c.last_step, g - c.generation),
                (c.previous_ip, case((c.generation == g, c.ip), else_=null())),
                (c.previous_user_agent, case((c.generation == g, c.user_agent), else_=null())),
                (c.ip, bindparam("from_ip", type_=c.ip.type)),
                (c.user_agent, bindparam("ua", type_=c.user_agent.type)),
                (c.rotated_at, now),
                (c.token_hash, h),
                (c.generation, g),
                (c.last_seen_at, now),
                (c.idle_expires_at, case((idle < c.expires_at, idle), else_=c.expires_at)),
            )
        )
        read_back = (
            c.user_id, c.device_id, c.expires_at, c.auth_time, c.amr, c.persistent, c.claims, c.last_step,
            c.short_not_before, c.previous_ip, c.previous_user_agent,
        )  # fmt: skip
        return statement.returning(*read_back) if self._database.engine.dialect.update_returning else statement


def _secret() -> Any:
    return bindparam("s")


def _classify(row: Row[Any] | None, token: LongToken, now: int) -> Accepted | Gone | None:
    """What it means that nothing was written; None is theft."""
    if row is None:
        return Gone("missing")
    if row.ended_at is not None:
        return Gone(row.end_reason, row.user_id)
    if row.expires_at <= now:
        return Gone("expired", row.user_id)
    if row.idle_expires_at <= now:
        return Gone("idle", row.user_id)
    if row.generation == token.generation and row.token_hash == token.hash:
        return _accepted("reissue", row)
    if row.generation < token.generation - 1 or (
        row.generation == token.generation - 1 and row.token_hash == token.parent_hash
    ):
        return _accepted("hold", row)
    return None


def _accepted(kind: RefreshKind, row: Any) -> Accepted:
    previous = Context(row.previous_ip, row.previous_user_agent) if kind == "reopen" else None
    return Accepted(
        kind,
        row.user_id,
        row.device_id,
        row.expires_at,
        row.auth_time,
        tuple(row.amr.split()),
        row.persistent,
        json.loads(row.claims),
        row.short_not_before,
        previous,
    )
