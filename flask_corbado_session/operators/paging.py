"""Keyset pagination through tables of any size. An unindexed search reads bounded windows and stops after 0.4 s.

A search for what no index holds (an address, a browser) could read a million rows to find one. So it walks the table
window by window along an index, stops at its time limit, and says how far it got. The next page continues there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

from ..database.engine import Database
from ..database.windows import SIZES, Cursor, Order, Window, windows

PAGE = 50
BUDGET = 0.4
"""Seconds after which a search stops and says how far it got. Each of its statements takes a fraction of that."""
COUNTED = 10_000
"""Rows are counted up to this number; beyond it, "more than" is enough."""
_WINDOW = SIZES
"""How many rows one statement of a search reads."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursor of the next page: None on the last one."""

    rows: Sequence[Row[Any]]
    next: Cursor | None = None
    reached: str | int | None = None
    """How far a search got (the first column's value) when it stopped before the page was full; else None."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows; if ``is_more``, there are more than that."""

    number: int
    is_more: bool = False


class Paginator:
    """Reads pages of rows, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, stmt: Select[Any], order: Order, after: Cursor | None, *, is_search: bool, size: int = PAGE) -> Page:
        """A page of ``stmt``, whose rows begin with the columns of ``order``. One statement, unless it is a search."""
        ordered = stmt.order_by(*order.by())
        if is_search:
            return self._search(ordered, order, after, size)
        rows = self._all(ordered.where(order.after(after)).limit(size + 1))
        return _full(rows, order, size) or Page(rows)

    def count(self, stmt: Select[Any], order: Order, *, is_search: bool) -> Count:
        """How many rows ``stmt`` has, up to ten thousand. A search counts as far as it gets within its time limit."""
        if not is_search:
            return _count(self._number_of(stmt.where(order.within)), False)
        number, end = 0, None
        for in_window, reached in self._windows(order, None):
            end = reached
            number += self._number_of(stmt.where(in_window))
            if number > COUNTED:
                break
        return _count(number, end is not None)

    def _number_of(self, stmt: Select[Any]) -> int:
        limited = stmt.limit(COUNTED + 1).subquery()
        return int(self._one(select(func.count()).select_from(limited)))

    def _search(self, ordered: Select[Any], order: Order, after: Cursor | None, size: int) -> Page:
        rows: list[Row[Any]] = []
        end = None
        for in_window, reached in self._windows(order, after):
            end = reached
            rows += self._all(ordered.where(in_window).limit(size + 1 - len(rows)))
            if page := _full(rows, order, size):
                return page
        return Page(rows) if end is None else Page(rows, (end,), end)

    def _windows(self, order: Order, after: Cursor | None) -> Iterator[Window]:
        return windows(self._database, order, after, seconds=BUDGET, sizes=_WINDOW)

    def _all(self, stmt: Select[Any]) -> list[Row[Any]]:
        return self._database.run(lambda connection: list(connection.execute(stmt).all()))

    def _one(self, stmt: Select[Any]) -> Any:
        return self._database.run(lambda connection: connection.execute(stmt).scalar())


def _full(rows: Sequence[Row[Any]], order: Order, size: int) -> Page | None:
    """The page with a cursor to the next one, if there are more rows than it holds; else None."""
    if len(rows) <= size:
        return None
    return Page(rows[:size], tuple(rows[size - 1][: len(order.columns)]))


def _count(number: int, is_more: bool) -> Count:
    return Count(COUNTED, True) if number > COUNTED else Count(number, is_more)
