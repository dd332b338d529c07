"""An app that only verifies, in this process or in one of its own; and the tests' app over https.

As a program, which ``tests.support.servers`` runs, it serves what ``SERVICE`` says in JSON, and says its port.
"""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_corbado_session import CorbadoSession, current_session, current_user, login_required, logout_user
from tests.support.apps import METHODS, unprepared_app
from tests.support.servers import PortSayingServer

ISSUER = "https://auth.example.com"


def make_service(**config: Any) -> tuple[Flask, CorbadoSession]:
    """An app with ``CorbadoSession()`` and nothing else: no database, no secret."""
    app = Flask("tests.support.services")
    app.config.from_mapping(TESTING=True, CORBADO_SESSION_ISSUER=ISSUER)
    app.config.from_mapping(config)
    sessions = CorbadoSession()
    sessions.init_app(app)

    @app.route("/protected", methods=METHODS)
    @login_required
    def protected() -> Response:
        return jsonify(
            user_id=current_session.user_id,
            id=current_user.get_id(),
            session_id=current_session.session_id,
            claims=current_session.claims,
            amr=list(current_session.amr),
        )

    @app.route("/async", methods=METHODS)
    @login_required
    async def protected_too() -> Response:
        return jsonify(user_id=current_session.user_id, body=request.get_data(as_text=True))

    @app.get("/public")
    def public() -> str:
        return current_session.user_id or "nobody"

    @app.get("/recheck")
    @login_required(recheck=True)
    def recheck() -> str:
        return "never"

    @app.post("/sign-out")
    def sign_out() -> str:
        logout_user()
        return "never"

    return app, sessions


def bearer(token: str) -> dict[str, str]:
    """The header it comes in."""
    return {"Authorization": f"Bearer {token}"}


class ServiceProcess(PortSayingServer):
    """A service that only verifies, as a process; with a database, the tests' app; with a certificate, over https."""

    def __init__(
        self, database_url: str | None = None, *, certificate: tuple[Path, Path] | None = None, **config: Any
    ) -> None:
        tls = certificate and [str(file) for file in certificate]
        service = {"database_url": database_url, "certificate": tls, "config": config}
        super().__init__(__name__, {"SERVICE": json.dumps(service)})


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """The status and the JSON that a server on loopback answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if "json" in response.headers["Content-Type"] else content
    finally:
        connection.close()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


def _serve(given: dict[str, Any]) -> None:
    url, config = given["database_url"], given["config"]
    app = make_service(**config)[0] if url is None else unprepared_app(url, **config)[0]
    tls = given["certificate"] and tuple(given["certificate"])
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=tls, request_handler=_Quiet)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(json.loads(os.environ["SERVICE"]))
