"""The two routes of device binding. A browser forgets its session for one wrong answer, so none comes from the app.

They are answered before the app's own ``before_request``, and the WSGI wrapper puts the answer in the place of whatever
the app's error handlers and ``after_request`` made of it. Which answer does what is Chromium's: 403 with a challenge is
a request for a proof, a 5xx is kept and tried again, and any other 4xx has the browser forget the session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, json, request

from ..binding import headers
from ..model.outcome import Anonymous
from ..model.settings import Settings
from ..sessions.bound import BoundSessions, NotBound, ProofRequired, Proven, RegistrationRefused
from .cookies import bound_path, short_cookie_attributes
from .origin import is_foreign
from .problems import CsrfRejected, DeviceBindingRefused, Problem, ProofNeeded, SessionNotFoundProblem, Unavailable
from .request import presented_tokens
from .state import EXTENSION, RequestState, current_request_state

log = logging.getLogger("flask_corbado_session")

_REGISTER, _REFRESH = f"{EXTENSION}.bound_register", f"{EXTENSION}.bound_refresh"


def stand_first(app: Flask) -> None:
    """Have the routes answered before anything of the app's, and know when it has answered another request.

    Called before its first request.
    """
    before = app.before_request_funcs.setdefault(None, [])
    if answer in before:  # of two first requests, one may be under way
        return
    before.insert(0, answer)
    for scope in (None, *app.blueprints):
        app.after_request_funcs.setdefault(scope, []).append(_note_answered)  # the last of them is called first
    app.handle_user_exception = partial(_note_failed, app.handle_user_exception)  # type: ignore[method-assign]


def _note_answered(response: Response) -> Response:
    """An ``after_request`` that asks who is there must not raise: Flask makes a 500 of that, and the view has run."""
    current_request_state().is_answered = True
    return response


def _note_failed(handle: Callable[..., Any], *args: Any) -> Any:
    """Nor must the page of an error, that of a dead link say, which shows who is there."""
    current_request_state().is_answered = True
    return handle(*args)


def answer() -> Response | None:
    """The answer of the two routes; None for any other."""
    if request.endpoint not in (_REGISTER, _REFRESH) or request.method != "POST":
        return None
    request_state = current_request_state()
    parts = request_state.app_state.parts
    if parts is None or parts.bound is None:
        return None
    try:
        made = (_register if request.endpoint == _REGISTER else _refresh)(request_state, parts.bound)
    except Exception:  # a database that is down, the app's user_loader, anything else: the browser keeps its key
        log.exception("a bound session could not be refreshed just now; nobody is signed out")
        made = _problem(Unavailable())
    request_state.bound_answer = made
    request_state.outcome = request_state.outcome or Anonymous()  # an after_request that asks finds nobody
    return Response(made.get_data(), made.status, made.headers.copy())  # an after_request may change it in place


def unreachable() -> Response:
    """The view of both routes, which :func:`answer` precedes."""
    return answer() or _problem(SessionNotFoundProblem())


def _register(request_state: RequestState, bound: BoundSessions) -> Response:
    if _is_foreign(request_state):
        return _problem(CsrfRejected())
    try:
        proven = bound.register(presented_tokens(request_state), headers.string(request.headers.get(headers.PROOF)))
    except RegistrationRefused as error:
        log.info("a browser's key was not registered: %s", error)
        return _problem(DeviceBindingRefused(f"The key was not registered: {error}."))
    return _proven(request_state, proven)


def _refresh(request_state: RequestState, bound: BoundSessions) -> Response:
    session_id = headers.string(request.headers.get(headers.SESSION_ID))
    proof = headers.string(request.headers.get(headers.PROOF))
    if _is_foreign(request_state):
        proof = None  # nothing is done for a page of another origin; a browser is asked again
    presented = presented_tokens(request_state)
    found = bound.refresh(presented, session_id, proof)
    match found:
        case Proven():
            return _proven(request_state, found)
        case ProofRequired():
            log.info("a bound session was not refreshed: %s", found.reason)
            required = _problem(ProofNeeded(f"A proof of the key is needed: {found.reason}."))
            required.headers[headers.CHALLENGE] = headers.challenge_for(found.session_id, found.challenge)
            return required
        case NotBound():
            return _json({"session_identifier": found.session_id, "continue": False})
        case _ if not presented.device and _siblings(request_state.app_state.settings, request.host):
            # of no cookie at all: a host we named is of another site after all, and its page's request brings none
            return _problem(Unavailable())
        case _:
            return _problem(SessionNotFoundProblem("No session of that id came with the request."))


def _proven(request_state: RequestState, proven: Proven) -> Response:
    """The configuration of the browser's session, with its new cookies and the challenge of its next proof."""
    request_state.outcome = proven.outcome
    settings = request_state.app_state.settings
    session_id = proven.outcome.short.session_id or ""
    credential = {
        "type": "cookie",
        "name": settings.short_cookie,
        "attributes": short_cookie_attributes(settings),
    }
    # no origin: behind a proxy that ends TLS ours would say http
    config: dict[str, Any] = {
        "session_identifier": session_id,
        "refresh_url": bound_path(settings, request.script_root, "refresh"),
        "scope": {"include_site": False},
        "credentials": [credential],
    }
    if siblings := _siblings(settings, request.host):
        config["allowed_refresh_initiators"] = siblings
    response = _json(config)
    response.headers[headers.CHALLENGE] = headers.challenge_for(session_id, proven.challenge)
    return response


def _siblings(settings: Settings, host: str) -> list[str]:
    """The hosts of the same site whose pages may call this one: the browser proves its key for their requests, too.

    One of another site brings no cookies. Not all of these show by their names: ``a.co.uk`` and ``b.co.uk`` are two.
    """
    parent = host.partition(":")[0].partition(".")[2]
    names = {urlsplit(origin).hostname or "" for origin in settings.cors_origins | settings.trusted_origins}
    return sorted(name for name in names if "." in parent and (name == parent or name.endswith(f".{parent}")))


def _is_foreign(request_state: RequestState) -> bool:
    sent, trusted = request.headers, request_state.app_state.settings.trusted_origins
    return is_foreign("POST", sent.get("Sec-Fetch-Site"), sent.get("Origin"), request.host, trusted)


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), mimetype="application/json")


def _problem(problem: Problem) -> Response:
    """Always the problem+json: the browser asks, not the person."""
    response = Response(problem.as_json(), problem.code, mimetype="application/problem+json")
    if isinstance(problem, Unavailable):
        response.headers["Retry-After"] = str(problem.retry_after)
    return response
