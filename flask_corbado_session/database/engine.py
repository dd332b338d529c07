"""The library's own small engine, made from the app's URL and options.

Its statements never run in ``db.session`` nor on the app's pool: a request that holds one connection and waits for a
second of the same pool is a deadlock under load. Every wait is bounded: a slow database costs two seconds at most.
"""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from collections.abc import Callable, Mapping
from inspect import signature
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from ..model.errors import ConstraintViolated, StoreUnavailable, TablesMissing
from .tables import SESSION, tables_in

T = TypeVar("T")
STALE_WINDOW = 0.5
"""Seconds within which a lost connection was a stale one."""

TIMEOUT = 2
"""Seconds to connect, to get a connection from the pool, to get a lock, to run a statement."""

_WHERE = ("host", "hostaddr", "port", "dbname", "service", "unix_socket")
"""The parameters of a URL that say where a database is."""

_OWN_POOL = ("pool", "poolclass", "pool_size", "max_overflow", "pool_timeout", "pool_reset_on_return", "pool_use_lifo")
_POSTGRES_SETTINGS = (
    f"-c lock_timeout={TIMEOUT}s -c statement_timeout={TIMEOUT}s -c default_transaction_isolation=read\\ committed"
)


class Database:
    """Runs work on the library's engine, which is made when first needed and survives a fork."""

    def __init__(self, locate: Callable[[], tuple[URL, Mapping[str, Any]]], metadata: MetaData) -> None:
        self._locate = locate
        self.metadata = metadata
        self.tables = tables_in(metadata)
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._gave_up = threading.local()
        """``until`` when a thread that waited in vain does not wait again."""

    @property
    def engine(self) -> Engine:
        """The engine; made at the first call."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._make()
        return self._engine

    @property
    def address(self) -> str:
        """Where this database is, without a user, a password or an option. No two in memory are the same; empty if
        the URL does not say, as with a ``creator``."""
        url = self.engine.url
        if is_in_memory(url):
            return secrets.token_hex()
        where = {name: value for name, value in url.query.items() if name in _WHERE}
        if not (url.host or url.database or where):
            return ""
        return str(URL.create(url.get_backend_name(), None, None, url.host, url.port, url.database, where))

    def begin_request(self) -> None:
        """What this thread does next is a request of its own, and may wait anew."""
        self._gave_up.until = 0.0

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a connection in autocommit: each statement is its own short transaction.

        A connection that turns out to be stale is replaced and the work done once more. Raises
        :class:`StoreUnavailable` when the database does not answer.
        """
        started = monotonic()
        if started < getattr(self._gave_up, "until", started):
            raise StoreUnavailable("the database did not answer the statement before this one")
        try:
            return self._run(work, started)
        except StoreUnavailable:
            # a request that has waited in vain once does not do so again with its next statement
            if monotonic() - started > STALE_WINDOW:
                self._gave_up.until = monotonic() + STALE_WINDOW
            raise

    def _run(self, work: Callable[[Connection], T], started: float) -> T:
        try:
            return self._attempt(work)
        except DBAPIError as error:
            # a stale connection shows itself at once; one that took long to fail would take long again
            if not error.connection_invalidated or monotonic() - started > STALE_WINDOW:
                raise StoreUnavailable(_explain(error)) from error
        try:
            return self._attempt(work)
        except DBAPIError as error:
            raise StoreUnavailable(_explain(error)) from error

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        try:
            with self.engine.connect() as connection:
                return work(connection)
        except PoolTimeout as error:
            raise StoreUnavailable(f"no connection of the library's own pool was free within {TIMEOUT} s") from error
        except DBAPIError as error:
            if _table_is_missing(error):
                raise TablesMissing from error
            if isinstance(error, IntegrityError):
                raise ConstraintViolated from error
            raise

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction."""

        def together(connection: Connection) -> T:
            # begun by hand: on SQLite a transaction that will write must say so before it reads
            connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")
            try:
                result = work(connection)
            except BaseException:
                if not connection.invalidated:
                    connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
            return result

        return self.run(together)

    def create_tables(self) -> list[str]:
        """Create the library's own tables where they are missing; their names."""
        tables = self._own_tables()
        self.run(lambda connection: self.metadata.create_all(connection, tables=tables))
        return [table.name for table in tables]

    def _own_tables(self) -> list[Table]:
        return [self.tables.device, self.tables.session, self.tables.operator_action]

    def dispose(self) -> None:
        """Close every pooled connection; the next statement opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _make(self) -> Engine:
        url, options = self._locate()
        engine = create_engine(url, **_engine_options(url, options))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
            if is_in_memory(url):
                self.metadata.create_all(engine, tables=self._own_tables())
        if engine.driver == "psycopg":
            event.listen(engine, "do_connect", _connect_psycopg)
        # a worker forked from this process must not talk on its parent's sockets
        of_parent = weakref.ref(engine)
        os.register_at_fork(after_in_child=lambda: _dispose_after_fork(of_parent()))
        return engine


def is_in_memory(url: URL) -> bool:
    """Whether this URL names an in-memory SQLite database, of which every engine has one of its own."""
    database = url.database or ""
    return url.get_backend_name() == "sqlite" and (database in ("", ":memory:") or "mode=memory" in str(url))


def _dispose_after_fork(engine: Engine | None) -> None:
    if engine is not None:
        engine.dispose(close=False)


def _engine_options(url: URL, options: Mapping[str, Any]) -> dict[str, Any]:
    """The app's engine options, with a pool, an isolation level and timeouts of our own."""
    kept = {name: value for name, value in options.items() if name not in _OWN_POOL}
    kept["connect_args"] = _connect_args(url, dict(kept.get("connect_args", {})))
    kept |= {"isolation_level": "AUTOCOMMIT", "hide_parameters": True}
    if "skip_autocommit_rollback" in signature(DefaultDialect.__init__).parameters:  # SQLAlchemy 2.0.43
        kept["skip_autocommit_rollback"] = True
    if options.get("poolclass") is NullPool and not is_in_memory(url):
        return kept | {"poolclass": NullPool}
    size = {"pool_size": 1, "max_overflow": 0} if is_in_memory(url) else {"pool_size": 5, "max_overflow": 5}
    return kept | size | {"poolclass": QueuePool, "pool_timeout": TIMEOUT, "pool_reset_on_return": None}


