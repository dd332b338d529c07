"""Real servers for the browser tests: each is a second process on loopback, ended by its pid.

``python -m tests.support.browser_servers MODULE`` is that second process: it runs MODULE as a program, and ends when
whoever started it is gone, so that a killed test run leaves no server behind.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

STARTS_WITHIN = 30.0
"""Seconds; one takes, with the machine to itself."""
STOPS_WITHIN = 10.0


class Server:
    """A module that serves on ``PORT``, running; its output is in ``log``."""

    def __init__(self, module: str, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, module],
                env={**os.environ, **(env or {}), "PORT": str(self.port)},
                stdin=subprocess.PIPE,  # its end tells the server that we are gone
                stdout=output,
                stderr=subprocess.STDOUT,
            )
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
        """End it as an operator does, and for certain."""
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start; it said:\n{self.log.read_text(errors='replace')}")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_the_tests() -> None:
    os.read(sys.stdin.fileno(), 1)  # unbuffered: a lock held at exit would be fatal
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
