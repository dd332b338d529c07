"""How a ``LoginManager`` gets its ``CorbadoSession``: as soon as the app has a database and a secret key.

Flask-Login needs neither to be initialised, so apps do that in any order. The tables are built when the app's
Flask-SQLAlchemy is known, which is in time for ``db.create_all()`` and migrations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, appcontext_pushed

from ..database.tables import tables_in
from ..keys.key import weakness
from ..web.state import EXTENSION
from .differences import warn_of_config

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from ..extension import CorbadoSession
    from ..sessions.hooks import Hooks

_FLASK_SQLALCHEMY = "sqlalchemy"


class _WatchedExtensions(dict[str, Any]):
    """``app.extensions``: tells when Flask-SQLAlchemy enters itself, and opens the gate for who needs the sessions."""

    def __init__(self, extensions: dict[str, Any], gate: Gate) -> None:
        super().__init__(extensions)
        self._gate = gate

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name == _FLASK_SQLALCHEMY:
            self._gate.found(value)

    def __missing__(self, name: str) -> Any:
        if name == EXTENSION:
            self._gate.open()
        if name in self:
            return self[name]
        raise KeyError(name)


class Gate:
    """Stands in ``app.wsgi_app``, where the sessions' own wrapper will be, and puts it there when all is known."""

    def __init__(
        self, app: Flask, sessions: CorbadoSession, db: SQLAlchemy | None, when_open: Callable[[Hooks], None]
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._db: SQLAlchemy | None = db or app.extensions.get(_FLASK_SQLALCHEMY)
        self._when_open = when_open
        self._lock = threading.RLock()
        self._is_open = self._is_opening = False
        self._inner: Callable[..., Iterable[bytes]] = app.wsgi_app
        app.wsgi_app = self  # type: ignore[method-assign]
        self.open_if_ready()
        if not self._is_open:
            app.extensions = _WatchedExtensions(app.extensions, self)
            appcontext_pushed.connect(self._when_pushed, app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request; the first one opens the gate, if nothing did before."""
        self.open_if_ready()  # else whoever asks for a user is told what is missing; a public page needs nothing
        return self._inner(environ, start_response)

    def _when_pushed(self, app: Flask) -> None:
        self.open_if_ready()  # for a command, say

    def found(self, db: SQLAlchemy) -> None:
        """Take the database that is being set up; it has no engine yet, so the gate opens later."""
        self._db = self._db or db
        tables_in(self._db.metadata)

    def open_if_ready(self) -> None:
        """Open it, unless something is missing that the app may still set."""
        if not self._is_open and self._is_ready():
            self.open()

    def _is_ready(self) -> bool:
        if EXTENSION in self._app.extensions:
            return True
        secret = self._app.config.get("SECRET_KEY")
        is_accepted = not weakness(secret) or (bool(secret) and (self._app.debug or self._app.testing))
        return self._db is not None and is_accepted

    def open(self) -> None:
        """Give the app its CorbadoSession, or take the one it has.

        Raises RuntimeError without a Flask-SQLAlchemy, and SettingsError for settings or keys that can't be used.
        """
        if not self._is_open:
            self._open()

    def _open(self) -> None:
        with self._lock:
            if self._is_open or self._is_opening:
                return
            self._is_opening = True
            try:
                if EXTENSION not in self._app.extensions:
                    self._init_sessions()
                self._when_open(self._app.extensions[EXTENSION].hooks)
                warn_of_config(self._app.config)
                self._is_open = True
            finally:
                self._is_opening = False

    def _init_sessions(self) -> None:
        if self._db is None:
            raise RuntimeError(
                "LoginManager keeps sessions in the app's database, and finds no Flask-SQLAlchemy on this app: "
                "call db.init_app(app), or write LoginManager(db=db)"
            )
        outer, self._app.wsgi_app = self._app.wsgi_app, self._inner  # type: ignore[method-assign]
        try:
            self._sessions.init_app(self._app, self._db)
            self._inner = self._app.wsgi_app
        finally:
            self._app.wsgi_app = outer  # type: ignore[method-assign]
