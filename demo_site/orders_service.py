"""``python -m demo_site.orders_service``: a service that only verifies sessions, at
http://orders.demo.localhost:8002.

It has no database, no secret and no sign-in. It verifies short sessions with the session host's public keys, and
fetches that host's list of revoked sessions.
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
from .who import current_user_id

MENU = {"coffee": "Coffee", "tea": "Tea", "cake": "A piece of cake"}
MAX_USERS, MAX_ORDERS = 200, 10
"""The limits of what is kept in memory: the users who ordered last, and their last orders."""

sessions = CorbadoSession()


def create_app(addresses: Addresses) -> Flask:
    """Create the service. The environment (``FLASK_…``) overrides the session host given by ``addresses``."""
    app = other_hosts.make_app("demo_site.orders_service", addresses)
    app.config.from_mapping(
        CORBADO_SESSION_ISSUER=addresses.auth,
        CORBADO_SESSION_JWKS_URL=f"{addresses.auth_for_servers}/.well-known/jwks.json",
        CORBADO_SESSION_REVOCATIONS_URL=f"{addresses.auth_for_servers}/session/revocations",
        CORBADO_SESSION_COOKIE_SECURE=False,  # the demo speaks http
        MAX_CONTENT_LENGTH=4096,
    )
    app.config.from_prefixed_env()
    app.config["CORBADO_SESSION_LOGIN_VIEW"] = (
        None  # the environment may set the site's login view, which does not exist here
    )
    sessions.init_app(app)
    _add_routes(app, Orders())
    _allow_cors(app, addresses.app)
    return app


class Orders:
    """The last orders of the last users, in memory."""

    def __init__(self) -> None:
        self._by_user: OrderedDict[str, list[str]] = OrderedDict()
        self._lock = Lock()

    def of(self, user_id: str) -> list[str]:
        """The last orders of a user, the latest first."""
        return self._by_user.get(user_id, [])

    def add(self, user_id: str, item: str) -> None:
        """Add an order. Above the limits, drop the user's oldest order and the user who has not ordered for longest."""
        with self._lock:
            self._by_user[user_id] = [item, *self.of(user_id)][:MAX_ORDERS]
            self._by_user.move_to_end(user_id)
            if len(self._by_user) > MAX_USERS:
                self._by_user.popitem(last=False)


def _add_routes(app: Flask, orders: Orders) -> None:
    @app.get("/")
    def page() -> str:
        return render_template("orders.html")

    @app.get("/orders")
    @login_required
    def show() -> ResponseReturnValue:
        return jsonify(email=current_session.claims.get("email"), orders=orders.of(current_user_id()))

    @app.post("/orders")
    @login_required
    def add() -> ResponseReturnValue:
        orders.add(current_user_id(), _item())
        return jsonify(orders=orders.of(current_user_id())), 201


def _item() -> str:
    """The item named in the body ``{"item": …}``; 422 if it is not on the menu."""
    try:
        body: Any = request.get_json(silent=True)
    except RecursionError:
        body = None
    item = body.get("item") if isinstance(body, dict) else None
    if not isinstance(item, str) or item not in MENU:
        text = f"Send a JSON object whose 'item' is one of {', '.join(MENU)}."
        abort(make_response(jsonify(status=422, code="not_on_the_menu", detail=text), 422))
    return MENU[item]


def _allow_cors(app: Flask, origin: str) -> None:
    """Let pages of this origin call ``/orders`` with a bearer token. Credentials stay off, so no cookie is sent."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        if request.path == "/orders":
            response.vary.add("Origin")
            if request.headers.get("Origin") == origin:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return response


def main() -> None:
    """Serve it on the second port after the site's."""
    addresses = read_addresses()
    serve(create_app(addresses), addresses.port + 2, f"Orders service: {addresses.orders}")


if __name__ == "__main__":
    main()
