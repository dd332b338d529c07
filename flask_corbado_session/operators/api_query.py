"""The query of the operator API: ``sort``, ``filter[]``, ``page`` and ``pageSize``, as in Corbado's Backend API v2.

``sort`` is ``field:asc`` or ``field:desc``. A filter is ``field:operator:value`` with ``eq``, ``gt`` or ``lt``, and all
filters must match. Anything else is an error that names the parameter: a script that lists sessions to revoke them must
not get more of them for a misspelt filter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, case, func, select, true

from ..database.conditions import state_conditions
from ..database.engine import Database
from ..database.windows import Cursor, Order
from .api_sorted import SECONDS, OutOfTime, Walk, count_up_to, first_ids
from .paging import COUNTED
from .search import read_time

PAGE_SIZE = 50
LARGEST_PAGE = 200
_LONGEST = 300
_LONGEST_NAME = 60
"""Characters that are shown of a parameter that nobody knows."""
_LAST_PAGE = 10**8

STATUSES = ("active", "logged_out", "expired", "inactivity_reached", "revoked")
_LOGGED_OUT = ("signed_out", "superseded")
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {"eq": operator.eq, "gt": operator.gt, "lt": operator.lt}
_STEPS = {"created": 100_000, "ID": 100_000, "expires": 10_000, "userID": 10_000}
"""Rows that one statement skips at most: fewer where the index lacks the id, so that each row is read."""
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
            name = name[:_LONGEST_NAME]
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
    """Read a page of sessions: its ids, the number of matches, and its rows.

    Three statements where an index has the order and the filters. Else the first two walk the table in windows.
    """
    columns, matches = _columns(table, now), _condition(table, query, now)
    offset = (query.page - 1) * query.page_size
    if _is_indexed(query):
        ids = _page(database, table, query, columns[query.sort], matches, offset)
        count = _count(database, table, matches)
    else:
        ids, count = _walked(database, table, query, columns, matches, offset)
    seen = offset + len(ids)  # one more than shown, where there is one
    total = max(count, seen) if ids else count
    return SessionPage(_rows(database, table, columns["status"], ids[: query.page_size]), total)


def _is_indexed(query: Query) -> bool:
    """Whether few sessions match, or an index has the order and all filters."""
    if any((field, comparison) in (("ID", "eq"), ("userID", "eq")) for field, comparison, _ in query.filters):
        return True
    return query.sort in _STEPS and all(field == query.sort for field, _, _ in query.filters)


def _page(
    database: Database,
    table: Table,
    query: Query,
    column: ColumnElement[Any],
    matches: ColumnElement[bool],
    offset: int,
) -> list[str]:
    by = (column, table.c.id) if query.sort != "ID" else (table.c.id,)
    order, started = Order(by, query.descending), monotonic()
    after: Cursor | None = None
    step_size = _STEPS.get(query.sort, offset)
    while offset > step_size:  # to a page far down in steps, each of them a short statement
        step = select(*by).where(matches, order.after(after)).order_by(*order.by()).offset(step_size - 1).limit(1)
        row = _one_or_none(database, step)
        if row is None:
            return []
        if monotonic() - started > SECONDS:
            raise QueryError("page", f"To reach page {query.page} takes too long; narrow the list with a filter.")
        after, offset = tuple(row), offset - step_size
    # the ids alone, which an index may hold: the skipped rows then need not be read
    stmt = select(table.c.id).where(matches, order.after(after)).order_by(*order.by())
    stmt = stmt.limit(query.page_size + 1).offset(offset)
    return database.run(lambda connection: list(connection.execute(stmt).scalars()))


def _walked(
    database: Database,
    table: Table,
    query: Query,
    columns: Mapping[str, ColumnElement[Any]],
    matches: ColumnElement[bool],
    offset: int,
) -> tuple[list[str], int]:
    """The ids of a page, and how many sessions match at least."""
    walk, number = _walk(query, columns), offset + query.page_size + 1
    if not walk.is_the_order and number > COUNTED + LARGEST_PAGE:
        raise QueryError("page", f"Sorted by {query.sort}, only the first {COUNTED:,} sessions can be listed.")
    try:
        ids = first_ids(database, walk, columns[query.sort], table.c.id, matches, number)
    except OutOfTime:
        text = "There are too many sessions for this list; narrow it, for example with created:gt or userID:eq."
        raise QueryError("filter[]" if query.filters else "sort", text) from None
    found_all = len(ids) < number
    count = len(ids) if found_all else count_up_to(database, walk, table.c.id, matches, COUNTED)
    return ids[offset:], count


def _walk(query: Query, columns: Mapping[str, ColumnElement[Any]]) -> Walk:
    """The index that leaves most out: a filter's own, else the one that bounds the order."""
    filtered = [field for field in ("created", "expires") if any(field == used for used, _, _ in query.filters)]
    # whoever was last seen was there before the end of the session, and after its start
    by_bound = "expires" if query.sort == "lastAction" and query.descending else "created"
    along = query.sort if query.sort in _STEPS else filtered[0] if filtered else by_bound
    within = [
        _OPERATORS[comparison](columns[field], value) for field, comparison, value in query.filters if field == along
    ]
    is_bounded = query.sort == along or (
        along == by_bound and (query.sort == "lastAction" or (query.sort == "updated" and not query.descending))
    )
    order = Order((columns[along],), query.descending, and_(true(), *within))
    return Walk(order, is_bounded, query.sort == along)


def _condition(table: Table, query: Query, now: int) -> ColumnElement[bool]:
    columns, states = _columns(table, now), _states(table, now)
    conditions = [
        states[str(value)] if field == "status" else _OPERATORS[comparison](columns[field], value)
        for field, comparison, value in query.filters
    ]
    return and_(true(), *conditions)


def _count(database: Database, table: Table, matches: ColumnElement[bool]) -> int:
    ids = select(table.c.id).where(matches).limit(COUNTED + 1).subquery()
    return database.run(lambda connection: connection.execute(select(func.count()).select_from(ids)).scalar_one())


def _one_or_none(database: Database, stmt: Any) -> Any:
    return database.run(lambda connection: connection.execute(stmt).one_or_none())


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
