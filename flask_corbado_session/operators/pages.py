"""The operator pages: who is signed in where, for those whom the app allows. They work without script.

Whoever is not allowed gets the app's own 404, as from a path that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from flask import Blueprint, abort, current_app, request

from ..model.errors import StoreUnavailable
from ..tokens.ids import is_id
from ..web.current import current_user
from ..web.guards import login_required
from ..web.problems import BadRequestProblem, SessionNotFoundProblem, is_navigation
from ..web.state import app_state
from . import revoke as operator_revoke
from .chart import DailyNumbers, draw
from .paging import Cursor
from .panel import BLUEPRINT, about_actions, decode_cursor, encode_cursor, now_ms, panel, render, run_or_http_error
from .queries import Listing
from .search import READERS, Filter, FilterError, parse

CHART_DAYS = 30
Allow = Callable[[Any], Any]
Names = Callable[[Collection[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ListView:
    """One of the lists: the terms its search knows, and its orders in words, the usual one first."""

    name: Literal["sessions", "users", "devices"]
    terms: tuple[str, ...]
    sorts: Mapping[str, str]


_BY_TIME = {"new": "Newest", "old": "Oldest"}
SESSIONS = ListView("sessions", tuple(READERS), {**_BY_TIME, "ended": "Last ended", "user": "By user"})
USERS = ListView("users", tuple(each for each in READERS if each != "session"), {"user": "A to Z", "last": "Z to A"})
DEVICES = ListView(
    "devices", ("user", "device", "browser", "system", "type", "after", "before"), {**_BY_TIME, "user": "By user"}
)


class OperatorPages(Blueprint):
    """The pages, for users of whom ``allow(user)`` is true; ``names(user_ids)`` says what people are called."""

    def __init__(self, allow: Allow, names: Names | None) -> None:
        super().__init__(BLUEPRINT, "flask_corbado_session", template_folder="templates")
        self.names = names
        self.before_request(lambda: _admit(allow))
        for rule, view in (
            ("/", overview),
            ("/sessions", sessions),
            ("/sessions/<session_id>", session),
            ("/users", users),
            ("/devices", devices),
            ("/actions", actions),
            ("/revoke", operator_revoke.confirm),
        ):
            self.add_url_rule(rule, view.__name__, view)
        self.add_url_rule("/revoke", "revoke", operator_revoke.revoke, methods=["POST"])


def _admit(allow: Allow) -> Any:
    """None for an operator whose own session is still good in the database, else the answer."""
    answer = login_required(recheck=True)(lambda: None)()
    if answer is not None:
        return answer
    # also asks the user loader, which turns away who has been disabled
    if not current_app.ensure_sync(allow)(current_user._get_current_object()):
        abort(404)
    return None


# ---- pages


def overview() -> str:
    """How much there is, by day; and what was done last."""
    store, shown = panel().log.store, panel()
    charts = [
        ("Active sessions", "Sessions that were good at some time of the day.", shown.active, store.active_by_day),
        ("Sign-ins", "Sessions that were started on the day.", shown.sign_ins, store.sign_ins_by_day),
    ]
    drawn = [(title, text, _daily(numbers, read)) for title, text, numbers, read in charts]
    latest = run_or_http_error(lambda: panel().log.actions(None)).rows[:5]
    return render("overview.html", about_actions(latest), charts=drawn, draw=draw, actions=latest)


def _daily(numbers: DailyNumbers, read: Callable[[int, int], Mapping[int, int]]) -> dict[date, int] | None:
    """None where there is so much that the database does not read it in time: the page goes without."""
    kept = app_state().settings.retention.days
    try:
        return numbers.last(max(1, min(CHART_DAYS, kept)), now_ms(), read)
    except StoreUnavailable:
        return None


def sessions() -> Any:
    """All sessions, or those a search finds."""

    def read(search: Filter, sort: str, after: Cursor | None) -> Listing:
        return panel().log.store.sessions(search, sort, after, now_ms())

    def beside(listing: Listing, search: Filter) -> dict[str, Any]:
        store = panel().log.store
        found = store.devices_by_id({row.device_id for row in listing.page.rows} | _user_ids_in(search, "device"))
        live = store.count_live(search, now_ms()) if search.get("user") or search.get("device") else None
        return {"devices": found, "state": state_of, "live": live}

    return _list(SESSIONS, read, beside)


def session(session_id: str) -> str:
    """All that is known of one session."""
    found = run_or_http_error(lambda: panel().log.store.find_session(session_id)) if is_id(session_id) else None
    if found is None:
        raise SessionNotFoundProblem("There is no session of that id; it may have been forgotten already.")
    device = run_or_http_error(lambda: panel().log.store.devices_by_id([found.device_id])).get(found.device_id)
    return render("session.html", {found.user_id}, session=found, device=device, state=state_of)


def users() -> Any:
    """Everybody who has a session, or one that a search finds."""

    def read(search: Filter, sort: str, after: Cursor | None) -> Listing:
        return panel().log.store.users(search, sort, after, now_ms())

    def beside(listing: Listing, search: Filter) -> dict[str, Any]:
        store, ids = panel().log.store, [row.user_id for row in listing.page.rows]
        return {"live": store.live_of("user_id", ids, now_ms()), "devices": store.devices_of(ids)}

    return _list(USERS, read, beside)


def devices() -> Any:
    """All devices, or those a search finds."""

    def read(search: Filter, sort: str, after: Cursor | None) -> Listing:
        return panel().log.store.devices(search, sort, after)

    def beside(listing: Listing, search: Filter) -> dict[str, Any]:
        ids = [row.id for row in listing.page.rows]
        return {"live": panel().log.store.live_of("device_id", ids, now_ms())}

    return _list(DEVICES, read, beside)


def actions() -> str:
    """What operators did, the latest first."""
    after = decode_cursor("actions", request.args.get("page", ""))
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
    kind: ListView,
    read: Callable[[Filter, str, Cursor | None], Listing],
    beside: Callable[[Listing, Filter], dict[str, Any]],
) -> Any:
    text = request.args.get("q", "")
    try:
        search = parse(text, kind.terms)
    except FilterError as error:
        if not is_navigation():
            raise BadRequestProblem(str(error), field=error.field) from error
        sort = next(iter(kind.sorts))
        return render("wrong.html", list=kind, q=text[:1000], sort=sort, error=str(error)), 400
    sort = request.args.get("sort") or (
        "ended" if kind is SESSIONS and search.get("reason") else next(iter(kind.sorts))
    )
    if sort not in kind.sorts:
        raise BadRequestProblem(f"A list is sorted by one of {', '.join(kind.sorts)}.", field="sort")
    where = f"{kind.name} {sort} {search.text}"
    after = decode_cursor(where, request.args.get("page", ""))
    listing = run_or_http_error(lambda: read(search, sort, after))
    return render(
        f"{kind.name}.html",
        {row.user_id for row in listing.page.rows} | _user_ids_in(search, "user"),
        list=kind,
        q=search.text,
        sort=sort,
        search=search,
        listing=listing,
        rows=listing.page.rows,
        next=encode_cursor(where, listing.page.next),
        is_first=after is None,
        **run_or_http_error(lambda: beside(listing, search)),
    )


def _user_ids_in(search: Filter, term: str) -> set[str]:
    return {search.get(term)} if search.get(term) is not None else set()


def state_of(row: Any) -> str:
    """live, ended, expired or idle."""
    now = now_ms()
    if row.ended_at is not None:
        return "ended"
    if row.expires_at <= now:
        return "expired"
    return "idle" if row.idle_expires_at <= now else "live"
