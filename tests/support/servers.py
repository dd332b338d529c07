"""Servers in processes of their own on loopback, ended by their pid."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

from tests.support import child
from tests.support.app_server import site_json
from tests.support.jars import Answer, Jar, Sent, served

STARTS_WITHIN = 30.0
"""Seconds; one takes, with the machine to itself."""


class Server:
    """A module that serves on ``PORT``, running; its output is in ``log``."""

    def __init__(self, module: str, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.log = log
        with log.open("ab") as output:
            env = {**(env or {}), "PORT": str(self.port)}
            self._process = child.start(module, env, stdout=output, stderr=subprocess.STDOUT)
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._process.pid

    def origin(self, host: str = "localhost") -> str:
        """``http://host:port``; browsers take every ``*.localhost`` for loopback (RFC 6761 §6.3)."""
        return f"http://{host}:{self.port}"

    def stop(self) -> None:
        """End it, for certain."""
        child.stop(self._process)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start; it said:\n{self.log.read_text(errors='replace')}")


class PortSayingServer:
    """A module that chooses its port and says it, running; it need not have started yet."""

    def __init__(self, module: str, env: Mapping[str, str], log: IO[bytes] | None = None) -> None:
        self._process = child.start(module, env, stdout=subprocess.PIPE, stderr=log)

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._process.pid

    @cached_property
    def port(self) -> int:
        """Where it listens; waits until it does."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdigit():
            self.stop()
            raise RuntimeError(f"the server did not start; it said {line!r} and ended with {self._process.returncode}")
        return int(line)

    def stop(self) -> None:
        """End it, for certain and at once."""
        child.stop(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class ServerProcess(PortSayingServer):
    """The tests' app on a database whose tables are there.

    ``began`` and ``speed`` are of its clock: so many seconds pass there in one of ours. What it logs goes to ``log``,
    or to our own standard error.
    """

    def __init__(
        self,
        database_url: str,
        *,
        speed: float = 1,
        began: float = 0,
        log: IO[bytes] | None = None,
        **config: Any,
    ) -> None:
        site = site_json(database_url, speed=speed, began=began, **config)
        super().__init__("tests.support.app_server", {"SITE": site}, log)

    def answers(self, sent: Sent) -> Answer:
        """What it answers; OSError if it does not."""
        return served(self.port, sent)

    def asked(self, jar: Jar, path: str = "/protected", method: str = "GET", **how: Any) -> Answer:
        """Send, serve and deliver at once."""
        return jar.take(self.answers(jar.sends(path, method, **how)))

    def statements(self) -> int:
        """How many statements the library has run in that process."""
        count: int = self.asked(Jar(), "/statements").body["statements"]
        return count


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
