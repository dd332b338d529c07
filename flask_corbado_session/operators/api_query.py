"""The query of the operator API: ``sort``, ``filter[]``, ``page`` and ``pageSize``, as in Corbado's Backend API v2.

``sort`` is ``field:asc`` or ``field:desc``. A filter is ``field:operator:value`` with ``eq``, ``gt`` or ``lt``, and all
filters must match. Anything else is an error that names the parameter: a script that lists sessions to revoke them must
not get more of them for a misspelt filter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, case, func, select, true

from ..database.conditions import state_conditions
from ..database.engine import Database
from .paging import COUNTED
from .search import read_time

PAGE_SIZE = 50
LARGEST_PAGE = 200
_LONGEST = 300
_LAST_PAGE = 10**8

STATUSES = ("active", "logged_out", "expired", "inactivity_reached", "revoked")
_LOGGED_OUT = ("signed_out", "superseded")
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {"eq": operator.eq, "gt": operator.gt, "lt": operator.lt}
_TIMES = ("expires", "lastAction", "created", "updated")
FIELDS = ("ID", "userID", *_TIMES, "status")
"""The fields to sort and filter by."""


class QueryError(ValueError):
    """A parameter that cannot be read. ``field`` names it, the text says what it may be."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Query:
    """The checked parameters of a request."""

    sort: str = "created"
    descending: bool = True
    filters: tuple[tuple[str, str, str | int], ...] = ()
    """Field, operator and value."""
    page: int = 1
    page_size: int = PAGE_SIZE


class SessionRow(NamedTuple):
    """A session as the API shows it; times are milliseconds."""

    id: str
    user_id: str
    created_at: int
    last_seen_at: int
    expires_at: int
    status: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of sessions."""

    rows: Sequence[SessionRow]
    total_items: int
    """Exact up to ten thousand. Beyond that, counting would read the whole table. The number is then just high enough
    that a client that fetches page after page reaches the end."""


def read_query(arguments: Mapping[str, list[str]]) -> Query:
    """Read a URL's parameters, each a list of values; :class:`QueryError` for any that cannot be read."""
    for name, values in arguments.items():
        if name not in ("sort", "filter[]", "page", "pageSize"):
            raise QueryError(name, f"Unknown parameter {name!r}; known are sort, filter[], page and pageSize.")
        if name != "filter[]" and len(values) > 1:
            raise QueryError(name, f"The parameter {name!r} is given more than once.")
    sort, descending = _sort(arguments.get("sort", ["created:desc"])[0])
    filters = tuple(_filter(text) for text in arguments.get("filter[]", []))
    page = _number("page", arguments.get("page", ["1"])[0], _LAST_PAGE)
    size = _number("pageSize", arguments.get("pageSize", [str(PAGE_SIZE)])[0], LARGEST_PAGE)
    return Query(sort, descending, filters, page, size)


def _sort(text: str) -> tuple[str, bool]:
    field, _, direction = text.partition(":")
    if field not in FIELDS or direction not in ("asc", "desc"):
        raise QueryError("sort", f"sort takes field:asc or field:desc; the fields are {', '.join(FIELDS)}.")
    return field, direction == "desc"


def _filter(text: str) -> tuple[str, str, str | int]:
    field, _, rest = text.partition(":")
    comparison, colon, value = rest.partition(":")
    if field not in FIELDS or comparison not in _OPERATORS or not colon or not 0 < len(value) <= _LONGEST:
        raise QueryError(
            "filter[]",
            f"filter[] takes field:operator:value; the fields are {', '.join(FIELDS)}, "
            f"the operators {', '.join(_OPERATORS)}.",
        )
    if field in _TIMES:
        try:
            return field, comparison, read_time(value)
        except ValueError as error:
            raise QueryError("filter[]", f"The value of {field} is {error}.") from None
    if field == "status" and (comparison != "eq" or value not in STATUSES):
        raise QueryError("filter[]", f"status takes the operator eq, and one of {', '.join(STATUSES)}.")
    if not value.isprintable():
        raise QueryError("filter[]", f"The value of {field} has characters that no ID has.")
    return field, comparison, value


def _number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= largest):
        raise QueryError(name, f"{name} takes an integer from 1 to {largest}.")
    return int(text)


def list_sessions(database: Database, table: Table, query: Query, now: int) -> SessionPage:
    """Read a page of sessions. Three statements: the page's ids, the number of matches, and the page's rows."""
    columns = _columns(table, now)
    matches = _condition(table, query, now)
    by = [columns[query.sort], table.c.id] if query.sort != "ID" else [table.c.id]
    order = [column.desc() if query.descending else column.asc() for column in by]
    offset = (query.page - 1) * query.page_size
    # the ids alone, which an index may hold: the skipped rows then need not be read
    stmt = select(table.c.id).where(matches).order_by(*order).limit(query.page_size + 1).offset(offset)
    ids = database.run(lambda connection: list(connection.execute(stmt).scalars()))
    count = _count(database, table, query, matches)
    seen = offset + len(ids)  # one more than shown, where there is one
    total = count if count <= COUNTED or not ids else max(count, seen)
    return SessionPage(_rows(database, table, columns["status"], ids[: query.page_size]), total)


def _condition(table: Table, query: Query, now: int) -> ColumnElement[bool]:
    columns, states = _columns(table, now), _states(table, now)
    conditions = [
        states[str(value)] if field == "status" else _OPERATORS[comparison](columns[field], value)
        for field, comparison, value in query.filters
    ]
    return and_(true(), *conditions)


def _count(database: Database, table: Table, query: Query, matches: ColumnElement[bool]) -> int:
    ids = select(table.c.id).where(matches)
    if ("status", "eq", "active") in query.filters:
        ids = ids.order_by(table.c.created_at.desc())  # live sessions are among the newest: found without a long walk
    stmt = select(func.count()).select_from(ids.limit(COUNTED + 1).subquery())
    return database.run(lambda connection: connection.execute(stmt).scalar_one())


def _rows(database: Database, table: Table, status: ColumnElement[str], ids: list[str]) -> list[SessionRow]:
    if not ids:
        return []
    c = table.c
    stmt = select(c.id, c.user_id, c.created_at, c.last_seen_at, c.expires_at, status).where(c.id.in_(ids))
    rows = database.run(lambda connection: [SessionRow(*row) for row in connection.execute(stmt)])
    by_id = {row.id: row for row in rows}
    return [by_id[session_id] for session_id in ids if session_id in by_id]


def _states(table: Table, now: int) -> dict[str, ColumnElement[bool]]:
    """The condition of each status, written so that a planner can estimate it."""
    c = table.c
    signed_out, states = c.end_reason.in_(_LOGGED_OUT), state_conditions(c, now)
    return {
        "active": states["live"],
        "logged_out": states["ended"] & signed_out,
        "revoked": states["ended"] & ~signed_out,
        "expired": states["expired"],
        "inactivity_reached": states["idle"],
    }


def _columns(table: Table, now: int) -> dict[str, ColumnElement[Any]]:
    c = table.c
    status = case(*((condition, status) for status, condition in _states(table, now).items()))
    updated = case((c.ended_at > c.last_seen_at, c.ended_at), else_=c.last_seen_at)
    by_name = (c.id, c.user_id, c.expires_at, c.last_seen_at, c.created_at, updated, status)
    return dict(zip(FIELDS, by_name, strict=True))
