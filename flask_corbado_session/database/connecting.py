"""How a connection of the library's own engine is opened: as the app opens its own, with every wait bounded.

Behind a pooler the settings of a session may be refused (a hosted PgBouncer, RDS Proxy) or dropped. That is found out
at the first connection, once, and said once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Engine, event

from .options import POSTGRES_SETTINGS, TIMEOUT
from .pooler import is_shared
from .skew import Skew

log = logging.getLogger("flask_corbado_session")

Listeners = Callable[[], "tuple[list[Any], list[Any]]"]
"""The app engine's own listeners to ``do_connect`` and to ``connect``, as they are now."""

_SETTING = re.compile(r"-c\s*(\w+)\s*=\s*((?:\\.|[^\s\\])+)")


def no_listeners() -> tuple[list[Any], list[Any]]:
    """Those of an engine that has none."""
    return [], []


def listen(
    engine: Engine,
    listeners: Listeners,
    creator: Callable[[], Any] | None,
    last_word: Mapping[str, Any],
    skew: Skew,
) -> None:
    """Have this engine's connections opened as the app's are, and prepared for short transactions."""
    if engine.dialect.name == "postgresql":
        connecting: _Connecting = _Postgres(engine, listeners, skew, creator, last_word)
    elif engine.dialect.name in ("mysql", "mariadb"):
        connecting = _MySQL(engine, listeners, skew)
    elif engine.dialect.name == "sqlite":
        connecting = _SQLite(engine, listeners, skew)
    else:
        connecting = _Connecting(engine, listeners, skew)
    event.listen(engine, "do_connect", connecting.open)
    event.listen(engine, "connect", connecting.prepare)


class _Connecting:
    """Any database."""

    def __init__(self, engine: Engine, listeners: Listeners, skew: Skew) -> None:
        self.skew = skew
        self.engine = engine
        self.dialect: Any = engine.dialect
        self.driver: Any = engine.dialect.dbapi
        self._listeners = listeners

    def open(self, dialect: Any, record: Any, args: list[Any], params: dict[str, Any]) -> Any:
        """A new connection, by the app's own ``do_connect`` if it has one."""
        for listener in self._listeners()[0]:
            connection = listener(dialect, record, args, params)
            if connection is not None:
                return connection
        return self.connect(args, params)

    def connect(self, args: list[Any], params: dict[str, Any]) -> Any:
        """A new connection by the driver."""
        return self.dialect.connect(*args, **params)

    def prepare(self, connection: Any, record: Any) -> None:
        """Run the app's ``connect`` listeners; after them isolation and timeouts are set again."""
        listeners = self._listeners()[1]
        for listener in listeners:
            listener(connection, record)
        if listeners or self.engine.pool.dispatch.connect.parent_listeners:  # those of every engine ran before
            connection.commit()
            self.dialect.set_isolation_level(connection, "AUTOCOMMIT")
        self.configure(connection)
        if self.skew.is_due:
            with suppress(self.driver.Error):
                self.skew.compare(self.dialect.name, partial(self.execute, connection))

    def configure(self, connection: Any) -> None:
        """Set the timeouts of a new connection."""

    def execute(self, connection: Any, statement: str) -> Any:
        """Run a statement beside the engine, and return its first row if it has one."""
        cursor = connection.cursor()
        try:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
        finally:
            cursor.close()


class _SQLite(_Connecting):
    def configure(self, connection: Any) -> None:
        # what ``autocommit`` must be for ``isolation_level`` to count (Python 3.12); a listener may have set another
        legacy = getattr(self.driver, "LEGACY_TRANSACTION_CONTROL", None)
        if legacy is not None and getattr(connection, "autocommit", legacy) != legacy:
            connection.autocommit = legacy
            connection.isolation_level = None
        self.execute(connection, f"PRAGMA busy_timeout = {TIMEOUT * 1000}")
        try:
            # readers do not block the writer; where the app holds the file just now, the next connection tries again
            self.execute(connection, "PRAGMA journal_mode=WAL")
        except self.driver.Error as error:
            if "locked" not in str(error):
                raise


