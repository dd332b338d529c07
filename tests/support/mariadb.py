"""MariaDB servers of the tests' own, from the system's binaries (Debian: mariadb-server)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

from tests.support.postgres import GUARD, free_port, wait_until

SETTINGS = (
    "bind_address=127.0.0.1",
    "skip_name_resolve=ON",
    "skip_log_bin",
    "default_storage_engine=InnoDB",
    "innodb_flush_log_at_trx_commit=0",
    "innodb_buffer_pool_size=32M",
    "innodb_log_file_size=16M",
    "performance_schema=OFF",
    "character_set_server=utf8mb4",
)


class MariaDBUnavailable(RuntimeError):
    """No MariaDB can be started here; the text says why."""


class MariaDBServer:
    """A server on loopback. Its data are in ``home``, and it also ends with the process that started it."""

    def __init__(self, home: Path, number: int = 0, environment: Mapping[str, str] | None = None) -> None:
        self.data, self.log = home / f"data{number}", home / f"log{number}"
        self.port = free_port()
        self._socket = home / f"socket{number}"
        self._environment = {"PATH": f"{home}:{os.environ['PATH']}", **(environment or {})}
        self._guard: subprocess.Popen[Any] | None = None

    def url(self, database: str) -> URL:
        """The address of a database on it."""
        return make_url(f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}")

    def install(self) -> None:
        """Make its data; raises MariaDBUnavailable."""
        command = ["mariadb-install-db", "--no-defaults", "--skip-test-db", "--skip-name-resolve", *_account()]
        command += ["--auth-root-authentication-method=normal", f"--datadir={self.data}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise MariaDBUnavailable(f"mariadb-install-db failed: {done.stderr.strip()[-500:]}")

    def start(self, *options: str) -> None:
        """Start it, without waiting until it answers; ``options`` are its own, without their dashes, and win."""
        own = (f"datadir={self.data}", f"port={self.port}", f"socket={self._socket}")
        settings = [f"--{setting}" for setting in (*SETTINGS, *own, *options)]
        command = [_server() or "", "--no-defaults", *settings, *_account()]
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD.replace("-INT", "-TERM"), "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | self._environment,
            )

    def wait(self) -> None:
        """Wait until it can be used; raises MariaDBUnavailable."""
        try:
            wait_until(lambda: self.is_ready() or self._has_ended(), "MariaDB to start")
        except TimeoutError as error:
            raise MariaDBUnavailable(f"{error}; it said: {self._last_words()}") from None
        if self._has_ended():
            raise MariaDBUnavailable(f"MariaDB ended: {self._last_words()}")

    def is_ready(self) -> bool:
        """Whether it answers."""
        with suppress(OperationalError):
            self.execute("SELECT 1")
            return True
        return False

    def execute(self, statement: str) -> list[Any]:
        """Run a statement on it; the rows it returns."""
        with create_engine(self.url("mysql"), poolclass=NullPool).begin() as connection:
            result = connection.exec_driver_sql(statement)
            return list(result) if result.returns_rows else []

    def pause(self) -> None:
        """Stop it where it is: connections stay open, nothing is answered any more."""
        self._process().suspend()

    def resume(self) -> None:
        """Let it go on."""
        self._process().resume()

    def _process(self) -> psutil.Process:
        assert self._guard is not None
        (server,) = psutil.Process(self._guard.pid).children()
        return server

    def stop(self) -> None:
        """Shut it down in order."""
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            try:
                self._guard.wait(20)
            except subprocess.TimeoutExpired:  # one that waits for others does not end in order
                os.killpg(self._guard.pid, signal.SIGKILL)
                self._guard.wait()
            self._guard = None

    def _has_ended(self) -> bool:
        return self._guard is None or self._guard.poll() is not None

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-800:]


def is_installed() -> bool:
    """Whether this machine has MariaDB's server."""
    return _server() is not None and shutil.which("mariadb-install-db") is not None


@contextmanager
def private_mariadb(**environment: str) -> Iterator[MariaDBServer]:
    """A running MariaDB of one's own, in this environment; raises MariaDBUnavailable."""
    if not is_installed():
        raise MariaDBUnavailable("MariaDB is not installed: apt-get install mariadb-server")
    with tempfile.TemporaryDirectory(prefix="mariadb-") as home:
        server = MariaDBServer(Path(home), environment=environment)
        server.install()
        try:
            server.start()
            server.wait()
            yield server
        finally:
            server.stop()


def _server() -> str | None:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")


def _account() -> list[str]:
    """The server refuses to run as root unless it is told to."""
    return ["--user=root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
