"""An app with live connections, served over real sockets; its clock is the system's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from tests.support.apps import state_of
from tests.support.stopwatch import Stopwatch

PROMISE = 2.0
"""Seconds within which a connection must end: one by the promise, one for a busy machine."""


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """``host:port`` of the app on a server with threads."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def cookie_header(client: FlaskClient) -> str:
    """The cookies of a test client, for a request of something else."""
    settings = state_of(client.application).settings
    names = (settings.short_cookie, settings.long_cookie)
    return "; ".join(f"{name}={cookie.value}" for name in names if (cookie := client.get_cookie(name)))


def wait_until(is_true: Callable[[], Any], within: float = PROMISE) -> float:
    """The seconds it took."""
    since = Stopwatch()
    while not is_true():
        assert since.seconds < within, "it has not happened"
        time.sleep(0.01)
    return since.seconds