def _connect_args(url: URL, given: dict[str, Any]) -> dict[str, Any]:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return given | {"timeout": TIMEOUT, "check_same_thread": False}
    if backend == "postgresql":
        before = given.get("options") or url.query.get("options") or ""
        options = f"{before} {_POSTGRES_SETTINGS}".strip()
        return given | {"connect_timeout": TIMEOUT, "tcp_user_timeout": TIMEOUT * 1000, "options": options}
    if backend in ("mysql", "mariadb"):
        before = f"{given['init_command']}; " if given.get("init_command") else ""
        waits = {"connect_timeout": TIMEOUT, "read_timeout": TIMEOUT, "write_timeout": TIMEOUT}
        settings = f"SET SESSION innodb_lock_wait_timeout = {TIMEOUT}, SESSION lock_wait_timeout = {TIMEOUT}"
        return given | waits | {"init_command": before + settings}
    return given


def _connect_psycopg(dialect: Any, record: Any, args: Any, params: Any) -> Any:
    """Connect with a bound on every wait: a server that has stopped answers no statement_timeout either."""
    from .psycopg_timeout import BoundedConnection

    return BoundedConnection.connect(*args, **params)


def _prepare_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    try:
        # readers do not block the writer; where the app holds the file just now, the next connection tries again
        cursor.execute("PRAGMA journal_mode=WAL")
    except Exception as error:
        if "locked" not in str(error):
            raise
    finally:
        cursor.close()


def _table_is_missing(error: DBAPIError) -> bool:
    text = str(error.orig)
    missing = "no such table" in text or "no such column" in text
    return missing or (isinstance(error, ProgrammingError) and SESSION.split("_")[0] in text)


def _explain(error: DBAPIError) -> str:
    text = str(error.orig)
    if "database is locked" in text or "database table is locked" in text:
        return (
            "the SQLite database stayed locked for 2 s; if the request itself holds a write open in db.session, "
            "call db.session.commit() before it signs in, out or first asks for the session"
        )
    return f"the database of the long sessions did not answer: {type(error.orig).__name__}"
