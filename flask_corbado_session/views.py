"""The routes of the extension (DESIGN §8): who am I, refresh, sign out, devices, and what is revoked there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request, url_for

from . import cors, well_known
from .current import (
    bearer_token,
    check_origin,
    current_session,
    find_outcome,
    found_or_503,
    presented_tokens,
    refresh,
    unauthenticated,
)
from .freshness import stale_refusal
from .guards import login_required, logout_user
from .origin import safe_next
from .problems import BadRequestProblem, LinkSpent, NothingToResume, is_navigation
from .records import Active, Device, LongSession, Refreshed, ShortSession
from .resume import recall
from .state import EXTENSION, AppState, app_state, current_exchange

_FEED_LIMIT = 20_000
RECENT = 15 * 60
"""Seconds for which a sign-in is recent enough to end other sessions."""


def blueprint(state: AppState) -> Blueprint:
    """The extension's blueprint for one app; its rows under the prefix are absent when that is None."""
    settings, prefix = state.settings, state.settings.url_prefix
    routes = Blueprint(
        EXTENSION,
        __name__,
        template_folder="templates",
        static_folder="static" if prefix else None,
        static_url_path=f"{prefix}/static" if prefix else None,
    )
    well_known.add_routes(routes, state.keys)
    if prefix is None:
        return routes

    def add(rule: str, endpoint: str, view: Callable[..., Any], method: str = "POST") -> None:
        routes.add_url_rule(prefix + rule, endpoint, view, methods=[method])

    add("", "who_am_i", who_am_i, "GET")
    if settings.cors_origins:
        routes.after_request(partial(cors.share, settings.cors_origins))
    if state.rows is None:
        return routes
    add("/refresh", "refresh", refresh_short)
    add("/logout", "logout", logout)
    add("/resume", "resume", resume_form, "GET")
    add("/disown/<token>", "disown", ask_to_disown, "GET")
    add("/disown/<token>", "disown_device", disown)
    add("/devices", "devices", devices, "GET")
    add("/devices/<device_id>/name", "rename_device", rename_device)
    add("/devices/<device_id>/revoke", "revoke_device", revoke_device)
    add("/<session_id>/revoke", "revoke_session", revoke_session)
    add("/revoke-others", "revoke_others", revoke_others)
    add("/revocations", "revocations", revocations, "GET")
    return routes


# ---- this session


@login_required
def who_am_i() -> Response:
    """Claims and expiry; 401 without a session."""
    return jsonify(_who(current_session._short))


def refresh_short() -> Any:
    """A new short session from the long one, also while the old one is still good; 401 when there is none."""
    exchange = current_exchange()
    outcome = find_outcome(exchange)  # which checks the origin
    if isinstance(outcome, Active) and bearer_token() is None:
        outcome = exchange.outcome = refresh(exchange, presented_tokens(exchange))
    if not isinstance(outcome, Refreshed):
        return unauthenticated()
    short = outcome.short
    answer = {"expires_at": _iso(short.expires_at), "claims": _claims(short)}
    if request.headers.get("Origin") in app_state().settings.cors_origins:
        answer["token"] = outcome.short_token  # its page can't read the cookie, and holds this in memory only
    return jsonify(answer)


def revocations() -> Response:
    """The ids ended after ``since`` (milliseconds), and ``until`` when that is known: open, for it is ids alone."""
    since = request.args.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) <= 15):
        raise BadRequestProblem("The parameter 'since' must be whole milliseconds since 1970.", field="since")
    ended_set = app_state().shorts.ended
    ended, renewed, until = ended_set.since(int(since), _FEED_LIMIT) if ended_set is not None else ([], {}, 0)
    response = jsonify(ended=ended, renewed=renewed, until=until)
    response.headers["Cache-Control"] = "no-store"
    return response


def logout() -> Any:
    """Sign out: 204 for scripts; forms go on to ``next``, or to the root."""
    logout_user()
    if not is_navigation():
        return "", 204
    return redirect(safe_next(request.values.get("next"), app_state().settings.cors_origins) or _root(), 303)


def _root() -> str:
    return f"{request.script_root}/"


@login_required
def resume_form() -> Any:
    """A button that sends the form again which re-authentication interrupted (``fresh_login_required``)."""
    remembered = recall(current_session._short)
    if remembered is None:
        raise NothingToResume
    return render_template("corbado_session/resume.html", path=remembered.path, fields=remembered.fields)


