"""What the extension keeps for one app, and what it keeps for one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from flask import current_app, request

from ..database.engine import Database
from ..keys.key import KeyRing
from ..model.clock import Clock
from ..model.errors import NotOnThisApp
from ..model.outcome import Outcome
from ..model.settings import Settings
from ..sessions.hooks import Callbacks
from ..sessions.lifecycle import Lifecycle
from ..sessions.new_device import DisownLinks
from ..sessions.revocation import Revocation
from ..verification.short_sessions import ShortSessionAuthenticator

EXTENSION = "corbado_session"
_REQUEST_STATE = "flask_corbado_session.exchange"
NOT_LOADED = object()


@dataclass(frozen=True, slots=True)
class DatabaseParts:
    """What an app with a database has beyond one that only verifies."""

    database: Database
    lifecycle: Lifecycle
    overview: Revocation
    disowning: DisownLinks


@dataclass(frozen=True, slots=True)
class AppState:
    """Everything of one app, in ``app.extensions["corbado_session"]``."""

    settings: Settings
    clock: Clock
    keys: KeyRing
    shorts: ShortSessionAuthenticator
    callbacks: Callbacks
    rows: DatabaseParts | None
    reads_cookies: bool
    """False in a service that only verifies and has been told no cookie: there a session comes as bearer alone."""
    extension: Any
    """The instance itself, for the routes, which offer what its methods do."""
    logged_once: set[str] = field(default_factory=set)
    """Which of the messages that are logged once have been."""

    def with_database(self) -> DatabaseParts:
        """The database side; RuntimeError in a service that only verifies."""
        if self.rows is None:
            raise RuntimeError(
                "this app's CorbadoSession only verifies: sessions start and end where CorbadoSession has a db"
            )
        return self.rows


class RequestState:
    """One request and its answer. Kept in the environ and not in ``g``, which can outlive a request."""

    __slots__ = ("answered", "environ", "outcome", "required", "state", "user")

    def __init__(self, state: AppState, environ: dict[str, Any]) -> None:
        self.state = state
        self.environ = environ
        self.outcome: Outcome | None = None
        """None until somebody asks."""
        self.user: Any = NOT_LOADED
        self.required = False
        """Whether ``login_required`` let this request through."""
        self.answered = False
        """Whether the answer has begun to leave; from then on nothing is refreshed."""


def app_state() -> AppState:
    """The state of the current app; :class:`NotOnThisApp` says what to call."""
    try:
        return cast(AppState, current_app.extensions[EXTENSION])
    except KeyError:
        raise NotOnThisApp from None


def open_request_state(environ: dict[str, Any], state: AppState) -> RequestState:
    """Open the exchange of a request; an app mounted in another one has its own."""
    request_state = environ[_REQUEST_STATE] = RequestState(state, environ)
    if state.rows is not None:
        state.rows.database.begin_request()
    return request_state


def current_request_state() -> RequestState:
    """The exchange of the current request, also in a test's request context, which no server opened."""
    environ = request.environ
    return environ.get(_REQUEST_STATE) or open_request_state(environ, app_state())
