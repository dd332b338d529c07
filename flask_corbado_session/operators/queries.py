"""Read queries of the operator pages: sessions, devices and users, by search and page by page.

No query here needs an index on a column that a refresh writes: with one, PostgreSQL could not update the row in place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Row, Select, and_, func, select

from ..database.conditions import is_live, state_conditions
from ..database.engine import Database
from ..database.windows import Cursor, Order
from ..model.records import SessionState
from .paging import Count, Page, Paginator
from .search import Filter

_DEVICE_COLUMNS = {"browser": "browser", "system": "system", "type": "device_type"}
"""The column of the device that each of these search terms compares."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list, and on the first page how many rows there are."""

    page: Page
    count: Count | None


class _Times(NamedTuple):
    ended_at: ColumnElement[Any]
    expires_at: ColumnElement[Any]
    idle_expires_at: ColumnElement[Any]


class OperatorStore:
    """Reads one database. All methods raise :class:`StoreUnavailable` when it does not answer in time."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.paginator = Paginator(database)
        self.session, self.device = database.tables.session, database.tables.device
        s, d = self.session.c, self.device.c
        self.session_orders: Mapping[str, Order] = {
            "new": Order((s.created_at, s.id), descending=True),
            "old": Order((s.created_at, s.id)),
            "ended": Order((s.ended_at, s.id), descending=True, within=s.ended_at.is_not(None)),
            "user": Order((s.user_id, s.created_at, s.id)),
        }
        self.device_orders: Mapping[str, Order] = {
            "new": Order((d.first_seen_at, d.id), descending=True),
            "old": Order((d.first_seen_at, d.id)),
            "user": Order((d.user_id, d.id)),
        }
        self.user_orders: Mapping[str, Order] = {
            "user": Order((s.user_id,)),
            "last": Order((s.user_id,), descending=True),
        }

    # ---- lists

    def sessions(self, search: Filter, sort: str, after: Cursor | None, now: int) -> Listing:
        """Sessions, live or not."""
        order, conditions = self._within_times(self.session_orders[sort], search), self._conditions(search, now)
        rows = select(*order.columns, *self._shown()).where(*conditions)
        count = select(order.columns[0]).where(*conditions)
        indexed = ("after", "before") if sort in ("new", "old") else ()
        return self._listing(rows, count, order, after, search, indexed)

    def users(self, search: Filter, sort: str, after: Cursor | None, now: int) -> Listing:
        """The ids of the users who have a session that the search finds."""
        order, user_id = self.user_orders[sort], self.session.c.user_id
        stmt = select(user_id).where(*self._conditions(search, now)).group_by(user_id)
        return self._listing(stmt, stmt, order, after, search, ())

    def devices(self, search: Filter, sort: str, after: Cursor | None) -> Listing:
        """Devices of all users."""
        order, d = self.device_orders[sort], self.device.c
        order = self._bounded(order, d.first_seen_at, search) if sort != "user" else order
        conditions = self._device_conditions(search) + _between(d.first_seen_at, search)
        rows = select(*order.columns, *self._shown_of_device()).where(*conditions)
        count = select(order.columns[0]).where(*conditions)
        return self._listing(rows, count, order, after, search, ("after", "before") if sort != "user" else ())

    def _listing(
        self,
        rows: Select[Any],
        count: Select[Any],
        order: Order,
        after: Cursor | None,
        search: Filter,
        indexed: tuple[str, ...],
    ) -> Listing:
        """A page of ``rows``; ``count`` selects the same rows with fewer columns. ``indexed`` are the terms that the
        order's own index answers."""
        is_search = not _is_pinned(search) and search.has_terms_other_than(*indexed)
        if _is_pinned(search):
            order = _unindexed(order)
        page = self.paginator.page(rows, order, after, is_search=is_search)
        if after is not None:
            return Listing(page, None)
        if page.next is None:
            return Listing(page, Count(len(page.rows)))
        # counting what a search finds would mean running all of it
        return Listing(page, None if is_search else self.paginator.count(count, order, is_search=False))

    # ---- what a list shows beside its rows

    def live_of(self, column: str, ids: Sequence[str], now: int) -> dict[str, Row[Any]]:
        """By ``user_id`` or ``device_id``: the number of live sessions, and when the latest was last seen."""
        if not ids:
            return {}
        c = self.session.c
        live, last_seen_at = func.count().label("live"), func.max(c.last_seen_at).label("last_seen_at")
        stmt = select(c[column].label("id"), live, last_seen_at)
        return {
            row.id: row
            for row in self._all(stmt.where(c[column].in_(ids), is_live(self.session.c, now)).group_by(c[column]))
        }

    def devices_of(self, user_ids: Sequence[str]) -> dict[str, int]:
        """How many devices each user has."""
        c = self.device.c
        stmt = select(c.user_id, func.count().label("devices")).where(c.user_id.in_(user_ids)).group_by(c.user_id)
        return {row.user_id: row.devices for row in self._all(stmt)} if user_ids else {}

    def find_session(self, session_id: str) -> Row[Any] | None:
        """One session, with all that its page shows, or None."""
        c = self.session.c
        more = (c.auth_time, c.previous_ip, c.previous_user_agent)
        rows = self._all(select(*self._shown(), *more).where(c.id == session_id))
        return rows[0] if rows else None

    def devices_by_id(self, ids: Collection[str]) -> dict[str, Row[Any]]:
        """The devices with these ids."""
        stmt = select(*self._shown_of_device()).where(self.device.c.id.in_(ids))
        return {row.id: row for row in self._all(stmt)} if ids else {}

    def count_live(self, search: Filter, now: int) -> Count:
        """How many live sessions a search finds, up to ten thousand, or as far as it gets within its time limit."""
        live = Filter({**search.terms, "status": "live"})
        order = self._within_times(self.session_orders["new"], live)
        stmt = select(self.session.c.id).where(*self._conditions(live, now))
        return self.paginator.count(stmt, order, is_search=not _is_pinned(live))

    # ---- conditions

    def _conditions(self, search: Filter, now: int) -> list[ColumnElement[bool]]:
        c, device = self.session.c, self.device.c
        by_term = {"user": c.user_id, "session": c.id, "device": c.device_id, "ip": c.ip, "reason": c.end_reason}
        conditions = [column == search.get(term) for term, column in by_term.items() if term in search]
        if "status" in search:
            conditions.append(self.in_state(cast(SessionState, search.get("status")), now))
        for term, column in _DEVICE_COLUMNS.items():
            if term in search:
                # a subquery per row: a join would read the whole table of devices for each window of a search
                of_device = select(device[column]).where(device.id == c.device_id).scalar_subquery()
                conditions.append(_equals_ignoring_case(of_device, search, term))
        return conditions + _between(c.created_at, search)

    def in_state(self, state: SessionState, now: int) -> ColumnElement[bool]:
        """The condition of a session in this state."""
        c = self.session.c
        # "+ 0" keeps planners from leaving the order of the pages for an index on these times
        times = _Times(c.ended_at + 0, c.expires_at + 0, c.idle_expires_at)
        return state_conditions(times, now)[state]

    def _device_conditions(self, search: Filter) -> list[ColumnElement[bool]]:
        d = self.device.c
        by_term = {"user": d.user_id, "device": d.id}
        conditions = [column == search.get(term) for term, column in by_term.items() if term in search]
        described = [(term, d[column]) for term, column in _DEVICE_COLUMNS.items() if term in search]
        return conditions + [_equals_ignoring_case(column, search, term) for term, column in described]

    def _within_times(self, order: Order, search: Filter) -> Order:
        by_time = order.columns[0] is self.session.c.created_at
        return self._bounded(order, self.session.c.created_at, search) if by_time else order

    def _bounded(self, order: Order, column: ColumnElement[Any], search: Filter) -> Order:
        return Order(order.columns, order.descending, and_(order.within, *_between(column, search)))

    def _shown(self) -> tuple[ColumnElement[Any], ...]:
        """The columns of a session that a page shows. None of them proves possession of the session."""
        s = self.session.c
        times = (s.created_at, s.last_seen_at, s.idle_expires_at, s.expires_at, s.ended_at)
        return (s.id, s.user_id, s.device_id, s.end_reason, s.amr, s.persistent, s.ip, s.user_agent, *times)

    def _shown_of_device(self) -> tuple[ColumnElement[Any], ...]:
        d = self.device.c
        return (d.id, d.user_id, d.name, d.browser, d.system, d.device_type, d.user_agent, d.first_seen_at)

    def _all(self, stmt: Select[Any]) -> list[Row[Any]]:
        return self.database.run(lambda connection: list(connection.execute(stmt).all()))


def _equals_ignoring_case(column: ColumnElement[Any], search: Filter, term: str) -> ColumnElement[bool]:
    return func.lower(column) == str(search.get(term)).lower()


def _between(column: ColumnElement[Any], search: Filter) -> list[ColumnElement[bool]]:
    since, before = search.get("after"), search.get("before")
    return ([column >= since] if since is not None else []) + ([column < before] if before is not None else [])


def _is_pinned(search: Filter) -> bool:
    """Whether a search names a user, device or session: it then finds few rows, by an index."""
    return any(term in search for term in ("user", "device", "session"))


def _unindexed(order: Order) -> Order:
    """The same order, computed so that no index gives it. Sorting the few rows found is quick; a planner that used the
    index for the order would walk the whole table."""
    first, *rest = order.columns
    plain = first + 0 if first.type.python_type is int else first
    return Order((plain, *rest), order.descending, order.within)
