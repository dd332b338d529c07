"""What the operator API is asked: ``sort``, ``filter[]``, ``page``, ``pageSize`` as Corbado's Backend API v2 has them.

``sort`` is ``field:asc`` or ``field:desc``; a filter is ``field:operator:value`` with ``eq``, ``gt`` or ``lt``, and all
of them must hold. Anything else is refused by name: a script that lists sessions to revoke them must not get more of
them for a misspelt filter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, case, func, select, true

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
"""What can be sorted and filtered by."""


class QueryError(ValueError):
    """A parameter outside the grammar. ``field`` names it; the text says what it may be."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Query:
    """A question, checked."""

    sort: str = "created"
    descending: bool = True
    filters: tuple[tuple[str, str, Any], ...] = ()
    page: int = 1
    page_size: int = PAGE_SIZE


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of sessions, each with its ``status``."""

    rows: Sequence[Row[Any]]
    total_items: int
    """Exact up to ten thousand. Beyond, no number is worth a walk through the table: it is then just high enough that
    whoever goes on while there are pages gets to the end."""


def read_query(arguments: Mapping[str, list[str]]) -> Query:
    """The question in a URL's parameters, each a list; :class:`QueryError` for any that is not in the grammar."""
    for name, values in arguments.items():
        if name not in ("sort", "filter[]", "page", "pageSize"):
            raise QueryError(name, f"There is no parameter {name!r}; known are sort, filter[], page and pageSize.")
        if name != "filter[]" and len(values) > 1:
            raise QueryError(name, f"The parameter {name!r} stands more than once.")
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


def _filter(text: str) -> tuple[str, str, Any]:
    field, _, rest = text.partition(":")
    word, colon, value = rest.partition(":")
    if field not in FIELDS or word not in _OPERATORS or not colon or not 0 < len(value) <= _LONGEST:
        raise QueryError(
            "filter[]",
            f"filter[] takes field:operator:value; the fields are {', '.join(FIELDS)}, "
            f"the operators {', '.join(_OPERATORS)}.",
        )
    if field in _TIMES:
        try:
            return field, word, read_time(value)
        except ValueError as error:
            raise QueryError("filter[]", f"The value of {field} is {error}.") from None
    if field == "status" and (word != "eq" or value not in STATUSES):
        raise QueryError("filter[]", f"status takes the operator eq, and one of {', '.join(STATUSES)}.")
    if not value.isprintable():
        raise QueryError("filter[]", f"The value of {field} has characters that no id has.")
    return field, word, value


def _number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= largest):
        raise QueryError(name, f"{name} takes a whole number from 1 to {largest}.")
    return int(text)


def list_sessions(database: Database, table: Table, query: Query, now: int) -> SessionPage:
    """The sessions asked for. Three statements: which, how many, and what they are."""
    columns = _columns(table, now)
    states = _states(table, now)
    wanted = and_(
        true(),
        *(states[value] for field, _, value in query.filters if field == "status"),
        *(_OPERATORS[word](columns[field], value) for field, word, value in query.filters if field != "status"),
    )
    by = [columns[query.sort], table.c.id] if query.sort != "ID" else [table.c.id]
    order = [column.desc() if query.descending else column.asc() for column in by]
    offset = (query.page - 1) * query.page_size
    # the ids alone, which an index may hold: what is skipped need then not be read
    which = select(table.c.id).where(wanted).order_by(*order).limit(query.page_size + 1).offset(offset)
    ids = database.run(lambda connection: list(connection.execute(which).scalars()))
    some = select(table.c.id).where(wanted)
    if ("status", "eq", "active") in query.filters:
        some = some.order_by(table.c.created_at.desc())  # the live ones are among the newest: found without a long walk
    few = some.limit(COUNTED + 1).subquery()
    counted = database.run(lambda connection: connection.execute(select(func.count()).select_from(few)).scalar_one())
    known = offset + len(ids)  # one more than shown, where there is one
    total = counted if counted <= COUNTED or not ids else max(counted, known)
    return SessionPage(_rows(database, table, columns["status"], ids[: query.page_size]), total)


def _rows(database: Database, table: Table, status: ColumnElement[str], ids: list[str]) -> list[Row[Any]]:
    c = table.c
    shown = (c.id, c.user_id, c.created_at, c.last_seen_at, c.expires_at, status.label("status"))
    asked = select(*shown).where(c.id.in_(ids))
    found = database.run(lambda connection: {row.id: row for row in connection.execute(asked)}) if ids else {}
    return [found[each] for each in ids if each in found]


def _states(table: Table, now: int) -> dict[str, ColumnElement[bool]]:
    """What each status means, in words that a planner can estimate."""
    c = table.c
    signed_out, going_on = c.end_reason.in_(_LOGGED_OUT), c.ended_at.is_(None) & (c.expires_at > now)
    return {
        "active": going_on & (c.idle_expires_at > now),
        "logged_out": c.ended_at.is_not(None) & signed_out,
        "revoked": c.ended_at.is_not(None) & ~signed_out,
        "expired": c.ended_at.is_(None) & (c.expires_at <= now),
        "inactivity_reached": going_on & (c.idle_expires_at <= now),
    }


def _columns(table: Table, now: int) -> dict[str, ColumnElement[Any]]:
    c = table.c
    status = case(*((meaning, status) for status, meaning in _states(table, now).items()))
    updated = case((c.ended_at > c.last_seen_at, c.ended_at), else_=c.last_seen_at)
    by_name = (c.id, c.user_id, c.expires_at, c.last_seen_at, c.created_at, updated, status)
    return dict(zip(FIELDS, by_name, strict=True))
