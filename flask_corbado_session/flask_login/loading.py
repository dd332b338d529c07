"""Who ``current_user`` is: the session's user, else whom the ``request_loader`` finds, else an anonymous one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from flask import current_app, g, request, session
from flask.globals import request_ctx

from ..model.outcome import Outcome, Refreshed
from ..web import guards
from ..web.current import current_user as session_user
from ..web.request import find_outcome, short_of
from ..web.state import current_request_state
from . import signals

log = logging.getLogger("flask_corbado_session")
_KEPT = "flask_corbado_session.flask_login"
_OF_SESSION = object()


class Loaders(Protocol):
    """What is asked of a manager."""

    anonymous_user: Callable[[], Any]

    @property
    def reads_sessions(self) -> bool:
        """Whether sessions name users."""

    def check_loaders(self) -> None:
        """Raise if no user could ever be loaded."""

    def load_from_request(self, request: Any) -> Any:
        """Whom the ``request_loader`` finds in a request, or None."""

    def load_by_id(self, user_id: str) -> Any:
        """Whom the app's loader finds by an id, or None."""


class _Kept(NamedTuple):
    """Who was found, for one request context, and for as long as the outcome of the request is the same."""

    outcome: Outcome
    user: Any


def find_user(manager: Loaders) -> Any:
    """The user of this request; loaded when first asked for, and again after a sign-in or sign-out."""
    context = _context()
    request_state = current_request_state()
    outcome = find_outcome(request_state)
    kept: _Kept | None = context.get(_KEPT)
    if kept is None or kept.outcome is not outcome:
        user = _load(manager)
        kept = context[_KEPT] = _Kept(find_outcome(request_state), user)
    return _user_of_session() if kept.user is _OF_SESSION else kept.user


def keep_user(user: Any) -> None:
    """Have ``current_user`` be this one until somebody signs in or out, or the request ends."""
    outcome = find_outcome(current_request_state())
    _context()[_KEPT] = _Kept(outcome, user)


def _context() -> dict[str, Any]:
    attributes: dict[str, Any] = request_ctx._get_current_object().__dict__  # type: ignore[attr-defined]
    return attributes


def _load(manager: Loaders) -> Any:
    manager.check_loaders()
    if "_login_user" in g:
        raise RuntimeError(
            "g._login_user is not read here: sign in with login_user(user), or with FlaskLoginClient in a test"
        )
    app, request_state = current_app._get_current_object(), current_request_state()  # type: ignore[attr-defined]
    signals.user_accessed.send(app)
    if manager.reads_sessions:
        _take_over_written_login(manager)
        user = _user_of_session()
        if short_of(request_state.outcome) is not None:
            if isinstance(request_state.outcome, Refreshed):
                signals.user_loaded_from_cookie.send(app, user=user)
            return _OF_SESSION
    user = manager.load_from_request(request)
    if user is None:
        return manager.anonymous_user()
    signals.user_loaded_from_request.send(app, user=user)
    return user


def _user_of_session() -> Any:
    return session_user._get_current_object()


def _take_over_written_login(manager: Loaders) -> None:
    """A login that a test wrote into Flask's session becomes a session, once.

    In tests only: elsewhere an old cookie of Flask's session, or a copy of one, would sign in for ever.
    """
    if "_user_id" not in session:
        return
    if not current_app.testing:
        _log_once(
            "session['_user_id'] is a login outside tests no more: sign in with login_user(); how live logins of "
            "Flask-Login are kept is in docs/migration.md"
        )
        return
    user_id, fresh = session.pop("_user_id"), session.pop("_fresh", False)
    if user_id is not None and manager.load_by_id(str(user_id)) is not None:
        guards.login_user(str(user_id), False, fresh=bool(fresh))


def _log_once(message: str) -> None:
    logged_once = current_request_state().app_state.logged_once
    if message not in logged_once:
        logged_once.add(message)
        log.warning(message)
