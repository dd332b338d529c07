"""Empty databases for tests, and no connection left behind."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from tests.support.postgres import PostgresServer

EMPTY = {
    "postgresql": (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "ALTER DATABASE {name} RESET ALL",
    ),
    "mysql": ("DROP DATABASE {name}", "CREATE DATABASE {name}"),
}
DROP = {"postgresql": "DROP DATABASE {name} WITH (FORCE)", "mysql": "DROP DATABASE {name}"}


class EmptyDatabases:
    """Databases on one server, lent to one test at a time and emptied afterwards.

    They are kept for the next test, because PostgreSQL takes half a second to make one; ``close()`` drops them.
    """

    def __init__(self, server: URL) -> None:
        self._server = server
        self._kind = server.get_backend_name()
        self._spare: list[str] = []
        self._names: list[str] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of an empty database; at the end whoever is still connected to it is thrown out."""
        name = self._spare.pop() if self._spare else self._create()
        url = self._server.set(database=name)
        with engines_disposed():
            yield url.render_as_string(hide_password=False)
        self._execute(url, name, *EMPTY[self._kind])
        self._spare.append(name)

    def close(self) -> None:
        """Drop the databases it made."""
        for name in self._names:
            self._execute(self._server, name, DROP[self._kind])

    def _create(self) -> str:
        name = f"test_{secrets.token_hex(8)}"
        self._execute(self._server, name, "CREATE DATABASE {name}")
        self._names.append(name)
        return name

    def _execute(self, url: URL, name: str, *statements: str) -> None:
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.format(name=name))


@contextmanager
def engines_disposed() -> Iterator[None]:
    """Close, at the end, the connections of every engine that connected meanwhile.

    An app keeps its engines for life and has no hook for its end, so a test cannot close them through the app; and a
    connection that is left to the garbage collector fails whichever test runs by then.
    """
    engines: set[Engine] = set()

    def remember(connection: Connection) -> None:
        engines.add(connection.engine)

    event.listen(Engine, "engine_connect", remember)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", remember)
        for thread in threading.enumerate():
            if thread.name == "corbado-session-fetch":  # which still holds a connection
                while thread.ident is None:  # on a busy machine it may be yet to begin
                    sleep(0.001)
                thread.join(10)
        for engine in engines:
            engine.dispose()


def start_private_postgres(directory: Path | None = None) -> PostgresServer:
    """A running PostgreSQL of one's own, to be killed and started again; its log is ``postgres.log`` in that directory.

    The data lie elsewhere, because root's temporary directories are closed to the account that runs PostgreSQL.
    Raises PostgresUnavailable.
    """
    server = PostgresServer(log=directory and directory / "postgres.log")
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
