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
from ..sessions.new_device import Disowning
from ..sessions.revocation import Overview
from ..verification.short_sessions import ShortSessions

EXTENSION = "corbado_session"
_EXCHANGE = "flask_corbado_session.exchange"
NOT_LOADED = object()


@dataclass(frozen=True, slots=True)
class Rows:
    """What an app with a database has beyond one that only verifies."""

    database: Database
    lifecycle: Lifecycle
    overview: Overview
    disowning: Disowning


@dataclass(frozen=True, slots=True)
class AppState:
    """Everything of one app, in ``app.extensions["corbado_session"]``."""

    settings: Settings
    clock: Clock
    keys: KeyRing
    shorts: ShortSessions
    callbacks: Callbacks
    rows: Rows | None
    reads_cookies: bool
    """False in a service that only verifies and has been told no cookie: there a session comes as bearer alone."""
    extension: Any
    """The instance itself, for the routes, which offer what its methods do."""
    told: set[str] = field(default_factory=set)
    """Which of the messages that are logged once have been."""

    def with_rows(self) -> Rows:
        """The database side; RuntimeError in a service that only verifies."""
        if self.rows is None:
            raise RuntimeError(
                "this app's CorbadoSession only verifies: sessions start and end where CorbadoSession has a db"
            )
        return self.rows


class Exchange:
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


def new_exchange(environ: dict[str, Any], state: AppState) -> Exchange:
    """Open the exchange of a request; an app mounted in another one has its own."""
    exchange = environ[_EXCHANGE] = Exchange(state, environ)
    if state.rows is not None:
        state.rows.database.begin_request()
    return exchange


def current_exchange() -> Exchange:
    """The exchange of the current request, also in a test's request context, which no server opened."""
    environ = request.environ
    return environ.get(_EXCHANGE) or new_exchange(environ, app_state())
