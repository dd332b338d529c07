"""The app's own engine as Flask-SQLAlchemy made it: its URL, its options and its listeners, for the library's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy import URL, Engine, make_url

from ..database.options import check_driver, is_in_memory
from ..model.errors import SettingsError

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

log = logging.getLogger("flask_corbado_session")


class AppEngine:
    """What one app says of its database, wherever Flask-SQLAlchemy takes it from. Nothing is looked at before it is
    asked for: ``db.init_app`` may come after ours."""

    def __init__(self, app: Flask, db: SQLAlchemy, last_word: Mapping[str, Any]) -> None:
        self._app = app
        self._db = db
        self._last_word = last_word

    def check(self) -> None:
        """SettingsError for an async driver, where the database is set up already."""
        if self._is_set_up() and "url" not in self._last_word:
            check_driver(self._engine()[1].url)

    def locate(self) -> tuple[URL, Mapping[str, Any]]:
        """The URL of the app's default engine and the options it was made with; or another URL, without options."""
        if "url" in self._last_word:
            return make_url(self._last_word["url"]), {}
        if not self._is_set_up():
            raise RuntimeError("the app's Flask-SQLAlchemy is not set up: call db.init_app(app)")
        key, engine = self._engine()
        if is_in_memory(engine.url) and not self._app.testing:
            log.warning(
                "the database is in memory: the long sessions are kept in one of their own and end with the process"
            )
        return engine.url, self._options(key)

    def listeners(self) -> tuple[list[Any], list[Any]]:
        """The app's listeners to ``do_connect`` and ``connect`` of this engine, as they are now.

        Those of the class Engine hear of every engine by themselves, and SQLAlchemy's own belong to each.
        """
        if "url" in self._last_word:
            return [], []
        engine = self._engine()[1]
        do_connect = list(engine.dialect.dispatch.do_connect.listeners)
        return do_connect, [fn for fn in engine.pool.dispatch.connect.listeners if not _is_sqlalchemys(fn)]

    def _is_set_up(self) -> bool:
        return "sqlalchemy" in self._app.extensions

    def _engine(self) -> tuple[str | None, Engine]:
        """The default engine; of an app that names all its databases, the only one there is."""
        with self._app.app_context():
            engines = self._db.engines
        if None in engines:
            return None, engines[None]
        if len(engines) == 1:
            return next(iter(engines.items()))
        raise SettingsError(
            f"the app has no default database, but {', '.join(map(repr, engines))}: set SQLALCHEMY_DATABASE_URI, or "
            'say where the sessions are kept by CorbadoSession(db, engine_options={"url": …})'
        )

    def _options(self, key: str | None) -> dict[str, Any]:
        """As Flask-SQLAlchemy puts them together; it keeps no record of the result."""
        config = self._app.config
        options: dict[str, Any] = {"echo": config.get("SQLALCHEMY_ECHO", False)}
        options |= getattr(self._db, "_engine_options", None) or {}
        bind = (config.get("SQLALCHEMY_BINDS") or {}).get(key)
        options |= bind if isinstance(bind, Mapping) else {}
        if key is None:
            options |= config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
        return options


def _is_sqlalchemys(listener: Any) -> bool:
    return str(getattr(listener, "__module__", "")).startswith("sqlalchemy.")
