"""The operator pages: all users, devices and sessions, for the users that the app allows. They work without script.

A user who is not allowed gets the app's own 404, as for a path that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from flask import abort, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import Row

from ..database import conditions
from ..database.windows import Cursor
from ..model.errors import StoreUnavailable
from ..model.records import SessionState
from ..tokens.ids import is_id
from ..web.client import is_navigation
from ..web.current import current_user
from ..web.guards import login_required
from ..web.problems import BadRequestProblem, SessionNotFoundProblem
from ..web.query import query_args
from ..web.state import app_state
from . import revoke as revocation
from .chart import draw
from .daily import DailyNumbers, DayNumbers
from .panel import (
    BLUEPRINT,
    NOT_FOUND,
    DisplayNames,
    OperatorBlueprint,
    about_actions,
    decode_cursor,
    encode_cursor,
    now_ms,
    panel,
    render,
    run_or_http_error,
)
from .queries import Listing
from .search import READERS, Filter, FilterError, parse

CHART_DAYS = 30
Allow = Callable[[Any], bool | Awaitable[bool]]
"""Of the app's own user object."""


@dataclass(frozen=True, slots=True)
class ListView:
    """One of the lists: the terms its search knows, and its orders with their labels, the default one first."""

    name: Literal["sessions", "users", "devices"]
    terms: tuple[str, ...]
    sorts: Mapping[str, str]


_BY_TIME = {"new": "Newest", "old": "Oldest"}
SESSIONS = ListView("sessions", tuple(READERS), {**_BY_TIME, "ended": "Recently ended", "user": "By user"})
USERS = ListView("users", tuple(name for name in READERS if name != "session"), {"user": "A to Z", "last": "Z to A"})
DEVICES = ListView(
    "devices", ("user", "device", "browser", "system", "type", "after", "before"), {**_BY_TIME, "user": "By user"}
)


class OperatorPages(OperatorBlueprint):
    """The pages, for users for whom ``allow(user)`` is true. ``display_names(user_ids)`` returns their names by id."""

    def __init__(self, allow: Allow, display_names: DisplayNames | None) -> None:
        super().__init__(BLUEPRINT, "flask_corbado_session", template_folder="templates")
        self.display_names = display_names
        self.before_request(lambda: _admit(allow))
        for rule, view in (
            ("/", overview),
            ("/sessions", sessions),
            ("/sessions/<session_id>", session),
            ("/users", users),
            ("/devices", devices),
            ("/actions", actions),
            ("/revoke", revocation.confirm),
        ):
            self.add_url_rule(rule, view.__name__, view)
        self.add_url_rule("/revoke", "revoke", revocation.revoke, methods=["POST"])


def _admit(allow: Allow) -> ResponseReturnValue | None:
    """None for an operator whose own session is live in the database; else the response, or a 404."""
    response: ResponseReturnValue | None = login_required(recheck=True)(lambda: None)()
    if response is not None:
        return response
    # this also calls the user loader, which ends the session of a disabled user
    if not current_app.ensure_sync(allow)(current_user._get_current_object()):
        abort(404)
    return None


# ---- pages


def overview() -> str:
    """Two charts by day, and the latest actions."""
    of_app = panel()
    charts = [
        ("Active sessions", "Sessions that were live at some point of the day.", of_app.active, of_app.counts.active),
        ("Sign-ins", "Sessions that started on the day.", of_app.sign_ins, of_app.counts.sign_ins),
    ]
    latest = run_or_http_error(lambda: of_app.log.actions(None)).rows[:5]  # first: the page is this and the charts
    drawn = [(title, text, _daily(numbers, read)) for title, text, numbers, read in charts]
    return render("overview.html", about_actions(latest), charts=drawn, draw=draw, actions=latest)


def _daily(numbers: DailyNumbers, read: Callable[[int, int], Mapping[int, int]]) -> DayNumbers | None:
    """None if the database does not answer in time: the page then has no chart."""
    kept = app_state().settings.retention.days
    try:
        return numbers.last(max(1, min(CHART_DAYS, kept)), now_ms(), read)
    except StoreUnavailable:
        return None


