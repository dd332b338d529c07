"""The options of the library's own engine: the app's, with isolation, pool and timeouts of our own.

They are chosen by what the driver can do. Isolation and autocommit are ours whatever the options say: each statement
is its own transaction, so that a sign-in that was answered is stored. ``engine_options=`` has the last word on the
rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from sqlalchemy import URL
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import NullPool, QueuePool

from ..model.errors import SettingsError

TIMEOUT = 2
"""Seconds to connect, to get a connection from the pool, to get a lock, to run a statement."""

READ_TIMEOUT = 2.5
"""Seconds that a server may say nothing: a little more than the statement timeout, which is the server's to keep."""

POSTGRES_SETTINGS = {
    "lock_timeout": f"{TIMEOUT}s",
    "statement_timeout": f"{TIMEOUT}s",
    "default_transaction_isolation": "read committed",
}

_OWN_POOL = ("pool", "poolclass", "pool_size", "max_overflow", "pool_timeout", "pool_reset_on_return", "pool_use_lifo")
_ISOLATION = ("isolation_level", "autocommit")


def engine_options(url: URL, given: Mapping[str, Any], last_word: Mapping[str, Any]) -> dict[str, Any]:
    """The options to make the engine with, its ``url`` among them; SettingsError for a driver that can't be used."""
    check_driver(url)
    url = url.difference_update_query(_ISOLATION)
    kept = {name: value for name, value in given.items() if name not in _OWN_POOL} | dict(last_word)
    connect_args = _without_isolation({**given.get("connect_args", {})})
    connect_args |= _timeouts(url, connect_args) | _without_isolation({**last_word.get("connect_args", {})})
    if url.get_backend_name() == "postgresql":
        connect_args |= _start_up(url, given, last_word)
    pool = {} if {"pool", "poolclass"} & last_word.keys() else _pool(url, given)
    pool |= {name: value for name, value in last_word.items() if name in _OWN_POOL}
    ours: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "hide_parameters": True}
    if "skip_autocommit_rollback" in signature(DefaultDialect.__init__).parameters:  # SQLAlchemy 2.0.43
        ours["skip_autocommit_rollback"] = True
    ours["execution_options"] = _without_isolation({**kept.get("execution_options", {})})
    return kept | pool | ours | {"url": url, "connect_args": connect_args}


def check_driver(url: URL) -> None:
    """SettingsError for an async driver."""
    if getattr(url.get_dialect(), "is_async", False):
        raise SettingsError(
            f"{url.drivername} is an async driver, and a Flask app's database takes a sync one: write "
            f"{_SYNC_DRIVERS.get(url.get_backend_name(), 'one of them')} in SQLALCHEMY_DATABASE_URI"
        )


_SYNC_DRIVERS = {
    "postgresql": "postgresql+psycopg://",
    "mysql": "mysql+pymysql://",
    "mariadb": "mariadb+pymysql://",
    "sqlite": "sqlite:///",
}


def is_in_memory(url: URL) -> bool:
    """Whether this URL names an in-memory SQLite database, of which every engine has one of its own."""
    if url.get_backend_name() != "sqlite":
        return False
    database = url.database or ""
    return database in ("", ":memory:") or database.startswith("file::memory:") or "mode=memory" in str(url)


def _without_isolation(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _ISOLATION}


def _pool(url: URL, given: Mapping[str, Any]) -> dict[str, Any]:
    if given.get("pool") is not None:
        return {"pool": given["pool"].recreate()}  # it connects by itself; the same, with connections of our own
    if "creator" in given and url.get_backend_name() == "sqlite":
        return {"poolclass": NullPool}  # the connections it makes may belong to the thread that made them
    if given.get("poolclass") is NullPool and not is_in_memory(url):
        return {"poolclass": NullPool}
    size = {"pool_size": 1, "max_overflow": 0} if is_in_memory(url) else {"pool_size": 5, "max_overflow": 5}
    return size | {"poolclass": QueuePool, "pool_timeout": TIMEOUT, "pool_reset_on_return": None}


def _timeouts(url: URL, given: Mapping[str, Any]) -> dict[str, Any]:
    """The timeouts that the driver keeps itself; those of the server are set in ``connecting``."""
    driver = url.get_dialect().import_dbapi()
    match url.get_backend_name():
        case "sqlite":
            return {"timeout": TIMEOUT, "check_same_thread": False}
        case "postgresql" if _has_libpq(driver):
            return {"connect_timeout": TIMEOUT, "tcp_user_timeout": TIMEOUT * 1000}
        case "postgresql":
            return {"timeout": READ_TIMEOUT} if "timeout" in signature(driver.connect).parameters else {}
        case "mysql" | "mariadb":
            waits = {"connect_timeout": TIMEOUT, "read_timeout": TIMEOUT, "write_timeout": TIMEOUT}
            # MariaDB's own driver speaks utf8mb4 alone, and takes no option for it
            is_chosen = driver.__name__ == "mariadb" or "charset" in url.query or "charset" in given
            return waits if is_chosen else waits | {"charset": "utf8mb4"}
    return {}


def _start_up(url: URL, given: Mapping[str, Any], last_word: Mapping[str, Any]) -> dict[str, Any]:
    """The server's settings as the driver can send them with the start of a connection, or nothing."""
    driver = url.get_dialect().import_dbapi()
    app, last = given.get("connect_args", {}), last_word.get("connect_args", {})
    if _has_libpq(driver):
        isolation = _as_option("default_transaction_isolation")
        ours = " ".join(map(_as_option, POSTGRES_SETTINGS))
        parts = (app.get("options") or url.query.get("options"), ours, last.get("options"))
        return {"options": " ".join(str(part) for part in (*parts, last.get("options") and isolation) if part)}
    if "startup_params" in signature(driver.connect).parameters:
        ours_last = {"default_transaction_isolation": POSTGRES_SETTINGS["default_transaction_isolation"]}
        before, after = app.get("startup_params") or {}, last.get("startup_params") or {}
        return {"startup_params": {**before, **POSTGRES_SETTINGS, **after, **ours_last}}
    return {}


def _as_option(name: str) -> str:
    return f"-c {name}={POSTGRES_SETTINGS[name].replace(' ', chr(92) + ' ')}"


def _has_libpq(driver: Any) -> bool:
    return hasattr(driver, "pq") or hasattr(driver, "__libpq_version__")
