"""``python -m demo_site.site``: the site alone, on http://localhost:8000 (``PORT`` for another)."""

from __future__ import annotations

from . import create_app
from .serving import read_addresses, serve


def main() -> None:
    """No debugger, whatever the environment says."""
    at = read_addresses()
    app = create_app()
    app.debug = False
    serve(app, at.port, f"The demo site is at {at.site} and {at.auth}")


if __name__ == "__main__":
    main()
