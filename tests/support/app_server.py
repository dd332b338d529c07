"""The tests' app as a program; ``tests.support.servers`` runs it in processes of its own.

``SITE`` is JSON: the database's URL, the settings, and how many seconds pass on its clock, from when on, in one of
ours. Processes that are given the same two have the same time. It says its port, which ``PORT`` may choose.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, jsonify
from sqlalchemy import event
from waitress.server import create_server

from flask_corbado_session import ANY_USER, CorbadoSession
from tests.support.apps import rows_of, state_of, unprepared_app


def site_json(database_url: str, *, speed: float = 1, began: float = 0, **config: Any) -> str:
    """What ``SITE`` says of such an app."""
    return json.dumps({"database_url": database_url, "speed": speed, "began": began, "config": config})


def create_app() -> Flask:
    """What is served here, and what ``flask --app tests.support.app_server`` runs commands on."""
    site = json.loads(os.environ["SITE"])
    app, _, sessions = unprepared_app(site["database_url"], **site["config"])
    state_of(app).clock.read = FastClock(site["began"] or time.time(), site["speed"])
    _add_views(app, sessions)
    return app


class FastClock:
    """Ten minutes pass in ten seconds, where the speed is 60."""

    def __init__(self, began: float, speed: float) -> None:
        self._began = began
        self._speed = speed

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self._began + (time.time() - self._began) * self._speed, UTC)


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


if __name__ == "__main__":
    server: Any = create_server(
        create_app(), host="127.0.0.1", port=int(os.environ.get("PORT", 0)), threads=16, connection_limit=1000
    )
    print(server.effective_port, flush=True)
    server.run()
