"""What public implementers of device-bound sessions ran into, each a test by that name: none of it may cost an honest
person their session. The browser is software and does what Chromium was measured to do (``support/bound_client``)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, abort, redirect, request
from werkzeug.exceptions import HTTPException

from tests.support.bound_client import BoundBrowser
from tests.support.bound_jar import normalized
from tests.support.bound_site import REFRESH, REGISTER, BoundSite, is_fine, post_refresh, sign_in
from tests.support.bound_wire import Reply, app_wire
from tests.support.jars import LONG, SHORT
from tests.support.rules import heard


@pytest.fixture
def site(sqlite_url: str) -> BoundSite:
    return BoundSite(sqlite_url)


class Cut:
    """A wire that loses the answers, or makes them a 503, to the next requests of a path."""

    def __init__(self, site: BoundSite) -> None:
        self._wire, self._path, self._left, self._is_served, self._status = app_wire(site.app), "", 0, True, 0

    def lose(self, path: str, times: int = 1, *, is_served: bool = True, status: int = 0) -> None:
        self._path, self._left, self._is_served, self._status = path, times, is_served, status

    def __call__(self, method: str, path: str, headers: Any, body: bytes) -> Reply:
        if path != self._path or not self._left:
            return self._wire(method, path, headers, body)
        self._left -= 1
        if self._is_served:
            self._wire(method, path, headers, body)
        if self._status:
            return Reply(self._status, [], b"")
        raise ConnectionError("lost")


# ---- 1. dropped refreshes


@pytest.mark.parametrize("is_served", [True, False], ids=["served", "never seen"])
@pytest.mark.parametrize(("status", "why"), [(0, "unreachable"), (503, "server_error")])
def test_dropped_refreshes(site: BoundSite, is_served: bool, status: int, why: str) -> None:
    wire = Cut(site)
    browser = site.expired(wire=wire)
    wire.lose(REFRESH, is_served=is_served, status=status)
    reply = browser.request("/protected")
    assert (reply.status, reply.code) == (503, "device_proof_pending")
    assert reply.header("Retry-After") is not None
    assert browser.request("/protected").status == 200
    assert browser.events == ["registered", f"kept: {why}", "refreshed"]


def test_dropped_refreshes_many_in_a_row(site: BoundSite) -> None:
    wire = Cut(site)
    browser = site.expired(wire=wire)
    for _ in range(7):
        wire.lose(REFRESH)
        assert browser.request("/protected").code == "device_proof_pending"
        site.clock.move(seconds=90)
    assert browser.request("/protected").status == 200
    assert site.live_rows() == 1


def test_a_proof_that_is_sent_again_is_answered_by_a_new_challenge(site: BoundSite) -> None:
    browser = site.expired()
    proof = browser.session.key.refresh_proof(browser.session.challenge or "")
    assert post_refresh(browser, proof).status == 200
    again = post_refresh(browser, proof)
    assert (again.status, again.code) == (403, "device_proof_required")
    assert again.header("Secure-Session-Challenge") is not None
    assert is_fine(site, browser)


# ---- 2. 403 rewritten


def _answers_html(app: Flask) -> None:
    app.register_error_handler(403, lambda error: ("<h1>Forbidden</h1>", 403))


def _answers_every_http_error_with_200(app: Flask) -> None:
    app.register_error_handler(HTTPException, lambda error: ("<h1>An error</h1>", 200))


def _answers_every_error_with_500(app: Flask) -> None:
    app.register_error_handler(Exception, lambda error: ("<h1>An error</h1>", 500))


def _redirects_forbidden_to_login(app: Flask) -> None:
    app.register_error_handler(403, lambda error: redirect("/sign-in"))


def _rewrites_after(app: Flask) -> None:
    @app.after_request
    def rewrite(response: Response) -> Response:
        if response.status_code != 200 or request.path.startswith("/session/"):
            response.status_code = 401
            response.set_data(b"rewritten")
            response.headers.clear()
            response.set_cookie("theirs", "1")
        return response


def _replaces_after(app: Flask) -> None:
    @app.after_request
    def replace(response: Response) -> Response:
        return Response("", 204) if request.path.startswith("/session/") else response


def _fails_after(app: Flask) -> None:
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.after_request
    def fail(response: Response) -> Response:
        if request.path.startswith("/session/"):
            raise RuntimeError("a bug of the app's")
        return response


def _redirects_before(app: Flask) -> None:
    @app.before_request
    def gate() -> Any:
        return redirect("/sign-in") if not request.path.startswith(("/sign-in", "/protected")) else None


def _refuses_before(app: Flask) -> None:
    @app.before_request
    def gate() -> None:
        if request.path.startswith("/session/"):
            abort(401)


def _csrf_protect(app: Flask) -> None:
    from flask_wtf import CSRFProtect

    protect = CSRFProtect(app)
    protect.exempt(app.view_functions["sign_in"])


def _limits(app: Flask) -> None:
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    limiter = Limiter(get_remote_address, app=app, default_limits=["2 per day"], storage_uri="memory://")
    for name in ("sign_in", "protected"):
        limiter.exempt(app.view_functions[name])


def _talisman(app: Flask) -> None:
    from flask_talisman import Talisman

    Talisman(app, content_security_policy={"default-src": "'none'"})


HOSTILE = [
    _answers_html,
    _answers_every_http_error_with_200,
    _answers_every_error_with_500,
    _redirects_forbidden_to_login,
    _rewrites_after,
    _replaces_after,
    _fails_after,
    _redirects_before,
    _refuses_before,
    _csrf_protect,
    _limits,
    _talisman,
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.__name__.strip("_"))
def test_403_rewritten_and_whatever_else_an_app_does(site: BoundSite, hostile: Any) -> None:
    hostile(site.app)
    browser = site.bound()
    for _ in range(4):
        site.clock.move(minutes=16)
        browser.session.challenge = None  # so that a round of 403 is part of it
        assert browser.request("/protected").status == 200
    assert browser.events == ["registered", *["refreshed"] * 4]
    assert browser.sent.count(f"POST {REFRESH} 403") == 4


def test_403_rewritten_says_what_it_always_says(site: BoundSite) -> None:
    _rewrites_after(site.app)
    browser = site.bound()
    reply = post_refresh(browser)
    assert (reply.status, reply.code) == (403, "device_proof_required")
    assert reply.header("Content-Type") == "application/problem+json"
    assert reply.header("Cache-Control") == "no-store"
    assert reply.cookie_names == set()


# ---- 3. racing tabs


def test_racing_tabs(site: BoundSite) -> None:
    browser = site.expired()
    with ThreadPoolExecutor(8) as tabs:
        replies = list(tabs.map(lambda _: browser.request("/protected"), range(24)))
    assert {reply.status for reply in replies} == {200}
    assert browser.refreshes() == 1


def test_racing_tabs_with_one_proof(site: BoundSite) -> None:
    """A proxy, or a browser that gave up waiting, sends one request several times at once."""
    browser = site.expired()
    proof = browser.session.key.refresh_proof(browser.session.challenge or "")
    start = threading.Barrier(6)

    def send(_: int) -> int:
        start.wait()
        return post_refresh(browser, proof).status

    with ThreadPoolExecutor(6) as tabs:
        statuses = sorted(tabs.map(send, range(6)))
    assert statuses == [200, 403, 403, 403, 403, 403]
    assert is_fine(site, browser)


# ---- 4. scope of http behind a TLS proxy


def test_scope_of_http_behind_a_tls_proxy(site: BoundSite) -> None:
    """The app was not told of the proxy: to it, everything comes over http."""
    browser = site.browser(app_wire(site.app, base_url="http://app.example"), origin="https://app.example")
    sign_in(browser)
    site.clock.move(minutes=16)
    assert browser.request("/protected").status == 200
    assert browser.events == ["registered", "refreshed"]


def test_scope_names_no_scheme_and_no_host(site: BoundSite) -> None:
    offers: list[str] = []
    wire = app_wire(site.app, base_url="http://app.example")

    def watch(method: str, path: str, headers: Any, body: bytes) -> Reply:
        reply = wire(method, path, headers, body)
        offers.extend(reply.all("Secure-Session-Registration"))
        if path in (REGISTER, REFRESH) and reply.status == 200:
            offers.append(reply.body.decode())
        return reply

    browser = sign_in(site.browser(watch, origin="https://app.example"))
    site.clock.move(minutes=16)
    browser.request("/protected")
    assert len(offers) == 3
    assert not any("http:" in offer or "app.example" in offer or "origin" in offer for offer in offers)


# ---- 5. Max-Age among the attributes


@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
def test_max_age_among_the_attributes(sqlite_url: str, samesite: str) -> None:
    site = BoundSite(sqlite_url, CORBADO_SESSION_COOKIE_SAMESITE=samesite)
    browser = site.expired()
    proof = browser.session.key.refresh_proof(browser.session.challenge or "")
    reply = post_refresh(browser, proof)
    (credential,) = reply.json["credentials"]
    (short,) = (line for line in reply.all("Set-Cookie") if line.startswith(SHORT))
    assert "max-age" in short.lower()
    assert not {"max-age", "expires", "partitioned"} & {each.split("=")[0] for each in _parts(credential["attributes"])}
    assert normalized(_parts(credential["attributes"])) == normalized(_parts(short)[1:])


def _parts(cookie: str) -> list[str]:
    return [part.strip().lower() for part in cookie.split(";")]


# ---- 6. 204


def test_204_is_never_answered(site: BoundSite) -> None:
    browser = site.expired()
    browser.request("/protected")
    own = [each for each in browser.sent if each.startswith(f"POST {REFRESH}") or each.startswith(f"POST {REGISTER}")]
    assert [each.split()[-1] for each in own] == ["200", "200"]
    site.revoke()
    browser.jar.delete(SHORT)
    browser.request("/protected")
    assert browser.events[-1] == "forgotten: ServerRequestedTermination"  # whose answer has a body too


# ---- 7. missing id


def test_missing_id_means_the_session_of_the_long_cookie(site: BoundSite) -> None:
    browser = site.expired()
    reply = post_refresh(browser, Sec_Secure_Session_Id="")
    assert reply.status == 403
    challenge, _, named = (reply.header("Secure-Session-Challenge") or "").partition(";")
    assert named == f'id="{browser.session.id}"'
    reply = post_refresh(browser, browser.session.key.refresh_proof(challenge.strip('"')), Sec_Secure_Session_Id="")
    assert reply.json["session_identifier"] == browser.session.id


def test_missing_id_in_no_answer_that_is_read(site: BoundSite) -> None:
    browser = site.expired()
    proof = browser.session.key.refresh_proof(browser.session.challenge or "")
    assert post_refresh(browser, proof).json["session_identifier"] == browser.session.id
    site.revoke()
    assert post_refresh(browser).json == {"session_identifier": browser.session.id, "continue": False}


def test_missing_id_quoted_and_bare_are_the_same(site: BoundSite) -> None:
    browser = site.bound()
    assert post_refresh(browser, Sec_Secure_Session_Id=f'"{browser.session.id}"').status == 403


# ---- 8. 401 in the place of 403


def test_401_in_the_place_of_403(sqlite_url: str) -> None:
    site = BoundSite(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in")
    site.sessions.unauthorized_handler(lambda: ("who are you?", 401))
    browser = site.expired()
    for proof in (None, "", "no.jwt.at-all", browser.session.key.refresh_proof("an old challenge")):
        reply = post_refresh(browser, proof)
        assert (reply.status, reply.header("WWW-Authenticate")) == (403, None)
        assert reply.header("Secure-Session-Challenge") is not None
    assert is_fine(site, browser)


# ---- 9. gating before the refresh route


def test_gating_before_the_refresh_route(site: BoundSite) -> None:
    """Whoever is not signed in is sent to the sign-in page, by the usual lines, and only the refresh could help."""
    from flask_corbado_session import current_user

    @site.app.before_request
    def gate() -> Any:
        if request.path == "/sign-in" or current_user.is_authenticated:
            return None
        return redirect("/sign-in")

    browser = site.expired()
    assert browser.request("/protected").status == 200
    assert browser.events == ["registered", "refreshed"]


# ---- 10. restart with short cookies only


def test_restart_with_short_cookies_only(site: BoundSite) -> None:
    """The long cookie is gone, whoever took it: the person signs in again, once, and nothing runs in circles."""
    browser = site.bound()
    browser.jar.delete(LONG)
    assert browser.request("/protected").status == 200  # by the short session
    site.clock.move(minutes=16)
    assert browser.request("/protected").status == 401
    assert browser.events == ["registered", "forgotten: 404"]
    sign_in(browser)
    assert browser.request("/protected").status == 200


def test_restart_keeps_a_session_that_is_to_be_remembered(site: BoundSite) -> None:
    browser = site.bound()
    site.clock.move(hours=30)
    browser.close_and_open()
    assert browser.visit("/protected").status == 200
    assert browser.events == ["registered", "refreshed"]


def test_restart_ends_a_session_that_is_not(site: BoundSite) -> None:
    browser = site.browser()
    browser.request("/sign-in", "POST", form={"user": "alice", "remember": ""})
    assert browser.events == ["registered"]
    browser.close_and_open()
    assert browser.visit("/protected").status == 401
    assert browser.events == ["registered", "forgotten: 404"]


def test_a_browser_session_cookie_whose_token_has_run_out_is_renewed(site: BoundSite) -> None:
    """With remember=False the cookie does not run out, so that Chromium holds nothing back by itself."""
    browser = site.browser()
    browser.request("/sign-in", "POST", form={"user": "alice", "remember": ""})
    for _ in range(3):
        site.clock.move(minutes=16)
        reply = browser.request("/echo", "POST", form={"text": "kept"})
        assert (reply.status, reply.json["form"]) == (200, {"text": "kept"})
    assert browser.refreshes() == 3


# ---- 11. quota exceeded


def test_quota_exceeded(sqlite_url: str) -> None:
    site = BoundSite(sqlite_url, CORBADO_SESSION_SHORT_LIFETIME=60)
    browser = site.bound(has_quota=True)
    statuses = []
    for _ in range(12):
        site.clock.move(seconds=61)
        statuses.append(browser.visit("/protected").status)
    assert "kept: quota_exceeded" in browser.events
    assert set(statuses) == {200, 503}
    site.clock.move(minutes=9)
    assert browser.visit("/protected").status == 200
    assert not any(event.startswith("forgotten") for event in browser.events)


def test_quota_is_not_exceeded_by_what_the_defaults_ask_for(site: BoundSite) -> None:
    browser = site.bound(has_quota=True, is_proactive=False)
    for _ in range(50):
        site.clock.move(minutes=15, seconds=1)
        assert browser.visit("/protected").status == 200
    assert "kept: quota_exceeded" not in browser.events


# ---- 12. cross-site links that arrive without the cookie


@pytest.mark.parametrize("other", ["cross-site", "same-site"])
def test_cross_site_links_that_arrive_without_the_cookie(site: BoundSite, other: str) -> None:
    browser = site.expired()
    with heard(site.app) as signals:
        reply = browser.visit("/protected?a=b", site=other)
    assert (reply.status, reply.json["user_id"]) == (200, "alice")
    assert browser.events == ["registered", "the page loaded itself again", "refreshed"]
    assert "device-binding-failed" not in [name for name, _ in signals]


@pytest.mark.parametrize("other", ["cross-site", "same-site"])
def test_cross_site_links_do_not_run_in_circles(sqlite_url: str, other: str) -> None:
    site = BoundSite(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in")
    browser = site.expired()
    browser.sessions.clear()  # the browser lost its key
    reply = browser.visit("/protected", site=other)
    assert (reply.status, reply.header("Location")) == (303, "/sign-in?next=%2Fprotected")
    assert browser.events.count("the page loaded itself again") == 1


def test_cross_site_links_change_nothing_while_the_cookie_is_there(site: BoundSite) -> None:
    browser = site.bound()
    assert browser.visit("/protected", site="cross-site").status == 200
    assert "the page loaded itself again" not in browser.events


def test_the_page_in_between_is_kept_by_nobody(site: BoundSite) -> None:
    browser = site.expired()
    headers = {"Cookie": browser.jar.header(), "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    reply = browser.wire("GET", "/protected", headers, b"")
    assert (reply.status, reply.header("Refresh"), reply.header("Cache-Control")) == (
        200,
        "0; url=/protected",
        "no-store",
    )
    assert reply.cookie_names == set()


@pytest.mark.parametrize(
    ("skipped", "status"),
    [
        ('unreachable;session_identifier="another"', 401),
        ('unreachable;session_identifier="another", server_error;session_identifier="{id}"', 503),
        ('unreachable;session_identifier="another, server_error"', 401),
        ("quota_exceeded", 503),
        ('unreachable;note=";session_identifier=no";session_identifier="{id}"', 503),
        ('quota_exceeded;session_identifier="another";session_identifier="{id}"', 503),  # the last one counts, RFC 9651
        ('server_error, unreachable;session_identifier="{id}"', 503),
        (",", 401),
    ],
)
def test_a_reason_of_another_apps_session_on_the_same_host_is_not_ours(
    site: BoundSite, skipped: str, status: int
) -> None:
    browser = site.expired()
    copy = site.thief_of(browser)
    reply = copy.request("/protected", headers={"Secure-Session-Skipped": skipped.format(id=browser.session.id)})
    assert reply.status == status
    if status == 503:
        assert reply.json["reason"] in skipped.split(", ")[-1]


# ---- the thief meanwhile


def test_none_of_this_helps_who_copied_the_cookies(site: BoundSite) -> None:
    browser = site.bound()
    thief = site.thief_of(browser)
    assert thief.request("/protected").status == 200  # until the short session ends
    site.clock.move(minutes=16)
    skipped = {"Secure-Session-Skipped": f'server_error;session_identifier="{browser.session.id}"'}
    for headers in ({}, skipped, {"Sec-Fetch-Site": "none"}):
        assert thief.request("/protected", headers=headers).status in (401, 503)
    assert thief.visit("/protected", site="cross-site").status == 401
    assert _refreshes_nothing(thief)
    assert is_fine(site, browser)
    assert site.live_rows() == 1


def _refreshes_nothing(thief: BoundBrowser) -> bool:
    reply = post_refresh(thief)
    return reply.status == 403 and not reply.cookie_names
