"""``python -m demo_site.site``: the site alone, at http://localhost:8000 (set ``PORT`` for another port)."""

from __future__ import annotations

from . import create_app
from .serving import read_addresses, serve


def main() -> None:
    """Serve the site, never with the debugger, whatever the environment says."""
    addresses = read_addresses()
    app = create_app()
    app.debug = False
    serve(app, addresses.port, f"Demo site: {addresses.site} and {addresses.auth}")


if __name__ == "__main__":
    main()
