"""The first sessions in an order that no index has, found window by window. Used by the operator API.

To sort five million sessions takes longer than a statement may. So the table is read along an index, in windows, and
the first ones of each are kept. Where the order is bounded by the index (nobody was last seen before signing in), the
walk ends as soon as nothing further on can come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from ..database.engine import Database
from ..database.windows import Order, windows

SECONDS = 10.0
"""Seconds after which a list is given up. Each of its statements takes a fraction of one."""
COUNT_SECONDS = 1.0
"""Seconds after which counting stops: the number is then too low."""


class OutOfTime(Exception):
    """There are more sessions to look at than there is time for."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Which index is walked along, and what it says about the order."""

    along: Order
    is_bounded: bool
    """No value further on comes before the index's own: then the walk may end early."""
    is_the_order: bool = False
    """The index has the order itself, so that the rows come sorted."""


def first_ids(
    database: Database, walk: Walk, value: ColumnElement[Any], key: ColumnElement[str], where: Any, number: int
) -> list[str]:
    """The ids (``key``) of the first ``number`` rows by this value and then by id; OutOfTime if that takes too long."""
    descending, end = walk.along.descending, None
    found: list[tuple[Any, str]] = []
    by = [value, _binary(database, key)]
    ordered = [column.desc() if descending else column.asc() for column in by]
    stmt = select(value.label("value"), key).where(where).order_by(*ordered)
    for condition, end in windows(database, walk.along, seconds=SECONDS):
        limit = number - len(found) if walk.is_the_order else number
        in_window = stmt.where(condition).limit(limit)
        rows = _all(database, in_window)
        if not found or walk.is_the_order:
            found += rows
        else:
            found = sorted([*found, *rows], reverse=descending)[:number]
        if len(found) == number and walk.is_bounded and end is not None:
            last = found[-1][0]
            if last >= end if descending else last <= end:
                end = None
                break
    if end is not None:
        raise OutOfTime
    return [session_id for _, session_id in found]


def count_up_to(database: Database, walk: Walk, key: ColumnElement[str], where: Any, limit: int) -> int:
    """How many rows there are, as far as there is time to count them; a little more than ``limit`` at most."""
    number = 0
    for condition, _ in windows(database, walk.along, seconds=COUNT_SECONDS):
        ids = select(key).where(where, condition).limit(limit + 1).subquery()
        number += int(_all(database, select(func.count()).select_from(ids))[0][0])
        if number > limit:
            break
    return number


def _binary(database: Database, key: ColumnElement[str]) -> ColumnElement[str]:
    """The id as Python sorts it, whatever the database's collation."""
    return key.collate("C") if database.engine.dialect.name == "postgresql" else key


def _all(database: Database, stmt: Any) -> list[tuple[Any, ...]]:
    return database.run(lambda connection: [tuple(row) for row in connection.execute(stmt)])