def sessions() -> ResponseReturnValue:
    """All sessions, or those that a search finds."""

    def read(search: Filter, sort: str, after: Cursor | None) -> Listing:
        return panel().store.sessions(search, sort, after, now_ms())

    def extras(listing: Listing, search: Filter) -> dict[str, Any]:
        store, of_one = panel().store, "user" in search or "device" in search
        devices = store.devices_by_id({row.device_id for row in listing.page.rows} | _values(search, "device"))
        live = store.count_live(search, now_ms()) if of_one else None
        return {"devices": devices, "state": state_of, "live": live}

    return _list(SESSIONS, read, extras)


def session(session_id: str) -> str:
    """One session, with all that is stored about it."""
    store = panel().store
    row = run_or_http_error(lambda: store.find_session(session_id)) if is_id(session_id) else None
    if row is None:
        raise SessionNotFoundProblem(NOT_FOUND)
    device = run_or_http_error(lambda: store.devices_by_id([row.device_id])).get(row.device_id)
    return render("session.html", {row.user_id}, session=row, device=device, state=state_of)


def users() -> ResponseReturnValue:
    """All users who have a session, or those that a search finds."""

    def read(search: Filter, sort: str, after: Cursor | None) -> Listing:
        return panel().store.users(search, sort, after, now_ms())

    def extras(listing: Listing, search: Filter) -> dict[str, Any]:
        store, ids = panel().store, [row.user_id for row in listing.page.rows]
        return {"live": store.live_of("user_id", ids, now_ms()), "devices": store.devices_of(ids)}

    return _list(USERS, read, extras)


def devices() -> ResponseReturnValue:
    """All devices, or those that a search finds."""

    def read(search: Filter, sort: str, after: Cursor | None) -> Listing:
        return panel().store.devices(search, sort, after)

    def extras(listing: Listing, search: Filter) -> dict[str, Any]:
        ids = [row.id for row in listing.page.rows]
        return {"live": panel().store.live_of("device_id", ids, now_ms())}

    return _list(DEVICES, read, extras)


def actions() -> str:
    """The recorded actions of operators, the latest first."""
    after = decode_cursor("actions", query_args().get("page", ""))
    page = run_or_http_error(lambda: panel().log.actions(after))
    return render(
        "actions.html",
        about_actions(page.rows),
        page=page,
        next=encode_cursor("actions", page.next),
        is_first=after is None,
    )


# ---- a list


def _list(
    view: ListView,
    read: Callable[[Filter, str, Cursor | None], Listing],
    extras: Callable[[Listing, Filter], dict[str, Any]],
) -> ResponseReturnValue:
    """A page of a list: ``read`` its rows, then the ``extras`` that it shows beside them."""
    text = query_args().get("q", "")
    try:
        search = parse(text, view.terms)
    except FilterError as error:
        return _wrong(view, text, error)
    sort = _sort(view, search)
    purpose = f"{view.name} {sort} {search.text}"
    after = decode_cursor(purpose, query_args().get("page", ""))
    listing = run_or_http_error(lambda: read(search, sort, after))
    return render(
        f"{view.name}.html",
        {row.user_id for row in listing.page.rows} | _values(search, "user"),
        list=view,
        q=search.text,
        sort=sort,
        search=search,
        listing=listing,
        rows=listing.page.rows,
        next=encode_cursor(purpose, listing.page.next),
        is_first=after is None,
        **run_or_http_error(lambda: extras(listing, search)),
    )


def _wrong(view: ListView, text: str, error: FilterError) -> ResponseReturnValue:
    """The 400 for a search that cannot be read: for a person, a page where they can correct it."""
    if not is_navigation():
        raise BadRequestProblem(str(error), field=error.field) from error
    sort = next(iter(view.sorts))
    return render("wrong.html", list=view, q=text[:1000], sort=sort, error=str(error)), 400


def _sort(view: ListView, search: Filter) -> str:
    """The order asked for; without one, the list's default, or the latest ends for a search by reason."""
    default = "ended" if view is SESSIONS and "reason" in search else next(iter(view.sorts))
    sort = query_args().get("sort") or default
    if sort not in view.sorts:
        raise BadRequestProblem(f"This list can be sorted by {', '.join(view.sorts)}.", field="sort")
    return sort


def _values(search: Filter, term: str) -> set[str]:
    return {str(search.get(term))} if term in search else set()


def state_of(row: Row[Any]) -> SessionState:
    """The state of a session: live, ended, expired or idle."""
    return conditions.state_of(cast(conditions.TimeColumns, row), now_ms())
