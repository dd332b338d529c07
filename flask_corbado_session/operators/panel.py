"""What the operator pages share: one app's parts, the rendering of a page, and the cursors in its URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import current_app, render_template, request
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import Row

from ..database.windows import Cursor
from ..keys.key import in_signing_order
from ..model.clock import from_ms, to_ms
from ..tokens.ids import is_id
from ..web.any_host import AnyHostBlueprint
from ..web.current import current_session
from ..web.problems import BadRequestProblem
from ..web.query import query_args
from ..web.request import found_or_503
from ..web.state import app_state
from .daily import DailyCounts, DailyNumbers
from .log import Operator, OperatorLog
from .paging import COUNTED, Count
from .queries import OperatorStore
from .search import term

BLUEPRINT = "corbado_operator"
NOT_FOUND = "There is no session or device with this ID. It may have been deleted already."
DisplayNames = Callable[[Collection[str]], Mapping[str, str]]
T = TypeVar("T")


class OperatorBlueprint(AnyHostBlueprint):
    """A blueprint whose pages call users by ``display_names(user_ids)``, if there is such a function."""

    display_names: DisplayNames | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """What the operator pages and the operator API of one app work with."""

    store: OperatorStore
    log: OperatorLog
    counts: DailyCounts
    active: DailyNumbers = field(default_factory=DailyNumbers)
    sign_ins: DailyNumbers = field(default_factory=DailyNumbers)


def panel() -> Panel:
    """The panel of the current app, made when first needed."""
    made: Panel | None = current_app.extensions.get(BLUEPRINT)
    if made is None:
        state = app_state()
        parts = state.with_database()
        store = OperatorStore(parts.database)
        log = OperatorLog(parts.database, state.clock, store, parts.revocation)
        new = Panel(store, log, DailyCounts(parts.database))
        made = current_app.extensions.setdefault(BLUEPRINT, new)
    return made


def now_ms() -> int:
    """The app's time in milliseconds, as in the rows."""
    return to_ms(app_state().clock.now())


def current_operator() -> Operator:
    """The signed-in user, as an operator."""
    return Operator(current_session.user_id or "")


def run_or_http_error(work: Callable[[], T]) -> T:
    """Run work on the database; raise a 404 if it finds no such session or device, a 503 while the database is down."""
    return found_or_503(work, NOT_FOUND)


def render(template: str, about: Collection[str] = (), **values: Any) -> str:
    """Render an operator page with the variables that all of them use; ``about`` are the ids of the users it shows."""
    done = _just_done()
    about = {*about, *about_actions([done] if done else [])}
    return render_template(
        f"corbado_session/operator/{template}",
        blueprint=request.blueprint,
        at=from_ms,
        names=_names(about),
        term=term,
        count_in_words=count_in_words,
        here=_here(),
        done=done,
        **values,
    )


def _names(user_ids: Collection[str]) -> Mapping[str, str]:
    blueprint = current_app.blueprints[request.blueprint or ""]
    if not isinstance(blueprint, OperatorBlueprint) or blueprint.display_names is None or not user_ids:
        return {}
    return blueprint.display_names(user_ids)


def about_actions(actions: Sequence[Row[Any]]) -> set[str]:
    """The ids of the users in these actions: the operators, and the users they acted on."""
    targets = {action.target for action in actions if action.action == "revoke_user"}
    return {action.operator_id for action in actions if action.via == "page"} | targets


def _here() -> str:
    """The path and query of this page, to return to, without the ``done`` parameter."""
    kept = [(name, value) for name, value in query_args().items(multi=True) if name != "done"]
    return request.script_root + request.path + (f"?{urlencode(kept)}" if kept else "")


def count_in_words(count: Count, one: str, many: str) -> str:
    """ "1 session", "more than 10,000 sessions"."""
    if count.is_more:
        return f"{'more than' if count.number == COUNTED else 'at least'} {count.number:,} {many}"
    return f"{count.number:,} {one if count.number == 1 else many}"


def _just_done() -> Row[Any] | None:
    """The action named in the URL, if this same operator did it."""
    action_id = query_args().get("done", "")
    if not is_id(action_id):
        return None
    action = run_or_http_error(lambda: panel().log.action(action_id))
    return action if action is not None and action.operator_id == current_session.user_id else None


# ---- cursors: signed, and valid only for the list, search and order they were made for


def encode_cursor(purpose: str, cursor: Cursor | None) -> str | None:
    """A cursor as a URL parameter. ``purpose`` says what it is for; only the same purpose decodes it."""
    return None if cursor is None else str(_serializer().dumps([_digest(purpose), *cursor]))


def decode_cursor(purpose: str, value: str, field: str = "page") -> Cursor | None:
    """The cursor, or None for an empty value; a 400 that names ``field`` for any value not made for this purpose."""
    if not value:
        return None
    try:
        digest, *cursor = _serializer().loads(value)
    except (BadData, ValueError, TypeError):
        digest, cursor = "", []
    if digest != _digest(purpose) or not cursor:
        raise BadRequestProblem("This page cannot be shown. Start again from the first page.", field=field)
    return tuple(cursor)


def _digest(purpose: str) -> str:
    return hashlib.sha256(purpose.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _serializer() -> URLSafeSerializer:
    options = {"digest_method": hashlib.sha256}
    keys = in_signing_order(app_state().secret_keys)
    return URLSafeSerializer(keys, salt="flask-corbado-session.operator", signer_kwargs=options)
