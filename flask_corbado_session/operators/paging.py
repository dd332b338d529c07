"""Keyset pagination through tables of any size. An unindexed search reads bounded windows and stops after 0.4 s.

A search for what no index holds (an address, a browser) could read a million rows to find one. So it walks the table
window by window along an index, stops at its time limit, and says how far it got. The next page continues there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, true

from ..database.engine import Database

PAGE = 50
BUDGET = 0.4
"""Seconds after which a search stops and says how far it got. Each of its statements takes a fraction of that."""
COUNTED = 10_000
"""Rows are counted up to this number; beyond it, "more than" is enough."""
_WINDOW = range(1_000, 20_001)
"""How many rows one statement of a search reads: few at first, then as many as take :data:`_AIM`."""
_AIM = 0.05
"""Seconds that such a statement should take."""

Cursor = tuple[str | int, ...]
"""The values of the order's columns in the last row of a page. It may end early, see :meth:`Order.after`."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a table's rows. The first column has an index, the last one is unique."""

    columns: tuple[ColumnElement[Any], ...]
    descending: bool = False
    within: ColumnElement[bool] = field(default_factory=true)
    """A condition that the index itself answers."""

    def by(self) -> list[ColumnElement[Any]]:
        """The expressions for ``order_by``."""
        return [column.desc() if self.descending else column.asc() for column in self.columns]

    def after(self, cursor: Cursor | None) -> ColumnElement[bool]:
        """The rows after a cursor; all rows for None. A cursor that ends early skips all rows that begin with it.

        Row values, ``(a, b) < (x, y)``, would say the same, but not every database uses an index for them.
        """
        if cursor is None:
            return self.within
        same = [column == value for column, value in zip(self.columns, cursor, strict=False)]
        later = [self._is_after(column, value) for column, value in zip(self.columns, cursor, strict=False)]
        either = or_(*(and_(*same[:n], later[n]) for n in range(len(cursor))))
        first = self.columns[0]
        return and_(self.within, first <= cursor[0] if self.descending else first >= cursor[0], either)

    def up_to(self, value: str | int) -> ColumnElement[bool]:
        """The rows up to a value of the first column, those with that value included."""
        return self.columns[0] >= value if self.descending else self.columns[0] <= value

    def _is_after(self, column: ColumnElement[Any], value: str | int) -> ColumnElement[bool]:
        return column < value if self.descending else column > value


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

    def _windows(self, order: Order, after: Cursor | None) -> Iterator[tuple[ColumnElement[bool], str | int | None]]:
        """The conditions of consecutive windows, each with the first column's value that the window reaches (None at
        the end of the table). They stop at the time limit."""
        size, started = _WINDOW.start, monotonic()
        while True:
            begun = monotonic()
            end = self._window_end(order, after, size)
            yield order.after(after) if end is None else order.after(after) & order.up_to(end), end
            now = monotonic()
            if end is None or now - started > BUDGET:
                return
            after = (end,)
            size = min(max(int(size * min(_AIM / (now - begun), 4)), _WINDOW.start), _WINDOW.stop - 1)

    def _window_end(self, order: Order, after: Cursor | None, size: int) -> str | int | None:
        """The first column's value ``size`` rows on, read from the index alone; None near the end of the table."""
        (first, *_), (by, *_) = order.columns, order.by()
        value = self._one(select(first).where(order.after(after)).order_by(by).offset(size - 1).limit(1))
        return cast("str | int | None", value)

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
