"""The library's own small engine, made from the app's URL and options.

Its statements never run in ``db.session`` nor on the app's pool: a request that holds one connection and waits for a
second of the same pool is a deadlock under load. Every wait is bounded: a slow database costs two seconds at most.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import count
from random import SystemRandom
from time import monotonic, sleep
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, MetaData, Table, engine_from_config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..model.clock import to_ms
from ..model.errors import StoreUnavailable
from ..model.process import PerProcess
from .connecting import Listeners, listen, no_listeners
from .failures import SQLITE_LOCKED, classify
from .options import TIMEOUT, engine_options, is_in_memory
from .skew import Skew, can_compare
from .tables import old_login_in, tables_in

log = logging.getLogger("flask_corbado_session")
T = TypeVar("T")
STALE_WINDOW = 0.5
"""Seconds within which a lost connection was a stale one."""

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.1
"""Seconds at most before the first retry after a conflict, and before any."""

_WHERE = ("host", "hostaddr", "port", "dbname", "service", "unix_socket")
"""The parameters of a URL that say where a database is."""

_jitter = SystemRandom()  # forked processes draw different numbers from it


class Database:
    """Runs work on the library's engine, which is made when first needed, once in each process.

    ``locate`` says the URL and options of the app's engine, ``listeners`` its listeners; ``last_word`` are the options
    of ``CorbadoSession(engine_options=…)``.
    """

    def __init__(
        self,
        locate: Callable[[], tuple[URL, Mapping[str, Any]]],
        metadata: MetaData,
        *,
        listeners: Listeners = no_listeners,
        last_word: Mapping[str, Any] | None = None,
    ) -> None:
        self._locate = locate
        self._listeners = listeners
        self._last_word = last_word or {}
        self.metadata = metadata
        self.tables = tables_in(metadata)
        self.skew = Skew()
        self._held: PerProcess[_Held] = PerProcess(lambda: _Held(self._make))
        self._gave_up = threading.local()
        """``until`` when a thread that waited in vain does not wait again."""
        self._has_failed = False
        """Whether any thread ever waited in vain: the others need not look."""

    @property
    def engine(self) -> Engine:
        """The engine of this process; made at the first call."""
        return self._held.get().engine

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
        if self._has_failed:
            self._gave_up.until = 0.0

    def run(
        self,
        work: Callable[[Connection], T],
        again: Callable[[Connection], T] | None = None,
        *,
        writes: bool = False,
    ) -> T:
        """Run ``work`` on a connection in autocommit: each statement is its own short transaction.

        A connection that turns out to be stale is replaced and the work done once more; work that conflicted with
        others is done again with pauses, two seconds long. Then the first attempt may have been committed and its
        answer lost: ``again`` is run in the place of ``work``, and recognises what was done. Work that ``writes``
        queues up within the process on SQLite. Raises :class:`StoreUnavailable` when the database does not answer.
        """
        started = monotonic()
        if self._has_failed and started < getattr(self._gave_up, "until", started):
            raise StoreUnavailable("the database did not answer the statement before this one")
        try:
            return self._run(work, again or work, started, writes)
        except StoreUnavailable:
            # a request that has waited in vain once does not do so again with its next statement
            if monotonic() - started > STALE_WINDOW:
                self._has_failed, self._gave_up.until = True, monotonic() + STALE_WINDOW
            raise

    def _run(
        self, work: Callable[[Connection], T], again: Callable[[Connection], T], started: float, writes: bool
    ) -> T:
        replaced = False
        for attempt in count():
            try:
                held = self._held.get()
                turn = held.turn(started) if writes else None
                try:
                    return held.attempt(again if attempt else work)
                except DBAPIError:
                    if turn is not None and monotonic() - started >= TIMEOUT:
                        held.gave_up_at = monotonic()
                    raise
                finally:
                    if turn is not None:
                        turn.release()
            except PoolTimeout as error:
                raise StoreUnavailable(
                    f"no connection of the library's own pool was free within {TIMEOUT} s"
                ) from error
            except (DBAPIError, OSError) as error:
                failure, waited = classify(error), monotonic() - started
                pause = _jitter.uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 10)))
                if failure.kind == "conflict" and waited + pause < TIMEOUT:
                    sleep(pause)
                # a stale connection shows itself at once; one that took long to fail would take long again
                elif failure.kind == "lost" and not replaced and waited <= STALE_WINDOW:
                    replaced = True
                else:
                    raise failure.error(error)  # noqa: B904 - which sets its cause itself
        raise AssertionError  # pragma: no cover - the loop has no end

    def transaction(self, work: Callable[[Connection], T], again: Callable[[Connection], T] | None = None) -> T:
        """Run ``work`` in one transaction; ``again`` as in :meth:`run`."""
        return self.run(
            lambda connection: _together(connection, work), lambda c: _together(c, again or work), writes=True
        )

    def time(self, at: datetime) -> int:
        """A time of this process in milliseconds, by the database's clock where the two differ too much."""
        if self.skew.is_unknown and can_compare(self.engine.dialect.name):
            self.run(lambda connection: None)  # the first connection compares them, and serves what comes next
        return to_ms(at) + self.skew.ms

    def compare_clocks(self, connection: Connection) -> None:
        """Compare the clocks if that is due, beside the statements of the engine."""
        if self.skew.is_due:
            with suppress(DBAPIError):
                self.skew.compare(connection.dialect.name, lambda stmt: _first_row(connection, stmt))

    def create_tables(self) -> list[str]:
        """Create the library's own tables where they are missing; their names."""
        tables = self._own_tables()
        self.run(lambda connection: self.metadata.create_all(connection, tables=tables))
        return [table.name for table in tables]

    def _own_tables(self) -> list[Table]:
        old_login = old_login_in(self.metadata)
        own = [self.tables.device, self.tables.session, self.tables.operator_action]
        return own if old_login is None else [*own, old_login]

    def dispose(self) -> None:
        """Close every pooled connection of this process; the next statement opens new ones."""
        self._held.get().dispose()

    def _make(self) -> Engine:
        url, options = self._locate()
        chosen = engine_options(url, options, self._last_word)
        engine = engine_from_config(chosen, prefix="")
        listen(engine, self._listeners, chosen.get("creator"), self._last_word, self.skew)
        if is_in_memory(url) and "creator" not in chosen:
            self.metadata.create_all(engine, tables=self._own_tables())
        return engine


