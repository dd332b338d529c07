"""Pages through tables of any size: by key, never by offset, and a search that finds little looks at so much a time.

A search for what no index holds (an address, a browser) could read a million rows to find one. So it goes through the
table window by window along an index, stops when its time is up, and says how far it got; the next page goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, true

from ..database.engine import Database

PAGE = 50
BUDGET = 0.4
"""Seconds a search goes on for before it says how far it got; each of its statements takes a fraction of that."""
COUNTED = 10_000
"""Beyond this many nobody needs the number."""
_WINDOW = range(1_000, 20_001)
"""Rows one statement of a search looks at: few at first, then as many as it has time for."""
_AIM = 0.05
"""Seconds that such a statement should take."""

Cursor = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A way through a table. The first column has an index, and the last one tells any two rows apart."""

    columns: tuple[ColumnElement[Any], ...]
    descending: bool = False
    within: ColumnElement[bool] = field(default_factory=true)
    """What the index itself can leave out."""

    def by(self) -> list[ColumnElement[Any]]:
        """For ``order_by``."""
        return [column.desc() if self.descending else column.asc() for column in self.columns]

    def after(self, key: Cursor | None) -> ColumnElement[bool]:
        """The rows behind a key. A key that ends early stands for all rows that begin with it.

        Row values, ``(a, b) < (x, y)``, would say the same, but not every database uses an index for them.
        """
        if key is None:
            return self.within
        same = [column == value for column, value in zip(self.columns, key, strict=False)]
        last = [self._behind(column, value) for column, value in zip(self.columns, key, strict=False)]
        either = or_(*(and_(*same[:n], last[n]) for n in range(len(key))))
        first = self.columns[0]
        return and_(self.within, first <= key[0] if self.descending else first >= key[0], either)

    def up_to(self, value: Any) -> ColumnElement[bool]:
        """The rows before a value of the first column, and those with it."""
        return _either(self.columns[0] >= value, self.columns[0] <= value, self.descending)

    def _behind(self, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
        return _either(column < value, column > value, self.descending)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the key to go on after: none at the end."""

    rows: Sequence[Row[Any]]
    next: Cursor | None = None
    reached: Any = None
    """How far a search got (its first column's value) whose time was up before the page was full."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number; if ``is_more``, there are more than that."""

    number: int
    is_more: bool = False


class Paginator:
    """Reads pages on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, asked: Select[Any], order: Order, after: Cursor | None, *, is_search: bool, size: int = PAGE
    ) -> Page:
        """A page of ``asked``, whose rows begin with the columns of ``order``. One statement, unless it is a search."""
        wanted = asked.order_by(*order.by())
        if is_search:
            return self._search(wanted, order, after, size)
        rows = self._all(wanted.where(order.after(after)).limit(size + 1))
        return _full(rows, order, size) or Page(rows)

    def count(self, asked: Select[Any], order: Order, *, is_search: bool) -> Count:
        """How many rows ``asked`` has, up to ten thousand; a search counts as far as it gets in its time."""
        if not is_search:
            return _count(self._number_of(asked.where(order.within)), False)
        number, end = 0, None
        for here, reached in self._windows(order, None):
            end = reached
            number += self._number_of(asked.where(here))
            if number > COUNTED:
                break
        return _count(number, end is not None)

    def _number_of(self, asked: Select[Any]) -> int:
        few = asked.limit(COUNTED + 1).subquery()
        return int(self._one(select(func.count()).select_from(few)))

    def _search(self, wanted: Select[Any], order: Order, after: Cursor | None, size: int) -> Page:
        found: list[Row[Any]] = []
        end = None
        for here, reached in self._windows(order, after):
            end = reached
            found += self._all(wanted.where(here).limit(size + 1 - len(found)))
            if page := _full(found, order, size):
                return page
        return Page(found) if end is None else Page(found, (end,), end)

    def _windows(self, order: Order, after: Cursor | None) -> Iterator[tuple[ColumnElement[bool], Any]]:
        """Conditions that hold in one window after the other, each with the first column's value it reaches, None at
        the end of the table. They stop when the time is up."""
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

    def _window_end(self, order: Order, after: Cursor | None, size: int) -> Any:
        """The first column's value so many rows on, read from the index alone; None near the end of the table."""
        (first, *_), (by, *_) = order.columns, order.by()
        return self._one(select(first).where(order.after(after)).order_by(by).offset(size - 1).limit(1))

    def _all(self, asked: Select[Any]) -> list[Row[Any]]:
        return self._database.run(lambda connection: list(connection.execute(asked).all()))

    def _one(self, asked: Select[Any]) -> Any:
        return self._database.run(lambda connection: connection.execute(asked).scalar())


def _either(
    descending: ColumnElement[bool], ascending: ColumnElement[bool], is_descending: bool
) -> ColumnElement[bool]:
    return descending if is_descending else ascending


def _full(rows: Sequence[Row[Any]], order: Order, size: int) -> Page | None:
    """The page, if these are more rows than it holds."""
    if len(rows) <= size:
        return None
    return Page(rows[:size], tuple(rows[size - 1][: len(order.columns)]))


def _count(number: int, is_more: bool) -> Count:
    return Count(COUNTED, True) if number > COUNTED else Count(number, is_more)
