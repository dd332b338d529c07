"""The tests' app as servers load it that fork: it has used its engine, its keys and its ended set before they do.

``SITE`` is as for ``tests.support.app_server``. Run as a program it serves by itself, from processes that
``multiprocessing`` started by the method ``START``; each says its port.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import Any

from flask import Flask, Response, jsonify

from tests.support.app_server import create_app
from tests.support.apps import rows_of, state_of


def used_app() -> Flask:
    """An app that has a connection, and a lock that a thread of this very process will never give back."""
    app = create_app()

    @app.get("/pid")
    def pid() -> Response:
        time.sleep(0.05)  # a busy worker leaves the next request to another
        return jsonify(pid=os.getpid())

    parts, ended = rows_of(app), state_of(app).short_sessions.ended
    assert parts.revocation.devices("x", None) == []
    assert ended is not None
    ended.bring_up_to_date()
    if os.environ.get("HELD"):
        ended._lock.__enter__()  # as by a thread that polls just when the server forks
    return app


def serve() -> None:
    """Serve on a port of its own, and say it."""
    from waitress.server import create_server

    server: Any = create_server(app, host="127.0.0.1", port=0, threads=4)
    os.write(sys.stdout.fileno(), f"{server.effective_port}\n".encode())
    server.run()


if __name__ == "__main__":
    # by its name, so that a spawned process finds it in a module, which it imports anew
    from tests.support import forking_app

    context: Any = multiprocessing.get_context(os.environ["START"])
    processes = [context.Process(target=forking_app.serve, daemon=True) for _ in range(int(os.environ["PROCESSES"]))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
else:
    app = used_app()
