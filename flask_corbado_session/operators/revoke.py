"""Revocation on the operator pages: a page that asks, and the form on it that revokes. Both work without script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Row
from werkzeug.datastructures import MultiDict

from ..model.clock import from_ms
from ..model.outcome import SignedOut
from ..model.users import user_id_of
from ..tokens.ids import is_id
from ..web.current import current_session
from ..web.origin import safe_next
from ..web.problems import BadRequestProblem, SessionNotFoundProblem
from ..web.query import query_args
from ..web.state import app_state, current_request_state
from ..web.step_up import RECENT, step_up_response
from .log import RevokeResult
from .panel import NOT_FOUND, current_operator, decode_cursor, encode_cursor, now_ms, panel, render, run_or_http_error
from .search import Filter, read_time

Kind = Literal["session", "device", "user", "before"]
KINDS: tuple[Kind, ...] = ("session", "device", "user", "before")


@dataclass(frozen=True, slots=True)
class Target:
    """What to revoke: an id, or a time in milliseconds. ``text`` is the same as a form sends it."""

    kind: Kind
    value: str | int
    text: str


def confirm() -> str:
    """The page that says what will be revoked, and asks."""
    target = _target(query_args())
    session, device = _subject(target)
    live = run_or_http_error(lambda: panel().store.count_live(Filter({target.kind: target.value}), now_ms()))
    user_id = target.value if target.kind == "user" else getattr(session or device, "user_id", None)
    return render(
        "revoke.html",
        [str(user_id)] if user_id else (),
        target=target,
        session=session,
        device=device,
        live=live,
        back=_back(query_args()),
    )


def _subject(target: Target) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The session and the device that a target names, as far as it names them; a 404 if they do not exist."""
    store, session = panel().store, None
    device_id = target.text
    if target.kind == "session":
        session = run_or_http_error(lambda: store.find_session(target.text))
        if session is None:
            raise SessionNotFoundProblem(NOT_FOUND)
        device_id = session.device_id
    elif target.kind != "device":
        return None, None
    device = run_or_http_error(lambda: store.devices_by_id([device_id])).get(device_id)
    if device is None:
        raise SessionNotFoundProblem(NOT_FOUND)
    return session, device


def revoke() -> ResponseReturnValue:
    """Revoke, and return to the page it was started from; or a page that offers to continue, if there is more."""
    target = _target(request.form)
    if app_state().settings.reauth_view is not None:
        response: ResponseReturnValue | None = step_up_response(RECENT)
        if response is not None:
            return response
    result = run_or_http_error(lambda: _revoke(target))
    if current_session.session_id in result.ended:  # revoking one's own session is signing out
        current_request_state().outcome = SignedOut()
    back = _back(request.form)
    if result.next is not None:
        cursor = encode_cursor(_purpose(target), (result.action_id, *result.next))
        action = run_or_http_error(lambda: panel().log.action(result.action_id))
        return render("more.html", target=target, action=action, cursor=cursor, back=back)
    path = back or url_for(".actions")
    return redirect(f"{path}{'&' if '?' in path else '?'}done={result.action_id}", 303)


def _revoke(target: Target) -> RevokeResult:
    log, operator = panel().log, current_operator()
    match target.kind:
        case "session":
            return log.revoke_session(operator, target.text)
        case "device":
            return log.revoke_device(operator, target.text)
        case "user":
            return log.revoke_user(operator, target.text)
        case "before":
            cursor = decode_cursor(_purpose(target), request.form.get("cursor", ""), "cursor")
            action_id, after = (str(cursor[0]), cursor[1:]) if cursor is not None else (None, None)
            own = current_session.session_id
            return log.revoke_before(operator, int(target.value), own, action_id, after or None)


def _purpose(target: Target) -> str:
    return f"revoke {target.kind} {target.value} by {current_session.user_id}"


def _target(fields: MultiDict[str, str]) -> Target:
    """The one target that is named; a 400 if none or two are named or it cannot be read, a 404 for an id of no form."""
    named = [kind for kind in KINDS if fields.get(kind)]
    if len(named) != 1:
        raise BadRequestProblem(f"Name one of {', '.join(KINDS)}.", field=(named or [*KINDS])[-1])
    kind, text = named[0], fields[named[0]]
    if kind in ("session", "device"):
        if not is_id(text):
            raise SessionNotFoundProblem(NOT_FOUND)
        return Target(kind, text, text)
    try:
        if kind == "user":
            user_id = user_id_of(text)
            return Target(kind, user_id, user_id)
        before = min(read_time(text), now_ms())
    except ValueError as error:
        raise BadRequestProblem(f"The field {kind!r} takes {error}.", field=kind) from None
    return Target(kind, before, from_ms(before).isoformat())


def _back(fields: MultiDict[str, str]) -> str | None:
    """The page to return to, if it is a path of this site."""
    path = safe_next(fields.get("back"))
    return None if path is None else path.partition("#")[0]
