"""Tables of any size, read in windows: consecutive ranges of an index, each by one short statement.

A statement that reads a whole table takes longer than its two seconds from some size on. A window takes a fraction of
that at any size, so a walk ends where its time is up, and not where the database gives up.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select, true

from .engine import Database

Cursor = tuple[str | int, ...]
"""The values of the order's columns in the last row of a page. It may end early, see :meth:`Order.after`."""

SIZES = range(1_000, 20_001)
"""How many rows one window holds: few at first, then as many as take :data:`_AIM`."""
_AIM = 0.05
"""Seconds that the statements of a window should take."""


class Order(NamedTuple):
    """An order of a table's rows. The first column has an index, the last one is unique."""

    columns: tuple[ColumnElement[Any], ...]
    descending: bool = False
    within: ColumnElement[bool] = true()
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


class Window(NamedTuple):
    """A range of an order. ``end`` is the first column's value that it reaches, None at the end of the table."""

    condition: ColumnElement[bool]
    end: Any


def windows(
    database: Database, order: Order, after: Cursor | None = None, *, seconds: float, sizes: range = SIZES
) -> Iterator[Window]:
    """Consecutive windows of an order, from a cursor on. They end with the table, or when the time is up: then the
    last one has an ``end``."""
    size, started = sizes.start, monotonic()
    while True:
        begun = monotonic()
        end = _window_end(database, order, after, size)
        yield Window(order.after(after) if end is None else order.after(after) & order.up_to(end), end)
        now = monotonic()
        if end is None or now - started > seconds:
            return
        after = (end,)
        size = min(max(int(size * min(_AIM / (now - begun), 4)), sizes.start), sizes.stop - 1)


def _window_end(database: Database, order: Order, after: Cursor | None, size: int) -> Any:
    """The first column's value ``size`` rows on, read from the index alone; None near the end of the table."""
    (first, *_), (by, *_) = order.columns, order.by()
    stmt = select(first).where(order.after(after)).order_by(by).offset(size - 1).limit(1)
    return database.run(lambda connection: connection.execute(stmt).scalar())
