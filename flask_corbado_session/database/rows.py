"""Rows as records and records as rows: the one place that knows which column is which field.

Times are integer milliseconds in the rows and datetimes everywhere above this room.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import CompoundSelect, Connection, CursorResult

from ..model.clock import from_ms, to_ms
from ..model.records import Context, Device, LongSession


@dataclass(slots=True, eq=False)
class NewSession:
    """A session about to start."""

    session_id: str
    user_id: str
    device_id: str
    secret_hash: bytes = field(repr=False)
    root_hash: bytes = field(repr=False)
    persistent: bool
    claims: Mapping[str, Any]
    amr: Sequence[str]
    context: Context
    created_at: datetime
    idle_expires_at: datetime
    expires_at: datetime
    auth_time: datetime | None = None
    """When the user proved who they are; when the session was made, by default."""

    def as_row(self) -> dict[str, Any]:
        """The columns of its row (PROTOCOL.md, "Row")."""
        created_at = to_ms(self.created_at)
        return {
            "id": self.session_id,
            "user_id": self.user_id,
            "device_id": self.device_id,
            "secret_hash": self.secret_hash,
            "generation": 0,
            "token_hash": self.root_hash,
            "rotated_at": created_at,
            "reopened": 0,
            "last_step": 0,
            "created_at": created_at,
            "last_seen_at": created_at,
            "idle_expires_at": to_ms(self.idle_expires_at),
            "expires_at": to_ms(self.expires_at),
            "persistent": self.persistent,
            "claims": json.dumps(dict(self.claims)),
            "auth_time": to_ms(self.auth_time or self.created_at),
            "amr": " ".join(self.amr),
            "ip": self.context.ip,
            "user_agent": self.context.user_agent,
        }


class CarriedOver(NamedTuple):
    """What a session made at a step-up has from the one before it."""

    persistent: bool = True
    claims: Mapping[str, Any] = {}
    """Those of the sign-in."""
    lifetime: timedelta | None = None


def long_session(row: Any, current_id: str | None = None, device_title: str = "") -> LongSession:
    """The record of a row of the session table."""
    has_previous = row.previous_ip is not None or row.previous_user_agent is not None
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
        previous=Context(row.previous_ip, row.previous_user_agent) if has_previous else None,
        is_current=row.id == current_id,
        bound=row.binding_key is not None,
        device_title=device_title,
    )


def device(row: Any, sessions: Sequence[LongSession] = (), prefix: str = "") -> Device:
    """The record of a row of the device table, whose columns carry ``prefix`` where it was joined to sessions."""
    values = {name: getattr(row, prefix + name) for name in _DEVICE_FIELDS}
    return Device(
        **values,
        first_seen_at=from_ms(getattr(row, prefix + "first_seen_at")),
        sessions=tuple(sorted(sessions, key=lambda session: not session.is_current)),
        is_current=any(session.is_current for session in sessions),
    )


_DEVICE_FIELDS = ("id", "user_id", "name", "browser", "system", "device_type", "user_agent")


def plain_tuples(connection: Connection, stmt: CompoundSelect[Any]) -> list[tuple[str, int]]:
    """A text and an integer each, as the driver read them, without SQLAlchemy's rows around them.

    The integers need no conversion; the texts do where they are kept as bytes, as on MariaDB.
    """
    dialect = connection.dialect
    kind = stmt.selected_columns[0].type.dialect_impl(dialect)
    to_text: Callable[[Any], Any] | None = kind.result_processor(dialect, None)
    with connection.execute(stmt) as result:
        rows = cast(CursorResult[Any], result).cursor.fetchall()
    return list(rows) if to_text is None else [(to_text(text), integer) for text, integer in rows]
