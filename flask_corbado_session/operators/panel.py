"""What the operator pages share: one app's parts, the cursors in their addresses, and how a page is rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import current_app, render_template, request
from itsdangerous import BadData, URLSafeSerializer

from ..keys.key import in_signing_order
from ..model.clock import from_ms, to_ms
from ..tokens.ids import is_id
from ..web.current import current_session
from ..web.problems import BadRequestProblem
from ..web.request import found_or_503
from ..web.state import app_state
from .chart import DailyNumbers
from .log import Operator, OperatorLog
from .paging import COUNTED, Count, Cursor
from .search import term

BLUEPRINT = "corbado_operator"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Panel:
    """The operator's side of one app."""

    log: OperatorLog
    active: DailyNumbers = field(default_factory=DailyNumbers)
    sign_ins: DailyNumbers = field(default_factory=DailyNumbers)


def panel() -> Panel:
    """That of the current app, made when first asked for."""
    found: Panel | None = current_app.extensions.get(BLUEPRINT)
    if found is None:
        state = app_state()
        parts = state.with_database()
        log = OperatorLog(parts.database, state.clock, parts.revocation)
        found = current_app.extensions.setdefault(BLUEPRINT, Panel(log))
    return found


def now_ms() -> int:
    """The time of this app, as the rows hold it."""
    return to_ms(app_state().clock.now())


def current_operator() -> Operator:
    """Who is signed in."""
    return Operator(current_session.user_id or "")


def run_or_http_error(work: Callable[[], T]) -> T:
    """Run work on the database with the answers of HTTP: 404 for what is not there, 503 while it is down."""
    return found_or_503(work, "There is no session or device of that id; it may have been forgotten already.")


def render(template: str, about: Collection[str] = (), **values: Any) -> str:
    """A page of the operator's, with what each of them uses; ``about`` are the ids of the users on it."""
    done = _just_done()
    about = {*about, *about_actions([done] if done else [])}
    names = getattr(current_app.blueprints[request.blueprint or ""], "names", None)
    return render_template(
        f"corbado_session/operator/{template}",
        blueprint=request.blueprint,
        at=from_ms,
        names=names(about) if names is not None and about else {},
        term=term,
        count_in_words=count_in_words,
        here=_here(),
        done=done,
        **values,
    )


def about_actions(actions: Iterable[Any]) -> set[str]:
    """The ids of the users in these actions, those who did them and those they were done to."""
    actions = list(actions)
    done_to = {action.target for action in actions if action.action == "revoke_user"}
    return {action.operator_id for action in actions if action.via == "page"} | done_to


def _here() -> str:
    """The address of this page, to come back to; without what it says was just done."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "done"]
    return request.script_root + request.path + (f"?{urlencode(kept)}" if kept else "")


def count_in_words(count: Count, one: str, many: str) -> str:
    """ "1 session", "more than 10,000 sessions"."""
    if count.is_more:
        return f"{'more than' if count.number == COUNTED else 'at least'} {count.number:,} {many}"
    return f"{count.number:,} {one if count.number == 1 else many}"


def _just_done() -> Any:
    """The action named in the address, if this very operator did it."""
    action_id = request.args.get("done", "")
    if not is_id(action_id):
        return None
    action = run_or_http_error(lambda: panel().log.action(action_id))
    return action if action is not None and action.operator_id == current_session.user_id else None


# ---- cursors: signed, and good for the one list, search and order they were made for


def encode_cursor(where: str, key: Cursor | None) -> str | None:
    """A key of a list as it stands in an address."""
    return None if key is None else str(_cursors().dumps([_digest(where), *key]))


def decode_cursor(where: str, value: str, field: str = "page") -> Cursor | None:
    """The key; a 400 that names ``field`` for anything else than was given out for this list."""
    if not value:
        return None
    try:
        digest, *key = _cursors().loads(value)
    except (BadData, ValueError, TypeError):
        digest, key = "", []
    if digest != _digest(where) or not key:
        raise BadRequestProblem("This page of the list can't be found: begin with its first page.", field=field)
    return tuple(key)


def _digest(where: str) -> str:
    return hashlib.sha256(where.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _cursors() -> URLSafeSerializer:
    in_order = in_signing_order(app_state().secret_keys)
    options = {"digest_method": hashlib.sha256}
    return URLSafeSerializer(in_order, salt="flask-corbado-session.operator", signer_kwargs=options)
