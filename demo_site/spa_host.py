"""``python -m demo_site.spa_host``: a single-page app on its own host, http://app.demo.localhost:8001.

It serves files only, without a session, a database or a secret. The page asks the session host who is signed in.
"""

from __future__ import annotations

from importlib.resources import files

from flask import Flask, Response, render_template

from . import other_hosts
from .addresses import Addresses
from .serving import read_addresses, serve

MODULE = files("flask_corbado_session") / "static" / "corbado-session.js"


def create_app(addresses: Addresses) -> Flask:
    """Create the app: the page, its script, and a copy of corbado-session.js, as a bundler would add it."""
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
    """Serve it on the port after the site's."""
    addresses = read_addresses()
    serve(create_app(addresses), addresses.port + 1, f"Single-page app on another host: {addresses.app}")


if __name__ == "__main__":
    main()
