"""The routes of the extension (DESIGN §8): who am I, refresh, sign out, the revocation feed, the public keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template, request

from ..keys.key import KeyRing
from ..model.outcome import Active, Refreshed, Started
from ..model.records import ShortSession
from ..model.settings import MIN_AGE
from ..sessions.parts import AppState
from . import device_views
from .any_host import AnyHostBlueprint
from .as_json import claims_json, iso, short_session_json
from .bearer import bearer_token
from .challenge import unauthenticated_problem
from .client import see_other
from .guards import login_required, logout_user
from .next_url import next_of_request
from .origin import is_same_host
from .problems import BadRequestProblem, LinkSpent, NothingToResume, Unauthenticated
from .proving import require_proof
from .query import query_args
from .request import (
    SHARED_ENDPOINTS,
    check_origin,
    current_short,
    find_outcome,
    found_or_503,
    presented_tokens,
    refresh,
)
from .resume import recall
from .state import EXTENSION, app_state, current_request_state

_FEED_LIMIT = 10_000
"""Ids in one page of the feed, which must stay below the megabyte that its readers accept."""


def blueprint(state: AppState) -> Blueprint:
    """The extension's blueprint for one app; without a prefix it has the public keys alone."""
    settings, prefix = state.settings, state.settings.url_prefix
    routes = AnyHostBlueprint(
        EXTENSION,
        "flask_corbado_session",
        template_folder="templates",
        static_folder="static" if prefix else None,
        static_url_path=f"{prefix}/static" if prefix else None,
    )
    if settings.keys_file is not None:
        add_public_keys(routes, state.keys)
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
    if state.parts is None:
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
    if settings.device_binding:
        from . import bound  # which few apps switch on

        add("/bound/register", "bound_register", bound.unreachable)
        add("/bound/refresh", "bound_refresh", bound.unreachable)
    add("/revocations", "revocations", revocations, "GET")
    return routes


# ---- this session


def who_am_i() -> Response:
    """Claims and expiry; a plain 401 without a session, whatever the app answers elsewhere: scripts wait for it."""
    short = current_short()
    if short is None:
        raise unauthenticated_problem(current_request_state())
    return jsonify(short_session_json(short))


def refresh_short() -> Any:
    """A new short session from the long one, also while the old one is still good; 401 when there is none."""
    request_state = current_request_state()
    outcome = find_outcome(request_state)  # which checks the origin
    if isinstance(outcome, Active) and bearer_token() is None:
        if outcome.short.bound:
            require_proof(request_state, outcome.short, MIN_AGE)
            return _refreshed(outcome.short, _presented_token(outcome.short))
        outcome = request_state.outcome = refresh(request_state, presented_tokens(request_state))
    if not isinstance(outcome, (Refreshed, Started)):  # started: an old login that was moved just now
        raise unauthenticated_problem(request_state)
    return _refreshed(outcome.short, outcome.short_token)


def _presented_token(short: ShortSession) -> str:
    """The token of a short session that came by cookie."""
    state = app_state()
    token = state.short_sessions.token_of(short, request.cookies.getlist(state.settings.short_cookie))
    if token is None:  # which no cookie of this request gave
        raise Unauthenticated
    return token


def _refreshed(short: ShortSession, token: str) -> Response:
    answer = {"expires_at": iso(short.expires_at), "claims": claims_json(short)}
    origin = request.headers.get("Origin", "")
    if origin in app_state().settings.cors_origins and not is_same_host(origin, request.host):
        answer["token"] = token  # its page can't read the cookie, and holds this in memory only
    return jsonify(answer)


def revocations() -> Response:
    """The ids ended after ``since`` (milliseconds), and up to when that is known: open to all, since it is ids alone.

    Where ``more`` is true the page was full, and the next one begins at its ``until``.
    """
    since = query_args().get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) <= 15):
        raise BadRequestProblem("The parameter 'since' must be an integer, in milliseconds since 1970.", field="since")
    ended_set = app_state().short_sessions.ended
    ended, not_before, until = ended_set.since(int(since), _FEED_LIMIT) if ended_set is not None else ([], {}, 0)
    more = len(ended) + len(not_before) >= _FEED_LIMIT
    response = jsonify(ended=ended, not_before=not_before, until=until, more=more)
    response.headers["Cache-Control"] = "no-store"
    return response


def logout() -> Any:
    """Sign out: 204 for scripts; forms go on to ``next``, or to the root."""
    logout_user()
    return see_other(next_of_request(app_state().settings) or _root())


def _root() -> str:
    return f"{request.script_root}/"


@login_required
def resume_form() -> Any:
    """A button that sends the form again which re-authentication interrupted (``fresh_login_required``)."""
    short = current_short()
    remembered = None if short is None else recall(short)
    if remembered is None:
        raise NothingToResume
    return render_template("corbado_session/resume.html", path=remembered.path, fields=remembered.fields)


# ---- "this wasn't me", from a mail


def ask_to_disown(token: str) -> Any:
    """The page behind the link: a GET changes nothing, for mail scanners follow links."""
    device = found_or_503(lambda: app_state().with_database().disown_links.find(token))
    if device is None:
        raise LinkSpent
    return _no_store(render_template("corbado_session/disown.html", device=device, done=False))


def disown(token: str) -> Any:
    """End every session of the device the link stands for, once."""
    check_origin(app_state())
    device = found_or_503(lambda: app_state().with_database().disown_links.use(token))
    if device is None:
        raise LinkSpent
    return _no_store(render_template("corbado_session/disown.html", device=device, done=True))


def _no_store(page: str) -> Response:
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    # the path is the key, and goes nowhere; "no-referrer" would have browsers send the form with "Origin: null" too
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


# ---- single-page apps on another host (Fetch standard, CORS): exact origins, nothing else

_PREFLIGHT_MAX_AGE = 600
"""Seconds."""


def share(origins: frozenset[str], response: Response) -> Response:
    """Let the page of an allowed origin read the response; any other origin gets no header at all."""
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
            response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_MAX_AGE)
        else:
            response.headers["Access-Control-Expose-Headers"] = "Retry-After, WWW-Authenticate, Date"
    return response


# ---- public keys, for services that only verify (RFC 7517)

JWKS_MAX_AGE = 60
"""Seconds a copy may serve. With a verifier's own few minutes still well under the 10 a key is published ahead."""


def add_public_keys(routes: Blueprint, keys: KeyRing) -> None:
    """Add their two routes, in an app that signs with a key file: what ``SECRET_KEY`` signs nobody else can verify."""
    from ..keys.ring import KeyFile  # which few apps have

    if not isinstance(keys, KeyFile):
        return

    def jwks() -> Response:
        """The public members of every published key. Asks for no session, so that any cache may keep it."""
        body = json.dumps({"keys": [dict(key.public_jwk) for key in keys.published()]})
        response = Response(body, mimetype="application/json")
        response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
        response.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE}"
        response.headers["Access-Control-Allow-Origin"] = "*"  # public, and the same for everyone
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.make_conditional(request)
        return response

    for rule in ("/.well-known/jwks.json", "/.well-known/jwks"):
        routes.add_url_rule(rule, "jwks", jwks)
