"""The tests' app with device binding, and browsers that can bind, on a clock that is moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, request

from flask_corbado_session import confirm_login, current_session, fresh_login_required, login_required
from tests.support.bound_client import BoundBrowser
from tests.support.bound_wire import Reply, Wire, app_wire
from tests.support.jars import SHORT, SessionRows
from tests.support.site import Site

REGISTER, REFRESH = "/session/bound/register", "/session/bound/refresh"
Hostile = Callable[[Flask], object]


class BoundSite(Site):
    """An app whose sessions are bound where the browser can."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **{"CORBADO_SESSION_DEVICE_BINDING": True, **config})
        _add_views(self.app)

    def browser(self, wire: Wire | None = None, **how: Any) -> BoundBrowser:
        """A browser without cookies."""
        return BoundBrowser(wire or app_wire(self.app), now=lambda: self.clock().timestamp(), **how)

    def bound(self, user: str = "alice", **how: Any) -> BoundBrowser:
        """A browser this user signed in with, which registered its key."""
        browser = sign_in(self.browser(**how), user)
        assert browser.events == ["registered"], browser.events
        return browser

    def expired(self, user: str = "alice", **how: Any) -> BoundBrowser:
        """The same, its short session's cookie gone."""
        browser = self.bound(user, **how)
        self.clock.move(minutes=16)
        return browser

    def thief_of(self, browser: BoundBrowser) -> BoundBrowser:
        """Somebody elsewhere who copied the cookies."""
        return browser.copied(app_wire(self.app, ip="203.0.113.6"))

    def revoke(self, user: str = "alice") -> None:
        """End every session of a user, as an operator does."""
        with self.app.app_context():
            self.sessions.revoke_user(user)

    def row(self) -> dict[str, Any]:
        """The only session's."""
        with SessionRows(self.url) as rows:
            return rows.one()

    def live_rows(self) -> int:
        """How many sessions have not ended."""
        with SessionRows(self.url) as rows:
            return sum(row["ended_at"] is None for row in rows.all().values())


def sign_in(browser: BoundBrowser, user: str = "alice", **fields: str) -> BoundBrowser:
    """Send the form of the sign-in page."""
    assert browser.request("/sign-in", "POST", form={"user": user, **fields}).status == 200
    return browser


def post_refresh(browser: BoundBrowser, proof: str | None = None, **headers: str) -> Reply:
    """One request of a refresh by hand; ``headers`` win, with underscores for hyphens."""
    given = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}
    given["Cookie"] = browser.jar.header()
    if browser.sessions:
        given["Sec-Secure-Session-Id"] = browser.session.id
    if proof is not None:
        given["Secure-Session-Response"] = proof
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.wire("POST", REFRESH, given, b"")


def is_fine(site: BoundSite, browser: BoundBrowser) -> bool:
    """Whether this browser still has its key's session and gets a new short session by it."""
    before = browser.refreshes()
    browser.jar.delete(SHORT)
    reply = browser.request("/protected")
    return reply.status == 200 and reply.json["user_id"] is not None and browser.refreshes() == before + 1


def _add_views(app: Flask) -> None:
    @app.post("/confirm")
    def confirm() -> Response:
        confirm_login(amr=["pwd"])
        return jsonify(session_id=current_session.session_id)

    @app.route("/sensitive", methods=["GET", "POST"])
    @fresh_login_required(max_age=300)
    def sensitive() -> Response:
        return jsonify(form=request.form.to_dict())

    @app.route("/proven", methods=["GET", "POST"])
    @login_required(proof_max_age=60)
    def proven() -> Response:
        return jsonify(form=request.form.to_dict(), bound=current_session.bound)
