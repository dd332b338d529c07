"""The routes of the extension (DESIGN §8): who am I, refresh, sign out, devices, and what is revoked there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request

from ..model.outcome import Active, Refreshed
from ..model.records import ShortSession
from . import device_views, well_known
from .as_json import iso
from .challenge import unauthenticated_problem
from .current import current_session
from .guards import login_required, logout_user
from .origin import is_same_host, safe_next
from .problems import BadRequestProblem, LinkSpent, NothingToResume, is_navigation
from .request import SHARED_ENDPOINTS, bearer_token, check_origin, find_outcome, found_or_503, presented_tokens, refresh
from .resume import recall
from .state import EXTENSION, AppState, app_state, current_request_state

_FEED_LIMIT = 10_000
"""Ids in one answer of the feed, which must stay below the megabyte that its readers take."""


def blueprint(state: AppState) -> Blueprint:
    """The extension's blueprint for one app; its rows under the prefix are absent when that is None."""
    settings, prefix = state.settings, state.settings.url_prefix
    routes = Blueprint(
        EXTENSION,
        "flask_corbado_session",
        template_folder="templates",
        static_folder="static" if prefix else None,
        static_url_path=f"{prefix}/static" if prefix else None,
    )
    well_known.add_routes(routes, state.keys)
    if prefix is None:
        return routes

    def add(rule: str, endpoint: str, view: Callable[..., Any], method: str = "POST") -> None:
        # the preflight of a shared one is answered even where the app has switched off Flask's own answers to OPTIONS
        shared = bool(settings.cors_origins) and f"{EXTENSION}.{endpoint}" in SHARED_ENDPOINTS
        methods = [method, "OPTIONS"] if shared else [method]
        routes.add_url_rule(prefix + rule, endpoint, view, methods=methods, provide_automatic_options=shared or None)

    add("", "who_am_i", who_am_i, "GET")
    if settings.cors_origins:
        routes.after_request(partial(share, settings.cors_origins))
    if state.rows is None:
        return routes
    add("/refresh", "refresh", refresh_short)
    add("/logout", "logout", logout)
    add("/resume", "resume", resume_form, "GET")
    add("/disown/<token>", "disown", ask_to_disown, "GET")
    add("/disown/<token>", "disown_device", disown)
    add("/devices", "devices", device_views.devices, "GET")
    add("/devices/<device_id>/name", "rename_device", device_views.rename_device)
    add("/devices/<device_id>/revoke", "revoke_device", device_views.revoke_device)
    add("/<session_id>/revoke", "revoke_session", device_views.revoke_session)
    add("/revoke-others", "revoke_others", device_views.revoke_others)
    add("/revocations", "revocations", revocations, "GET")
    return routes


# ---- this session


def who_am_i() -> Response:
    """Claims and expiry; a plain 401 without a session, whatever the app answers elsewhere: scripts wait for it."""
    if not current_session:
        raise unauthenticated_problem(current_request_state())
    return jsonify(_who(current_session._short))


def refresh_short() -> Any:
    """A new short session from the long one, also while the old one is still good; 401 when there is none."""
    request_state = current_request_state()
    outcome = find_outcome(request_state)  # which checks the origin
    if isinstance(outcome, Active) and bearer_token() is None:
        outcome = request_state.outcome = refresh(request_state, presented_tokens(request_state))
    if not isinstance(outcome, Refreshed):
        raise unauthenticated_problem(request_state)
    short = outcome.short
    answer = {"expires_at": iso(short.expires_at), "claims": _claims(short)}
    origin = request.headers.get("Origin", "")
    if origin in app_state().settings.cors_origins and not is_same_host(origin, request.host):
        answer["token"] = outcome.short_token  # its page can't read the cookie, and holds this in memory only
    return jsonify(answer)


def revocations() -> Response:
    """The ids ended after ``since`` (milliseconds), and ``until`` when that is known: open, for it is ids alone.

    Where ``more`` is true the answer was full, and the rest begins at its ``until``.
    """
    since = request.args.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) <= 15):
        raise BadRequestProblem("The parameter 'since' must be whole milliseconds since 1970.", field="since")
    ended_set = app_state().shorts.ended
    ended, not_before, until = ended_set.since(int(since), _FEED_LIMIT) if ended_set is not None else ([], {}, 0)
    more = len(ended) + len(not_before) >= _FEED_LIMIT
    response = jsonify(ended=ended, not_before=not_before, until=until, more=more)
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


# ---- "this wasn't me", from a mail


def ask_to_disown(token: str) -> Any:
    """The page behind the link: a GET changes nothing, for mail scanners follow links."""
    device = found_or_503(lambda: app_state().with_database().disowning.find(token))
    if device is None:
        raise LinkSpent
    return _no_store(render_template("corbado_session/disown.html", device=device, done=False))


def disown(token: str) -> Any:
    """End every session of the device the link stands for, once."""
    check_origin(app_state())
    device = found_or_503(lambda: app_state().with_database().disowning.use(token))
    if device is None:
        raise LinkSpent
    return _no_store(render_template("corbado_session/disown.html", device=device, done=True))


def _no_store(page: str) -> Response:
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    # the path is the key, and goes nowhere; "no-referrer" would have browsers send the form with "Origin: null" too
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


# ---- as JSON


def _claims(short: ShortSession) -> dict[str, Any]:
    return {**short.claims, "sub": short.user_id, "sid": short.session_id, "amr": list(short.amr)}


def _who(short: ShortSession) -> dict[str, Any]:
    return {
        "user_id": short.user_id,
        "session_id": short.session_id,
        "claims": _claims(short),
        "issued_at": iso(short.issued_at),
        "expires_at": iso(short.expires_at),
        "auth_time": iso(short.auth_time),
        "amr": list(short.amr),
    }


_MAX_AGE = 600


def share(origins: frozenset[str], response: Response) -> Response:
    """Let the page of an allowed origin read the answer; any other origin gets no header at all."""
    if request.endpoint not in SHARED_ENDPOINTS:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
        else:
            response.headers["Access-Control-Expose-Headers"] = "Retry-After, WWW-Authenticate, Date"
    return response
