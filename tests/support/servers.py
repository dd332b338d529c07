"""Real server processes of the tests' app on loopback, ended by their pid.

``python -m tests.support.servers JSON`` is such a process: it says its port on its output, and ends when whoever
started it is gone, or after its time, so that a killed test run leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from flask import Flask, Response, jsonify
from sqlalchemy import event

from flask_corbado_session import ANY_USER, CorbadoSession
from tests.support.apps import rows_of, state_of, unprepared_app
from tests.support.jars import Answer, Jar, Sent, served

ROOT = Path(__file__).parents[2]
LIVES = 120.0
"""Seconds after which a server ends by itself."""


class ServerProcess:
    """The tests' app, served by waitress in a process of its own, on a database whose tables are there.

    ``began`` and ``speed`` are of its clock: so many seconds pass there in one of ours.
    """

    def __init__(self, database_url: str, *, speed: float = 1, began: float = 0, **config: Any) -> None:
        given = {"database_url": database_url, "speed": speed, "began": began or time.time(), "config": config}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.servers", json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    @cached_property
    def port(self) -> int:
        """Where it listens; waits until it does."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said.strip().isdigit():
            self.stop()
            raise RuntimeError(f"the server did not start; it said {said!r} and ended with {self._process.returncode}")
        return int(said)

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

    def stop(self) -> None:
        """End it, by its pid."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _app(given: dict[str, Any]) -> Flask:
    app, _, sessions = unprepared_app(given["database_url"], **given["config"])
    began = datetime.fromtimestamp(given["began"], UTC)
    state_of(app).clock.read = lambda: began + given["speed"] * (datetime.now(UTC) - began)
    _add_views(app, sessions)
    return app


def _add_views(app: Flask, sessions: CorbadoSession) -> None:
    counted: list[str] = []
    event.listen(rows_of(app).database.engine, "before_cursor_execute", lambda *_: counted.append(""))

    @app.get("/statements")
    def statements() -> Response:
        return jsonify(statements=len(counted))

    @app.post("/revoke/<session_id>")
    def revoke(session_id: str) -> Response:
        sessions.revoke(session_id, user_id=ANY_USER)
        return jsonify(revoked=True)


def _end_with_the_tests() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _serve(given: dict[str, Any]) -> None:
    # waitress is what serves the demo site
    from waitress.server import create_server

    server: Any = create_server(_app(given), host="127.0.0.1", port=0, threads=16)
    print(server.effective_port, flush=True)
    server.run()


if __name__ == "__main__":
    # not signals: waitress would end in order, which takes as long as its slowest request
    end = threading.Timer(LIVES, os._exit, [0])
    end.daemon = True
    end.start()
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    _serve(json.loads(sys.argv[1]))
