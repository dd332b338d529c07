"""``LoginManager``: Flask-Login's, on the sessions of a ``CorbadoSession`` that it makes for the app."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, redirect, request
from flask_sqlalchemy import SQLAlchemy

from ..cli.entry import group
from ..extension import CorbadoSession
from ..sessions.hooks import Hooks
from ..web.challenge import return_path
from ..web.client import is_navigation
from ..web.origin import SAFE_METHODS
from .manager import Manager
from .urls import login_url
from .utils import _user_context_processor, current_user
from .wiring import Gate

_GATE = "corbado_session.flask_login"
LoaderT = TypeVar("LoaderT", bound=Callable[[str], Any])


class LoginManager(Manager):
    """Holds the settings used for logging in, for any number of apps.

    :param app: an app to initialise at once.
    :param add_context_processor: whether templates get ``current_user``.
    :param db: the app's Flask-SQLAlchemy; by default the one that is initialised on the app, before this or after.
    """

    def __init__(
        self, app: Flask | None = None, add_context_processor: bool = True, *, db: SQLAlchemy | None = None
    ) -> None:
        super().__init__()
        if isinstance(app, SQLAlchemy):
            raise TypeError("LoginManager takes the app first, and the database by name: LoginManager(app, db=db)")
        self.sessions = CorbadoSession(db)
        """The sessions themselves: devices, revocation and what else Flask-Login has no names for."""
        self._db = db
        self._user_callback: Callable[[str], Any] | None = None
        self._hooks: list[Hooks] = []
        if app is not None:
            self.init_app(app, add_context_processor)

    def init_app(self, app: Flask, add_context_processor: bool = True) -> None:
        """Set the app up; it is reachable as ``app.login_manager`` from then on. Touches no database.

        :param app: the app. It may get its database, its secret key and this manager in any order.
        :param add_context_processor: whether templates get ``current_user``.
        :raises RuntimeError: when the app has another LoginManager already.
        """
        if not isinstance(app, Flask):
            raise TypeError(f"LoginManager.init_app takes the app, not a {type(app).__name__}")
        present = getattr(app, "login_manager", None)
        if present is self:
            return
        if isinstance(present, LoginManager):
            raise RuntimeError("this app has a LoginManager already: use current_app.login_manager")
        app.login_manager = self  # type: ignore[attr-defined]
        app.cli.add_command(group)
        if add_context_processor:
            app.context_processor(_user_context_processor)
        app.extensions[_GATE] = Gate(app, self.sessions, self._db, lambda hooks: self._connect(app, hooks))

    def setup_app(self, app: Flask, add_context_processor: bool = True) -> None:
        """Flask-Login's deprecated name of ``init_app``.

        :param app: the app.
        :param add_context_processor: whether templates get ``current_user``.
        """
        warnings.warn("'setup_app' is deprecated: use 'init_app'", DeprecationWarning, stacklevel=2)
        self.init_app(app, add_context_processor)

    def user_loader(self, callback: LoaderT) -> LoaderT:
        """Register the function that loads a user.

        :param callback: called with the user id, a string; returns the user. None (deleted, say) ends the session.
        :returns: the callback, so that this works as a decorator.
        """
        self._user_callback = callback
        for hooks in self._hooks:
            hooks.user_loader = callback
        return callback

    @property
    def user_callback(self) -> Callable[[str], Any] | None:
        """What ``user_loader`` registered."""
        return self._user_callback

    @property
    def reads_sessions(self) -> bool:
        """Whether there is a ``user_loader``; without one, sessions name no users."""
        return self._user_callback is not None or any(hooks.user_loader for hooks in self._hooks)

    def check_loaders(self) -> None:
        """Raise if no user could ever be loaded.

        :raises RuntimeError: says what to register.
        """
        if not self.reads_sessions and self.request_callback is None:
            raise RuntimeError(
                "Missing user_loader or request_loader: register one with @login_manager.user_loader, "
                "a function that takes a user id and returns the user"
            )

    def prepare(self, app: Flask) -> None:
        """Make sure that the app has a CorbadoSession.

        :param app: the app.
        :raises RuntimeError: when it has no database.
        :raises SettingsError: for a setting or a ``SECRET_KEY`` that can't be used.
        """
        app.extensions[_GATE].open()

    def _connect(self, app: Flask, hooks: Hooks) -> None:
        """Have the sessions ask this manager's loader and answer as it does."""
        if not any(known is hooks for known in self._hooks):
            self._hooks.append(hooks)
        hooks.user_loader = self._user_callback or hooks.user_loader
        _set_if_none(hooks, "anonymous_user", lambda: self.anonymous_user())
        hooks.unauthorized_handler = hooks.unauthorized_handler or self._answer_for_routes
        app.jinja_env.globals["current_user"] = current_user

    def _answer_for_routes(self) -> Any:
        """The answer of the sessions' own pages when nobody is signed in: that of the app's pages, to a browser."""
        view = self.login_view_here()
        if not is_navigation() or (view is None and self.unauthorized_callback is None):
            return None
        if view is None or self.unauthorized_callback is not None or request.method in SAFE_METHODS:
            return self.unauthorized()
        return redirect(login_url(view, return_path()))  # a form of these pages can't be asked for again


def _set_if_none(hooks: Hooks, name: str, hook: Callable[..., Any]) -> None:
    if getattr(hooks, name, hook) is None:
        setattr(hooks, name, hook)