class _MySQL(_Connecting):
    _refused = False

    def configure(self, connection: Any) -> None:
        for statement in (
            # less than the driver waits for an answer, and a conflict, which is tried again as long as that
            f"SET SESSION innodb_lock_wait_timeout = {TIMEOUT - 1}, SESSION lock_wait_timeout = {TIMEOUT - 1}",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        ):
            try:
                self.execute(connection, statement)
            except self.driver.Error as error:  # a proxy's, or a server's that has no InnoDB
                if not self._refused:
                    log.warning("the server refuses a setting of the library's, which goes on without: %s", error)
                self._refused = True


class _Postgres(_Connecting):
    """Start-up options carry the settings; what is not let through is set by a statement, if the session is ours."""

    def __init__(
        self,
        engine: Engine,
        listeners: Listeners,
        skew: Skew,
        creator: Callable[[], Any] | None,
        last_word: Mapping[str, Any],
    ) -> None:
        super().__init__(engine, listeners, skew)
        given = str(last_word.get("connect_args", {}).get("options", ""))
        last = {name: value.replace("\\", "") for name, value in _SETTING.findall(given)}
        isolation = {"default_transaction_isolation": POSTGRES_SETTINGS["default_transaction_isolation"]}
        self._wanted = {name: last.get(name, value) for name, value in POSTGRES_SETTINGS.items()} | isolation
        self._refused = False
        self._sets: bool | None = None  # None until the first connection has shown it
        self._shared = False
        self._open_another = creator

    def open(self, dialect: Any, record: Any, args: list[Any], params: dict[str, Any]) -> Any:
        self._open_another = lambda: self._open(dialect, record, args, dict(params))
        return self._open(dialect, record, args, params)

    def _open(self, dialect: Any, record: Any, args: list[Any], params: dict[str, Any]) -> Any:
        if self._refused:
            return super().open(dialect, record, args, _without_start_up(params))
        try:
            return super().open(dialect, record, args, params)
        except self.driver.Error as error:
            if not _refuses_start_up(error):
                raise
        connection = super().open(dialect, record, args, _without_start_up(params))
        self._refused = True
        return connection

    def connect(self, args: list[Any], params: dict[str, Any]) -> Any:
        if not hasattr(self.driver, "pq"):
            return super().connect(args, params)
        from .psycopg_timeout import BoundedConnection  # a server that has stopped keeps no statement_timeout either

        return BoundedConnection.connect(*args, **params)

    def configure(self, connection: Any) -> None:
        if self._sets is None:
            self._sets = self._must_set(connection, self._wanted)
        if self._sets:
            values = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in self._wanted.items())
            self.execute(connection, f"SELECT {values}")
        if self._shared and hasattr(connection, "prepare_threshold"):
            connection.prepare_threshold = None  # psycopg's prepared statements stay with a session

    def _must_set(self, connection: Any, wanted: dict[str, str]) -> bool:
        """Whether the settings are missing, and a statement may set them: not on a session that others share."""
        names = ", ".join(f"current_setting('{name}')" for name in wanted)
        try:
            found = dict(zip(wanted, self.execute(connection, f"SELECT {names}"), strict=True))
            if found == wanted:
                return False
            self._shared = self._open_another is not None and is_shared(connection, self._open_another)
            if not self._shared:
                self._say_if_refused("they are set by a statement on each new connection")
                return True
        except self.driver.Error:  # a server that has no such settings
            return False
        if found["statement_timeout"] in ("0", "0ms"):
            log.warning(
                "the pooler before PostgreSQL lets no start-up options through and shares its connections, so the "
                "library's timeouts are not set: ALTER ROLE … SET statement_timeout = '%ds' (docs/production.md)",
                TIMEOUT,
            )
        return False

    def _say_if_refused(self, instead: str) -> None:
        if self._refused:
            log.warning("the pooler before PostgreSQL refuses start-up options for the library's timeouts: %s", instead)


def _refuses_start_up(error: Exception) -> bool:
    text = str(error).lower()
    return "startup parameter" in text or "start-up" in text or "command-line options" in text


def _without_start_up(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in ("options", "startup_params")}
