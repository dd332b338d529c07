"""Serve one app in this process, until a signal stops it."""

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
"""A command-line argument for a server started by another process: stop when standard input ends, since the parent
process is then gone."""
THREADS = 24
"""Some for pages, beside those that the live feeds keep busy."""
STOPPING = threading.Event()
"""Set once this process is to stop, for what would go on for ever."""
if sys.platform == "win32":
    STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
else:
    STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_addresses() -> Addresses:
    """Read the addresses from the environment; exit with code 1 and a message if ``PORT`` is not usable."""
    try:
        return Addresses.from_environment()
    except ValueError as error:
        sys.exit(str(error))


def serve(app: Any, port: int, message: str) -> None:
    """Serve a WSGI app on loopback until Ctrl-C or SIGTERM. Print ``message`` once it listens.

    Exits with code 1 if the port can't be used.
    """
    prepare_to_stop()
    try:
        server = create_server(app, host="127.0.0.1", port=port, threads=THREADS, ident=None)
    except OSError as error:
        sys.exit(
            f"cannot listen on port {port}: {error}. Set PORT to the first of three free ports, such as PORT=8080."
        )
    print(message, flush=True)
    server.run()


def prepare_to_stop() -> None:
    """Stop this process cleanly on Ctrl-C, SIGTERM or a closed terminal, and when its parent process is gone."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    if UNTIL_STDIN_ENDS in sys.argv:
        threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop the server's loop; waitress lets open requests finish."""
    STOPPING.set()
    raise SystemExit(0)


def _stop_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
