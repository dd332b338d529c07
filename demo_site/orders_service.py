"""``python -m demo_site.orders_service``: a service that only verifies sessions, http://orders.demo.localhost:8002.

It has no database, no secret and no sign-in: the session host's public keys say whose short session it is, and its
list of ended sessions says which of them are over before their time.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from flask import Flask, Response, abort, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue

from flask_corbado_session import CorbadoSession, current_session, login_required

from . import other_hosts
from .addresses import Addresses
from .serving import read_addresses, serve

MENU = {"coffee": "Coffee", "tea": "Tea", "cake": "A piece of cake"}
USERS, ORDERS = 200, 10
"""How much is remembered, in memory: of the users who ordered last, their last orders."""

sessions = CorbadoSession()


def create_app(addresses: Addresses) -> Flask:
    """The service. The environment (``FLASK_…``) wins over what ``addresses`` says of the session host."""
    app = other_hosts.make_app("demo_site.orders_service", addresses)
    app.config.from_mapping(
        CORBADO_SESSION_ISSUER=addresses.auth,
        CORBADO_SESSION_JWKS_URL=f"{addresses.auth_for_servers}/.well-known/jwks.json",
        CORBADO_SESSION_REVOCATIONS_URL=f"{addresses.auth_for_servers}/session/revocations",
        CORBADO_SESSION_COOKIE_SECURE=False,  # the demo speaks http
        MAX_CONTENT_LENGTH=4096,
    )
    app.config.from_prefixed_env()
    app.config["CORBADO_SESSION_LOGIN_VIEW"] = None  # the site's, if the environment names one
    sessions.init_app(app)
    _add_routes(app, Orders())
    _share_with(app, addresses.app)
    return app


class Orders:
    """Who ordered what."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, list[str]] = OrderedDict()
        self._lock = Lock()

    def of(self, user_id: str) -> list[str]:
        """A user's last orders, the latest first."""
        return self._of.get(user_id, [])

    def add(self, user_id: str, item: str) -> None:
        """Take an order; forget the oldest, and the user who has not ordered for longest."""
        with self._lock:
            self._of[user_id] = [item, *self.of(user_id)][:ORDERS]
            self._of.move_to_end(user_id)
            if len(self._of) > USERS:
                self._of.popitem(last=False)


def _add_routes(app: Flask, orders: Orders) -> None:
    @app.get("/")
    def page() -> str:
        return render_template("orders.html")

    @app.get("/orders")
    @login_required
    def show() -> ResponseReturnValue:
        return jsonify(email=current_session.claims.get("email"), orders=orders.of(current_session.user_id))

    @app.post("/orders")
    @login_required
    def add() -> ResponseReturnValue:
        orders.add(current_session.user_id, _item())
        return jsonify(orders=orders.of(current_session.user_id)), 201


def _item() -> str:
    """What the body ``{"item": …}`` asks for; a 422 for what is not on the menu."""
    try:
        sent: Any = request.get_json(silent=True)
    except RecursionError:
        sent = None
    item = sent.get("item") if isinstance(sent, dict) else None
    if not isinstance(item, str) or item not in MENU:
        text = f"Send a JSON object whose 'item' is one of {', '.join(MENU)}."
        abort(make_response(jsonify(status=422, code="not_on_the_menu", detail=text), 422))
    return MENU[item]


def _share_with(app: Flask, origin: str) -> None:
    """Let the page of that one origin call ``/orders`` with its bearer; without credentials, so cookies stay away."""

    @app.after_request
    def share(response: Response) -> Response:
        if request.path == "/orders":
            response.vary.add("Origin")
            if request.headers.get("Origin") == origin:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return response


def main() -> None:
    """Serve it, two ports after the site's."""
    at = read_addresses()
    serve(create_app(at), at.port + 2, f"The orders service is at {at.orders}")


if __name__ == "__main__":
    main()
