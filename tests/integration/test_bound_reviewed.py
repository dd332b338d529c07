"""What a review of device binding found: each cost an honest person a page, or their session."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Response, abort

from flask_corbado_session import current_user, login_required
from flask_corbado_session.binding.proofs import Registration
from flask_corbado_session.database.binding import BoundKey
from flask_corbado_session.sessions.bound import ProofRequired
from flask_corbado_session.web import bound
from tests.support.apps import state_of
from tests.support.bound_client import BoundBrowser
from tests.support.bound_site import REFRESH, REGISTER, BoundSite, is_fine, sign_in
from tests.support.bound_wire import app_wire
from tests.support.jars import LONG, SHORT

API, SPA = "https://api.hosting.example", "https://spa.hosting.example"


@pytest.fixture
def site(sqlite_url: str) -> BoundSite:
    return BoundSite(sqlite_url)


# ---- an app that first asks who is there when its view is done


@pytest.fixture
def asks_late(site: BoundSite) -> list[str]:
    """The site, whose blueprint and app tell who is there when the response is made; what they told."""
    site.app.config["PROPAGATE_EXCEPTIONS"] = False
    pages, told = Blueprint("pages", __name__), []

    @pages.route("/landing", methods=["GET", "POST"])
    def landing() -> str:
        told.append("the view ran")
        return "hello"

    def tell(response: Response) -> Response:
        told.append(current_user.get_id())
        return response

    pages.after_request(tell)
    site.app.after_request(tell)
    site.app.register_blueprint(pages)
    return told


@pytest.mark.parametrize("remember", ["yes", ""])
def test_an_after_request_that_asks_first_fails_for_nobody(
    site: BoundSite, asks_late: list[str | None], remember: str
) -> None:
    browser = sign_in(site.browser(), remember=remember)
    asks_late.clear()
    site.clock.move(minutes=16)
    for method, origin in (("GET", "cross-site"), ("GET", "none"), ("POST", "same-origin")):
        reply = browser.request("/landing", method, site=origin, mode="navigate")
        assert (reply.status, reply.body) == (200, b"hello")
    assert asks_late.count("the view ran") == 3
    assert browser.visit("/protected").status == 200


@pytest.mark.parametrize("path", ["/dead-link", "/gone"])
@pytest.mark.parametrize("is_async", [False, True])
def test_the_page_of_an_error_that_shows_who_is_there_fails_for_nobody(
    site: BoundSite, path: str, is_async: bool
) -> None:
    site.app.config["PROPAGATE_EXCEPTIONS"] = False
    site.app.add_url_rule("/gone", "gone", lambda: abort(404))

    def show(error: Exception) -> tuple[str, int]:
        return f"nothing here, {current_user.get_id()}", 404

    async def show_later(error: Exception) -> tuple[str, int]:
        return show(error)

    site.app.register_error_handler(404, show_later if is_async else show)
    browser = sign_in(site.browser(), remember="")
    assert browser.visit(path, site="cross-site").body == b"nothing here, alice"
    site.clock.move(minutes=16)
    for origin in ("cross-site", "none"):
        assert browser.visit(path, site=origin).status == 404
    assert browser.visit("/protected").status == 200


# ---- several sessions


@pytest.mark.parametrize("order", [1, -1])
def test_an_ended_session_beside_a_bound_one_does_not_hide_it(site: BoundSite, order: int) -> None:
    old = site.bound("alice").jar.value(LONG)
    site.revoke("alice")
    browser = site.expired("bob")
    cookies = "; ".join([f"{LONG}={browser.jar.value(LONG)}", f"{LONG}={old}"][::order])
    headers = {"Cookie": cookies, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert browser.wire("GET", "/protected", headers, b"").header("Refresh") == "0; url=/protected"


# ---- a listed host that turns out to be of another site, which no name shows


@pytest.fixture
def hosted(sqlite_url: str) -> tuple[BoundSite, BoundBrowser]:
    """Two hosts of a provider whose customers are sites of their own, as are those of ``co.uk``."""
    site = BoundSite(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=[SPA])
    browser = site.bound(wire=app_wire(site.app, base_url=API), origin=API)
    site.clock.move(minutes=16)
    return site, browser


def _refresh_without_cookies(browser: BoundBrowser, cookie: str = "") -> int:
    own = {"Origin": API, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Cookie": cookie}
    return browser.wire("POST", REFRESH, {**own, "Sec-Secure-Session-Id": browser.session.id}, b"").status


def test_a_refresh_for_a_page_of_another_site_costs_no_key(hosted: tuple[BoundSite, BoundBrowser]) -> None:
    site, browser = hosted
    assert _refresh_without_cookies(browser) == 503
    skipped = {"Secure-Session-Skipped": f'server_error;session_identifier="{browser.session.id}"'}
    assert browser.visit("/protected", site="cross-site", headers=skipped).status == 200
    assert is_fine(site, browser)


def test_a_session_that_is_gone_from_the_jar_is_forgotten_all_the_same(hosted: tuple[BoundSite, BoundBrowser]) -> None:
    _, browser = hosted
    browser.jar.delete(LONG)
    assert _refresh_without_cookies(browser, browser.jar.header()) == 404


# ---- clocks


@pytest.mark.parametrize(("seconds", "code"), [(-5, "device_proof_pending"), (-60, "unauthenticated")])
def test_a_clock_that_is_behind_takes_no_old_proof_for_a_new_one(site: BoundSite, seconds: int, code: str) -> None:
    thief = site.thief_of(site.expired())
    for name in thief.jar.names() - {LONG}:
        thief.jar.delete(name)
    site.clock.move(minutes=-16, seconds=seconds)
    assert thief.request("/protected").code == code


# ---- the first requests, and where the app is mounted


def test_two_first_requests_at_once_add_the_routes_once(site: BoundSite) -> None:
    for _ in range(2):
        bound.stand_first(site.app)
    assert site.app.before_request_funcs[None].count(bound.answer) == 1


@pytest.mark.parametrize(
    ("script_name", "path"), [("/", REGISTER), ("/app", f"/app{REGISTER}"), ("/caf\xc3\xa9", f"/caf%C3%A9{REGISTER}")]
)
def test_a_prefix_is_sent_as_a_path_of_this_host(site: BoundSite, script_name: str, path: str) -> None:
    reply = site.app.test_client().post(
        "/sign-in", data={"user": "alice"}, base_url="https://localhost", environ_overrides={"SCRIPT_NAME": script_name}
    )
    assert f'path="{path}"' in reply.headers["Secure-Session-Registration"]


# ---- sockets, and a session that ends while it is answered


def test_a_socket_whose_view_asks_for_a_newer_proof_is_hung_up(site: BoundSite) -> None:
    class Socket:
        closed: tuple[Any, ...] = ()

        def close(self, *reason: Any) -> None:
            self.closed = reason

    browser, socket = site.bound(), Socket()
    view: Any = login_required(proof_max_age=60)(lambda ws: "sent")
    handshake = {"Cookie": browser.jar.header(), "Upgrade": "websocket", "Origin": "https://localhost"}
    for minutes, closed in ((0, ()), (2, (1008, "unauthenticated"))):
        site.clock.move(minutes=minutes)
        with site.app.test_request_context("/feed", headers=handshake, base_url="https://localhost"):
            assert view(socket) == (None if closed else "sent")
        assert socket.closed == closed


def test_which_token_a_short_session_was_read_from_is_known_when_it_has_ended(site: BoundSite) -> None:
    browser, other = site.bound(), site.bound("bob")
    tokens = [each.jar.value(SHORT) or "" for each in (other, browser)]
    known = state_of(site.app).short_sessions
    short = known.verify(tokens[1])
    site.revoke("alice")
    site.clock.move(minutes=16)
    assert known.token_of(short, ["not one", *tokens]) == tokens[1]
    assert known.token_of(short, tokens[:1]) is None


# ---- what may not be read anywhere


@pytest.mark.parametrize(
    "said", [ProofRequired("id", "secret", "why"), Registration("secret", "secret"), BoundKey("secret", 1)]
)
def test_no_key_and_no_challenge_stands_in_a_repr(said: object) -> None:
    assert "secret" not in repr(said)
