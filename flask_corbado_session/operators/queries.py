"""What the operator pages read: sessions, devices and users by search, page by page, and what happened by day.

Nothing here takes an index on a column that a refresh writes: PostgreSQL could then no longer update the row in place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from ..database.engine import Database
from ..database.tables import Tables
from .paging import Count, Cursor, Order, Page, Paginator
from .search import Filter

DAY = 86_400_000
"""Milliseconds."""

_DEVICE_COLUMNS = {"browser": "browser", "system": "system", "type": "device_type"}
"""The column of the device each of these search terms asks for."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list, and how many there are where this is its first one."""

    page: Page
    count: Count | None


class OperatorStore:
    """The statements of one database. All raise :class:`StoreUnavailable` when it does not answer in time."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self.database = database
        self.paginator = Paginator(database)
        self.session = tables.session
        self.device = tables.device
        s, d = tables.session.c, tables.device.c
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
        order, conditions = self._narrowed(self.session_orders[sort], search), self._conditions(search, now)
        shown = select(*order.columns, *self._shown()).where(*conditions)
        lean = select(order.columns[0]).where(*conditions)
        return self._listing(shown, lean, order, after, search, ("after", "before") if sort in ("new", "old") else ())

    def users(self, search: Filter, sort: str, after: Cursor | None, now: int) -> Listing:
        """The ids of users who have such a session."""
        order, user_id = self.user_orders[sort], self.session.c.user_id
        asked = select(user_id).where(*self._conditions(search, now))
        return self._listing(asked.group_by(user_id), asked.group_by(user_id), order, after, search, ())

    def devices(self, search: Filter, sort: str, after: Cursor | None) -> Listing:
        """Devices, whoever's."""
        order, d = self.device_orders[sort], self.device.c
        order = self._bounded(order, d.first_seen_at, search) if sort != "user" else order
        conditions = self._of_device(search) + _between(d.first_seen_at, search)
        shown = (d.id, d.user_id, d.name, d.browser, d.system, d.device_type, d.user_agent, d.first_seen_at)
        asked = select(*order.columns, *shown).where(*conditions)
        lean = select(order.columns[0]).where(*conditions)
        return self._listing(asked, lean, order, after, search, ("after", "before") if sort != "user" else ())

    def _listing(
        self,
        shown: Select[Any],
        lean: Select[Any],
        order: Order,
        after: Cursor | None,
        search: Filter,
        served: tuple[str, ...],
    ) -> Listing:
        """``served`` are the terms the order's own index answers."""
        is_search = not _is_pinned(search) and search.beyond(*served)
        if _is_pinned(search):
            order = _unindexed(order)
        page = self.paginator.page(shown, order, after, is_search=is_search)
        if after is not None:
            return Listing(page, None)
        if page.next is None:
            return Listing(page, Count(len(page.rows)))
        # to count what a search would find is the whole search
        return Listing(page, None if is_search else self.paginator.count(lean, order, is_search=False))

    # ---- what stands beside a row

    def live_of(self, column: str, ids: Sequence[str], now: int) -> dict[str, Any]:
        """By ``user_id`` or ``device_id``: how many live sessions, and when one was last seen."""
        if not ids:
            return {}
        c = self.session.c
        asked = select(
            c[column].label("id"), func.count().label("live"), func.max(c.last_seen_at).label("last_seen_at")
        )
        asked = asked.where(c[column].in_(ids), self.alive(now)).group_by(c[column])
        return {row.id: row for row in self._all(asked)}

    def devices_of(self, user_ids: Sequence[str]) -> dict[str, int]:
        """How many devices each user has."""
        c = self.device.c
        asked = select(c.user_id, func.count().label("devices")).where(c.user_id.in_(user_ids)).group_by(c.user_id)
        return {row.user_id: row.devices for row in self._all(asked)} if user_ids else {}

    def find_session(self, session_id: str) -> Any:
        """One session with its device, or None."""
        c = self.session.c
        more = (c.auth_time, c.previous_ip, c.previous_user_agent)
        found = self._all(select(*self._shown(), *more).where(c.id == session_id))
        return found[0] if found else None

    def devices_by_id(self, ids: Collection[str]) -> dict[str, Any]:
        """These devices."""
        d = self.device.c
        asked = select(d.id, d.user_id, d.name, d.browser, d.system, d.device_type, d.user_agent, d.first_seen_at)
        return {row.id: row for row in self._all(asked.where(d.id.in_(ids)))} if ids else {}

    def count_live(self, search: Filter, now: int) -> Count:
        """How many live sessions a search finds, up to ten thousand, or as far as it gets in its time."""
        live = Filter({**search.terms, "status": "live"})
        order = self._narrowed(self.session_orders["new"], live)
        lean = select(self.session.c.id).where(*self._conditions(live, now))
        return self.paginator.count(lean, order, is_search=not _is_pinned(live))

    # ---- by day

    def sign_ins_by_day(self, first: int, now: int) -> dict[int, int]:
        """How many sessions started on each day (since the epoch, UTC) from ``first`` on. Read from an index alone."""
        c = self.session.c
        day = (c.created_at // DAY).label("day")
        asked = select(day, func.count().label("number")).where(c.created_at >= first * DAY, c.created_at <= now)
        return {int(row.day): row.number for row in self._all(asked.group_by(day))}

    def active_by_day(self, first: int, now: int) -> dict[int, int]:
        """How many sessions were good at some time of each day from ``first`` on.

        No index holds until when an idle one was good, so this reads the rows that can have been: the index on their
        end leaves the others out.
        """
        c, today = self.session.c, now // DAY
        over = case((c.idle_expires_at < c.expires_at, c.idle_expires_at), else_=c.expires_at)
        over = case((c.ended_at < over, c.ended_at), else_=over)
        since = case((c.created_at < first * DAY, first * DAY), else_=c.created_at)
        from_, to = (since // DAY).label("since"), (over // DAY).label("until")
        asked = select(from_, to, func.count().label("number")).where(
            c.expires_at >= first * DAY,
            c.idle_expires_at >= first * DAY,
            or_(c.ended_at.is_(None), c.ended_at >= first * DAY),
            c.created_at <= now,
        )
        active = dict.fromkeys(range(first, today + 1), 0)
        for row in self._all(asked.group_by(from_, to)):
            for day in range(int(row.since), min(int(row.until), today) + 1):
                active[day] += row.number
        return active

    # ---- conditions

    def alive(self, now: int) -> ColumnElement[bool]:
        """Serves now."""
        c = self.session.c
        return and_(c.ended_at.is_(None), c.expires_at > now, c.idle_expires_at > now)

    def _conditions(self, search: Filter, now: int) -> list[ColumnElement[bool]]:
        c = self.session.c
        by_term = {"user": c.user_id, "session": c.id, "device": c.device_id, "ip": c.ip, "reason": c.end_reason}
        found = [column == search.get(term) for term, column in by_term.items() if search.get(term) is not None]
        if search.get("status") is not None:
            found.append(self.in_state(search.get("status"), now))
        for term, column in _DEVICE_COLUMNS.items():
            if search.get(term) is not None:
                # looked up row by row: a join would read the whole table of devices for each window of a search
                of_device = select(self.device.c[column]).where(self.device.c.id == c.device_id).scalar_subquery()
                found.append(func.lower(of_device) == search.get(term).lower())
        return found + _between(c.created_at, search)

    def in_state(self, state: str, now: int) -> ColumnElement[bool]:
        """A session's state, in words that tempt no planner to leave the order of the pages for an index on times."""
        c = self.session.c
        ended_at, expires_at = c.ended_at + 0, c.expires_at + 0
        return {
            "live": and_(ended_at.is_(None), expires_at > now, c.idle_expires_at > now),
            "ended": ended_at.is_not(None),
            "expired": and_(ended_at.is_(None), expires_at <= now),
            "idle": and_(ended_at.is_(None), expires_at > now, c.idle_expires_at <= now),
        }[state]

    def _of_device(self, search: Filter) -> list[ColumnElement[bool]]:
        d = self.device.c
        found = [
            column == search.get(term)
            for term, column in (("user", d.user_id), ("device", d.id))
            if search.get(term) is not None
        ]
        return found + [
            func.lower(d[column]) == search.get(term).lower()
            for term, column in _DEVICE_COLUMNS.items()
            if search.get(term) is not None
        ]

    def _narrowed(self, order: Order, search: Filter) -> Order:
        by_time = order.columns[0] is self.session.c.created_at
        return self._bounded(order, self.session.c.created_at, search) if by_time else order

    def _bounded(self, order: Order, column: ColumnElement[Any], search: Filter) -> Order:
        return Order(order.columns, order.descending, and_(order.within, *_between(column, search)))

    def _shown(self) -> tuple[ColumnElement[Any], ...]:
        """The columns a page shows; none of those that prove who holds a session."""
        s = self.session.c
        times = (s.created_at, s.last_seen_at, s.idle_expires_at, s.expires_at, s.ended_at)
        what = (s.id, s.user_id, s.device_id, s.end_reason, s.amr, s.persistent, s.ip, s.user_agent)
        return (*what, *times)

    def _all(self, asked: Select[Any]) -> list[Any]:
        return self.database.run(lambda connection: list(connection.execute(asked).all()))


def _between(column: ColumnElement[Any], search: Filter) -> list[ColumnElement[bool]]:
    since, before = search.get("after"), search.get("before")
    return ([column >= since] if since is not None else []) + ([column < before] if before is not None else [])


def _is_pinned(search: Filter) -> bool:
    """Whether a search is for the sessions of somebody, or on one device: few, and an index finds them."""
    return any(search.get(each) is not None for each in ("user", "device", "session"))


def _unindexed(order: Order) -> Order:
    """The same order, which no index gives: few rows are sorted, where a planner that hopes to find them soon would
    walk the whole table in that order instead."""
    first, *rest = order.columns
    plain = first + 0 if first.type.python_type is int else first
    return Order((plain, *rest), order.descending, order.within)
