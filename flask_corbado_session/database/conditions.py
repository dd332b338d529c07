"""What a session's row amounts to at a time: said once in SQL and once in Python, here and nowhere else."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_

from ..model.records import SessionState


class TimeColumns(Protocol):
    """The columns of a session that decide: a table's ``c``, or expressions of the same names."""

    @property
    def ended_at(self) -> Any: ...
    @property
    def expires_at(self) -> Any: ...
    @property
    def idle_expires_at(self) -> Any: ...


def state_conditions(columns: TimeColumns, now: Any) -> dict[SessionState, ColumnElement[bool]]:
    """The condition of each state at ``now`` (milliseconds, or a bind parameter): exactly one holds for a row."""
    unended, unexpired = columns.ended_at.is_(None), columns.expires_at > now
    return {
        "live": and_(unended, unexpired, columns.idle_expires_at > now),
        "ended": columns.ended_at.is_not(None),
        "expired": and_(unended, columns.expires_at <= now),
        "idle": and_(unended, unexpired, columns.idle_expires_at <= now),
    }


def is_live(columns: TimeColumns, now: Any) -> ColumnElement[bool]:
    """The session serves at ``now``: it was not ended, and neither its end nor its idle timeout has come."""
    return state_conditions(columns, now)["live"]


def state_of(row: TimeColumns, now: int) -> SessionState:
    """The state of a row that was read, at ``now`` (milliseconds)."""
    if row.ended_at is not None:
        return "ended"
    if row.expires_at <= now:
        return "expired"
    return "idle" if row.idle_expires_at <= now else "live"
