"""What the extension keeps for one request, and where it finds what it keeps for an app."""

from __future__ import annotations

from typing import Any, cast

from flask import current_app, request

from ..model.errors import NotOnThisApp
from ..model.outcome import Outcome
from ..sessions.parts import AppState

EXTENSION = "corbado_session"
_REQUEST_STATE = "flask_corbado_session.request_state"


class RequestState:
    """One request and its response. Kept in the environ and not in ``g``, which can outlive a request."""

    __slots__ = (
        "app_state",
        "drops_form",
        "environ",
        "is_protected",
        "loader_error",
        "old_cookies",
        "outcome",
        "response_started",
    )

    def __init__(self, app_state: AppState, environ: dict[str, Any]) -> None:
        self.app_state = app_state
        self.environ = environ
        self.outcome: Outcome | None = None
        """None until someone asks."""
        self.old_cookies: list[str] = []
        """Set-Cookie headers that take away an old login which was moved, signed out or refused."""
        self.is_protected = False
        """Whether ``login_required`` let this request through."""
        self.response_started = False
        """Whether the response has begun to leave; from then on nobody can ask for the first time."""
        self.loader_error: Exception | None = None
        """What the app's ``user_loader`` raised at this request's refresh: who needs the user gets it raised."""
        self.drops_form = False
        """Whether the form that waits in this browser (``web/resume``) is to be forgotten."""


def app_state() -> AppState:
    """The state of the current app; :class:`NotOnThisApp` says what to call."""
    try:
        return cast(AppState, current_app.extensions[EXTENSION])
    except KeyError:
        raise NotOnThisApp from None


def open_request_state(environ: dict[str, Any], state: AppState) -> RequestState:
    """Open the state of a request; an app mounted in another one has its own."""
    request_state = environ[_REQUEST_STATE] = RequestState(state, environ)
    if state.parts is not None:
        state.parts.database.begin_request()
    return request_state


def current_request_state() -> RequestState:
    """The state of the current request, also in a test's request context, which no server opened."""
    environ = request.environ
    return environ.get(_REQUEST_STATE) or open_request_state(environ, app_state())
