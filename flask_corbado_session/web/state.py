"""What the extension keeps for one request, and where it finds what it keeps for an app."""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, Response, current_app, globals

from ..model.errors import NotOnThisApp
from ..model.outcome import Outcome
from ..model.records import ShortSession
from ..sessions.parts import AppState

EXTENSION = "corbado_session"
_REQUEST_STATE = "flask_corbado_session.request_state"
_ON_CONTEXT = "_corbado_session_request_state"

_proxy: Any = vars(globals).get("request_ctx", globals.app_ctx)
"""Of the request context; Flask 3.2 makes one context of two."""
_find_context = _proxy.__wrapped__.get
"""What the proxy asks: on every page's path, each look through it would be paid for."""


class RequestState:
    """One request and its response, as one request context sees them.

    It is not kept in ``g``, which can outlive a request. The environ holds the state whose outcome the WSGI wrapper
    writes, and the first request context on that environ uses it. An environ can outlive its request, too (the
    handshake of a socket, a copied context): each later context has a state of its own, with a user of its own.
    """

    # Nothing here refers to the environ, which refers to this: the garbage collector would have to find each request.
    # What few requests ask for stands on the class.
    user: tuple[str | None, Any] | None = None
    """The app's user and the id they were loaded for (``web/kept_user``)."""
    old_cookies: tuple[str, ...] = ()
    """Set-Cookie headers that take away an old login which was moved, signed out or refused."""
    is_answered = False
    """Whether the app has made its response, or makes that to an error: no other can take its place any more
    (``DEVICE_BINDING``)."""
    loader_error: Exception | None = None
    """What the app's ``user_loader`` raised at this request's refresh: who needs the user gets it raised."""
    drops_form = False
    """Whether the form that waits in this browser (``web/resume``) is to be forgotten."""
    identity: ShortSession | None = None
    """For the first one: who the later contexts were last found to be."""

    def __init__(self, app_state: AppState, outer: RequestState | None = None) -> None:
        self.app_state = app_state
        self.outer = outer
        """The state of the app that this app is mounted in."""
        self.outcome: Outcome | None = None
        """None until someone asks."""
        self.bound_answer: Response | None = None
        """What a browser is answered at a route of device binding: nothing the app does may change it."""
        self.response_started = False
        """Whether the response has begun to leave, or left long ago; then nobody can ask for the first time."""
        self.handshake: RequestState | None = None
        """For a later context on an environ: the state of the first one."""
        self.is_taken = False
        """Whether a request context uses this state."""
        self.is_protected = False
        """Whether ``login_required`` let this request through."""

    def later(self) -> RequestState:
        """The state of a later context on this one's environ."""
        later = RequestState(self.app_state)
        later.handshake, later.response_started = self, True
        return later


def app_state(app: Flask | None = None) -> AppState:
    """The state of an app, else of the current one; :class:`NotOnThisApp` says what to call."""
    try:
        # not get(): Flask-Login's names may still have to open the door of this app (flask_login/wiring)
        state: AppState = (app or current_app).extensions[EXTENSION]
    except KeyError:
        raise NotOnThisApp from None
    return state


def open_request_state(environ: dict[str, Any], state: AppState) -> RequestState:
    """Open the state of a request; an app mounted in another one has its own."""
    request_state = environ[_REQUEST_STATE] = RequestState(state, environ.get(_REQUEST_STATE))
    if state.parts is not None:
        state.parts.database.begin_request()
    return request_state


def current_request() -> Request:
    """The request itself, and not Flask's proxy of it."""
    current: Request = (_find_context(None) or _proxy._get_current_object()).request
    return current


def current_request_state() -> RequestState:
    """The state of the current request context, also of a test's, which no server opened."""
    context = _find_context(None) or _proxy._get_current_object()  # which raises
    request_state: RequestState | None = context.__dict__.get(_ON_CONTEXT)
    if request_state is None:
        request_state = context.__dict__[_ON_CONTEXT] = _take(context.request.environ, context.app)
    return request_state


def _take(environ: dict[str, Any], app: Flask) -> RequestState:
    """The state of the environ for the first context that asks, else one of its own."""
    state = app_state(app)
    first: RequestState | None = environ.get(_REQUEST_STATE)
    while first is not None and first.app_state is not state:
        first = first.outer
    if first is None:
        first = open_request_state(environ, state)
    elif first.is_taken:
        if state.parts is not None:
            state.parts.database.begin_request()
        return first.later()
    first.is_taken = True
    return first
