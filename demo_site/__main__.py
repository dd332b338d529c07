"""``python -m demo_site``: the site on http://localhost:8000 (``PORT`` for another), until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from waitress.server import create_server

from . import create_app


def stop(signum: int, frame: FrameType | None) -> None:
    """End the server's loop; waitress lets the requests under way finish."""
    raise SystemExit(0)


def main() -> None:
    """Serve on loopback. No debugger, whatever the environment says."""
    app = create_app()
    app.debug = False
    port = os.environ.get("PORT", "8000")
    if not port.isdecimal() or int(port) not in range(1, 65536):
        sys.exit(f"PORT must be a number from 1 to 65535, not {port!r}.")
    try:
        server = create_server(app, host="127.0.0.1", port=int(port), threads=8, ident=None)
    except OSError as error:
        sys.exit(f"cannot listen on port {port}: {error}. Set PORT to a free one, such as PORT=8080.")
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"The demo site is at http://localhost:{port} (Ctrl-C stops it).", flush=True)
    server.run()


if __name__ == "__main__":
    main()