# ---- devices


@login_required
def devices() -> Any:
    """The devices page, or JSON for whoever prefers it."""
    found, ended = _extension().devices(), _extension().history()
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        return jsonify(devices=[_device(device) for device in found], history=[_session(each) for each in ended])
    now = app_state().clock.now()
    return render_template("corbado_session/devices.html", devices=found, history=ended, now=now)


@login_required
def rename_device(device_id: str) -> Any:
    """Give the device the name in the field ``name``; an empty one takes it away."""
    _extension().rename_device(device_id, _field("name"))
    return _done()


@login_required
def revoke_device(device_id: str) -> Any:
    """End every session on the device."""
    if answer := _ask_again(lambda: device_id == getattr(current_session.device, "id", None)):
        return answer
    _extension().revoke_device(device_id)
    return _done()


@login_required
def revoke_session(session_id: str) -> Any:
    """End one session."""
    if answer := _ask_again(lambda: session_id == current_session.session_id):
        return answer
    _extension().revoke(session_id)
    return _done()


@login_required
def revoke_others() -> Any:
    """End every session but this one."""
    if answer := _ask_again(lambda: False):
        return answer
    _extension().revoke_others()
    return _done()


# ---- "this wasn't me", from a mail


def ask_to_disown(token: str) -> Any:
    """The page behind the link: a GET changes nothing, for mail scanners follow links."""
    device = found_or_503(lambda: app_state().with_rows().disowning.find(token))
    if device is None:
        raise LinkSpent
    return _no_store(render_template("corbado_session/disown.html", device=device, done=False))


def disown(token: str) -> Any:
    """End every session of the device the link stands for, once."""
    check_origin(app_state())
    device = found_or_503(lambda: app_state().with_rows().disowning.use(token))
    if device is None:
        raise LinkSpent
    return _no_store(render_template("corbado_session/disown.html", device=device, done=True))


def _no_store(page: str) -> Response:
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"  # the path is the key
    return response


def _ask_again(is_sign_out: Callable[[], bool]) -> Any:
    """With ``REAUTH_VIEW`` set, ending *other* sessions asks for a recent sign-in: a thief would begin with that."""
    if app_state().settings.reauth_view is None or is_sign_out():
        return None
    return stale_refusal(RECENT)


def _done() -> Any:
    """Back to the page for a form, nothing for a script."""
    return redirect(url_for(f"{EXTENSION}.devices"), 303) if is_navigation() else ("", 204)


def _field(name: str) -> str:
    body: Any = request.get_json(silent=True) if request.is_json else request.form
    value = body.get(name, "") if hasattr(body, "get") else None
    if not isinstance(value, str):
        raise BadRequestProblem(f"The field {name!r} must be a text.", field=name)
    return value


def _extension() -> Any:
    return app_state().extension


# ---- as JSON


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _claims(short: ShortSession) -> dict[str, Any]:
    return {**short.claims, "sub": short.user_id, "sid": short.session_id, "amr": list(short.amr)}


def _who(short: ShortSession) -> dict[str, Any]:
    return {
        "user_id": short.user_id,
        "session_id": short.session_id,
        "claims": _claims(short),
        "issued_at": _iso(short.issued_at),
        "expires_at": _iso(short.expires_at),
        "auth_time": _iso(short.auth_time),
        "amr": list(short.amr),
    }


def _device(device: Device) -> dict[str, Any]:
    return {
        "id": device.id,
        "name": device.name,
        "label": device.label,
        "browser": device.browser,
        "system": device.system,
        "form": device.form,
        "first_seen_at": _iso(device.first_seen_at),
        "last_seen_at": _iso(device.last_seen_at),
        "is_current": device.is_current,
        "sessions": [_session(session) for session in device.sessions],
    }


def _session(session: LongSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "device_id": session.device_id,
        "created_at": _iso(session.created_at),
        "last_seen_at": _iso(session.last_seen_at),
        "expires_at": _iso(session.expires_at),
        "auth_time": _iso(session.auth_time),
        "amr": list(session.amr),
        "ip": session.ip,
        "user_agent": session.user_agent,
        "ended_at": _iso(session.ended_at),
        "end_reason": session.end_reason,
        "is_current": session.is_current,
    }
