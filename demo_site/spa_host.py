"""``python -m demo_site.spa_host``: a single-page app on a host of its own, http://app.demo.localhost:8001.

Files alone: no session, no database, no secret. Whose session it is, the page asks the session host.
"""

from __future__ import annotations

from importlib.resources import files

from flask import Flask, Response, render_template

from . import other_hosts
from .addresses import Addresses
from .serving import read_addresses, serve

MODULE = files("flask_corbado_session") / "static" / "corbado-session.js"


def create_app(addresses: Addresses) -> Flask:
    """The page, its script, and a copy of corbado-session.js, as a bundler would put it there."""
    app = other_hosts.make_app("demo_site.spa_host", addresses, calls=[addresses.auth, addresses.orders])
    module = MODULE.read_bytes()

    @app.get("/")
    def page() -> str:
        return render_template("single_page.html")

    @app.get("/corbado-session.js")
    def corbado_session() -> Response:
        return Response(module, mimetype="text/javascript")

    return app


def main() -> None:
    """Serve it, one port after the site's."""
    at = read_addresses()
    serve(create_app(at), at.port + 1, f"The single-page app on another host is at {at.app}")


if __name__ == "__main__":
    main()