class _Held:
    """The engine of one process."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self.writing = threading.Lock()
        self.gave_up_at = float("-inf")
        """When a writer last waited in vain, on SQLite."""

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._make()
        return self._engine

    def turn(self, started: float) -> threading.Lock | None:
        """This thread's turn to write, to be released; None where many may write.

        SQLite has one writer at a time, and lets those who wait longest wait longest: of 64 refreshes by four processes
        at once the last took 1.8 s without a queue, and 0.4 s with one.
        """
        if self.engine.dialect.name != "sqlite":
            return None
        if not self.writing.acquire(timeout=max(0.0, started + TIMEOUT - monotonic())):
            raise StoreUnavailable(SQLITE_LOCKED)
        if self.gave_up_at > started:  # so did this thread, in the queue: it must not wait as long once more
            self.writing.release()
            raise StoreUnavailable(SQLITE_LOCKED)
        return self.writing

    def attempt(self, work: Callable[[Connection], T]) -> T:
        """Do the work on a connection."""
        with self.engine.connect() as connection:
            try:
                return work(connection)
            except (DBAPIError, OSError) as error:
                # The server may take no writes any more, and the next connection leads to its successor; or it did not
                # answer, and what it says later must not be taken for the answer to another statement.
                if classify(error).kind in ("lost", "down") and not connection.invalidated:
                    connection.invalidate()
                raise

    def dispose(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def _first_row(connection: Connection, statement: str) -> Any:
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchone()
    finally:
        cursor.close()


def _together(connection: Connection, work: Callable[[Connection], T]) -> T:
    # begun by hand: on SQLite a transaction that will write must say so before it reads
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")
    try:
        result = work(connection)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if not connection.invalidated:
            with suppress(DBAPIError):  # what went wrong first is what is told
                connection.exec_driver_sql("ROLLBACK")
        raise
    return result
