"""Serving one app in this process, until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from waitress.server import create_server

from .addresses import Addresses

UNTIL_STDIN_ENDS = "--until-stdin-ends"
"""An argument from whoever starts a server as its child: the end of its standard input says that the parent is gone."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_addresses() -> Addresses:
    """Those of the environment; exit code 1 and a word about ``PORT`` if there are none."""
    try:
        return Addresses.from_environment()
    except ValueError as error:
        sys.exit(str(error))


def serve(app: Any, port: int, says: str) -> None:
    """Serve a WSGI app on loopback, saying so once it listens, until Ctrl-C or SIGTERM; exit code 1 for a bad port."""
    prepare_to_stop()
    try:
        server = create_server(app, host="127.0.0.1", port=port, threads=8, ident=None)
    except OSError as error:
        sys.exit(f"cannot listen on port {port}: {error}. Set PORT to the first of three free ones, such as PORT=8080.")
    print(says, flush=True)
    server.run()


def prepare_to_stop() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal end this process in order; so does a parent's end, if there is one."""
    for number in STOPPING:
        signal.signal(number, _stop)
    if UNTIL_STDIN_ENDS in sys.argv:
        threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop(number: int, frame: FrameType | None) -> None:
    """End the server's loop; waitress lets the requests under way finish."""
    raise SystemExit(0)


def _stop_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
