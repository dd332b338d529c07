"""The demo site with what the tests of it need beside it: its clock is theirs to move (``POST /clock``, seconds).

It serves as ``python -m demo_site`` does, or over https if ``TLS_FOLDER`` names a place for a certificate.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from flask import Flask, request
from waitress.server import create_server
from werkzeug.serving import make_server

import demo_site
from flask_corbado_session.testing import move_clock
from tests.support.certificates import tls_server
from tests.support.script_site import stop


def create_app() -> Flask:
    """The site, whose time stands still until it is moved: what a page costs is then no matter of chance."""
    app = demo_site.create_app()
    clock = move_clock(app)

    @app.post("/clock")
    def move() -> str:
        clock.move(seconds=float(request.get_data()))
        return ""

    return app


def serve(app: Flask, port: int, tls_folder: str | None) -> None:
    """Until the process is ended."""
    if tls_folder is None:
        create_server(app, host="127.0.0.1", port=port, threads=8, ident=None).run()
    else:
        make_server("127.0.0.1", port, app, threaded=True, ssl_context=tls_server(Path(tls_folder))).serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    serve(create_app(), int(os.environ["PORT"]), os.environ.get("TLS_FOLDER"))
