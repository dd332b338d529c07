"""An operator ends sessions: a page that asks, and the form on it that does it. Both work without script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from flask import redirect, request, url_for
from werkzeug.datastructures import MultiDict

from ..model.clock import from_ms
from ..model.errors import SessionNotFound
from ..model.outcome import SignedOut
from ..model.users import user_id_of
from ..tokens.ids import is_id
from ..web.current import current_session
from ..web.origin import safe_next
from ..web.problems import BadRequestProblem
from ..web.state import app_state, current_request_state
from ..web.step_up import RECENT, step_up_response
from .log import RevokeResult
from .panel import current_operator, decode_cursor, encode_cursor, now_ms, panel, render, run_or_http_error
from .search import Filter, read_time

Kind = Literal["session", "device", "user", "before"]
KINDS: tuple[Kind, ...] = ("session", "device", "user", "before")


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be ended: an id, or a time in milliseconds, and as it was written."""

    kind: Kind
    value: Any
    text: str


def confirm() -> str:
    """Say what would be ended, and ask."""
    target = _target(request.args)
    store = panel().log.store
    session = device = None
    if target.kind == "session":
        session = _known(run_or_http_error(lambda: store.find_session(target.value)))
    if target.kind != "user" and target.kind != "before":
        device_id = target.value if session is None else session.device_id
        device = _known(run_or_http_error(lambda: store.devices_by_id([device_id])).get(device_id))
    live = run_or_http_error(lambda: store.count_live(Filter({target.kind: target.value}), now_ms()))
    of = target.value if target.kind == "user" else getattr(session or device, "user_id", None)
    return render(
        "revoke.html",
        [of] if of else (),
        target=target,
        session=session,
        device=device,
        live=live,
        back=_back(request.args),
    )


def revoke() -> Any:
    """End it, and go back to where it was asked for; or say that there is more, and how to go on."""
    target = _target(request.form)
    if app_state().settings.reauth_view is not None:
        answer = step_up_response(RECENT)
        if answer is not None:
            return answer
    done = run_or_http_error(lambda: _do(target))
    if current_session.session_id in done.ended:  # one's own: that is signing out
        current_request_state().outcome = SignedOut()
    back = _back(request.form)
    if done.next is not None:
        go_on = encode_cursor(_where(target), (done.action_id, *done.next))
        action = run_or_http_error(lambda: panel().log.action(done.action_id))
        return render("more.html", target=target, action=action, go_on=go_on, back=back)
    path = back or url_for(".actions")
    return redirect(f"{path}{'&' if '?' in path else '?'}done={done.action_id}", 303)


def _do(target: Target) -> RevokeResult:
    log, operator = panel().log, current_operator()
    match target.kind:
        case "session":
            return log.revoke_session(operator, target.value)
        case "device":
            return log.revoke_device(operator, target.value)
        case "user":
            return log.revoke_user(operator, target.value)
        case "before":
            key = decode_cursor(_where(target), request.form.get("go_on", ""), "go_on")
            action_id, *after = key or (None,)
            own = current_session.session_id
            return log.revoke_before(operator, target.value, own, action_id, tuple(after) or None)


def _where(target: Target) -> str:
    return f"revoke {target.kind} {target.value} by {current_session.user_id}"


def _target(fields: MultiDict[str, str]) -> Target:
    """The one thing that is named; a 400 for none, for two, and for what can't be."""
    named = [kind for kind in KINDS if fields.get(kind)]
    if len(named) != 1:
        raise BadRequestProblem(f"Name one of {', '.join(KINDS)}.", field=(named or [*KINDS])[-1])
    kind, text = named[0], fields[named[0]]
    if kind in ("session", "device"):
        if not is_id(text):
            run_or_http_error(lambda: _unknown(text))
        return Target(kind, text, text)
    try:
        if kind == "user":
            return Target(kind, user_id_of(text), text)
        before = min(read_time(text), now_ms())
    except ValueError as error:
        raise BadRequestProblem(f"The field {kind!r} takes {error}.", field=kind) from None
    return Target(kind, before, from_ms(before).isoformat())


def _known(found: Any) -> Any:
    return found if found is not None else run_or_http_error(lambda: _unknown(""))


def _unknown(what: str) -> Any:
    raise SessionNotFound(what)


def _back(fields: MultiDict[str, str]) -> str | None:
    """The list it was asked for on, if that is a path of this site."""
    path = safe_next(fields.get("back"))
    return None if path is None else path.partition("#")[0]
