"""Device binding in a real Chromium, over https: it makes the key, keeps it, and proves it by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Browser, Playwright

from flask_corbado_session.keys.rotation import generate, rotate
from tests.conftest import BROWSER_ARGUMENTS
from tests.support.apps import SECRET_KEY
from tests.support.bound_browser import Chromium, chromium_arguments
from tests.support.bound_client import BoundBrowser
from tests.support.bound_https import ASSETS, FOREIGN, HOST, SIBLING, HttpsSite
from tests.support.bound_site import REFRESH, REGISTER, sign_in
from tests.support.certificates import certificate
from tests.support.jars import LONG, SHORT
from tests.support.servers import free_port

QUARTER = 15 * 60
OpenSite = Callable[..., HttpsSite]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def binding_browser(playwright: Playwright, chromium: str, tls: tuple[Path, Path]) -> Iterator[Browser]:
    arguments = BROWSER_ARGUMENTS + chromium_arguments(tls[0])
    browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
    yield browser
    browser.close()


@pytest.fixture
def open_site(tmp_path: Path, tls: tuple[Path, Path]) -> Iterator[OpenSite]:
    with ExitStack() as stack:

        def open_site(**config: Any) -> HttpsSite:
            site = HttpsSite(f"sqlite:///{tmp_path / 'bound.sqlite'}", tls, **config)
            return stack.enter_context(site.served())

        yield open_site


@pytest.fixture
def site(open_site: OpenSite) -> HttpsSite:
    return open_site()


@pytest.fixture
def alice(binding_browser: Browser, site: HttpsSite) -> Iterator[Chromium]:
    """Signed in, her key registered."""
    context = binding_browser.new_context()
    context.set_default_timeout(10_000)
    yield Chromium(context, site).sign_in()
    context.close()


# ---- registration


def test_a_sign_in_registers_a_key(alice: Chromium, site: HttpsSite) -> None:
    assert site.said() == ["GET /enter 200", f"POST {REGISTER}+proof 200"]
    assert alice.fetch("/proven")[0] == 200
    (row,) = [site.row()]
    assert row["binding_key"] is not None
    (event,) = alice.told("creation")
    assert event["succeeded"]
    assert event["sessionId"] == row["id"]


def test_what_chromium_sends_is_what_the_software_browser_sends(alice: Chromium, site: HttpsSite) -> None:
    alice.lose_short_session()
    alice.open()
    own = {
        "HTTP_ORIGIN": site.origin(),
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "HTTP_SEC_FETCH_MODE": "no-cors",
        "CONTENT_LENGTH": "0",
    }
    assert site.headers == [own, own]


# ---- renewal


def renew(alice: Chromium, site: HttpsSite, times: int) -> None:
    """Let the short session end and ask for a page, so often: each time it is renewed with one proof."""
    since = len(site.log)
    for _ in range(times):
        site.clock.move(seconds=QUARTER + 1)
        alice.lose_short_session()
        assert alice.open() == 200
    assert site.said(since) == [f"POST {REFRESH}+proof 200", "GET /page 200"] * times


def test_a_missing_cookie_is_renewed_before_the_page_is_asked_for(alice: Chromium, site: HttpsSite) -> None:
    renew(alice, site, times=3)
    assert [event["succeeded"] for event in alice.told("refresh")] == [True] * 3


def test_a_cookie_the_server_takes_for_expired_is_renewed_too(alice: Chromium, site: HttpsSite) -> None:
    since = len(site.log)
    site.clock.move(seconds=QUARTER + 1)
    assert alice.open() == 200
    assert site.said(since) == ["GET /page 307", f"POST {REFRESH}+proof 200", "GET /page 200"]


def test_eight_fetches_at_once_cost_one_refresh(alice: Chromium, site: HttpsSite) -> None:
    since = len(site.log)
    alice.lose_short_session()
    statuses = alice.page.evaluate(
        "Promise.all([...Array(8)].map(() => fetch('/proven').then(({ status }) => status)))"
    )
    assert statuses == [200] * 8
    assert site.proofs(since) == 1


def test_three_tabs_cost_one_refresh(alice: Chromium, site: HttpsSite) -> None:
    tabs = [alice.context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(site.origin() + "/page")
    since = len(site.log)
    alice.lose_short_session()
    for tab in tabs:
        tab.evaluate("globalThis.asked = fetch('/proven').then(({ status }) => status); 0")
    assert [tab.evaluate("asked") for tab in tabs] == [200] * 3
    assert site.proofs(since) == 1


def test_a_page_with_twelve_subresources_costs_one_refresh(alice: Chromium, site: HttpsSite) -> None:
    since = len(site.log)
    alice.lose_short_session()
    assert alice.open(f"/page?assets={ASSETS}") == 200
    assert site.proofs(since) == 1
    assert sum("/asset/" in line and line.endswith(" 200") for line in site.log[since:]) == ASSETS


def test_subresources_that_find_the_cookie_gone_cost_one_refresh(alice: Chromium, site: HttpsSite) -> None:
    alice.open()
    since = len(site.log)
    alice.lose_short_session()
    alice.page.evaluate(
        "count => Promise.all([...Array(count).keys()].map((number) => new Promise((done) => {"
        " const image = new Image(); image.onload = image.onerror = done; image.src = `/asset/${number}`; })))",
        ASSETS,
    )
    assert site.proofs(since) == 1
    assert sum("/asset/" in line and line.endswith(" 200") for line in site.log[since:]) == ASSETS


@pytest.mark.parametrize("how", ["missing", "refused"])
def test_a_form_that_was_held_back_keeps_its_body(alice: Chromium, site: HttpsSite, how: str) -> None:
    alice.open()
    since = len(site.log)
    site.clock.move(seconds=QUARTER + 1)
    if how == "missing":
        alice.lose_short_session()
    with alice.page.expect_navigation():
        alice.page.get_by_role("button", name="Send").click()
    assert '"kept"' in alice.page.content()
    assert site.proofs(since) == 1


def test_a_fetch_that_was_held_back_keeps_its_body(alice: Chromium) -> None:
    alice.lose_short_session()
    status, text = alice.fetch("/form", "POST", "text=kept")
    assert (status, '"kept"' in text) == (200, True)


HELD_BACK = {
    "a socket": "const it = new WebSocket(location.origin.replace('https', 'wss') + '/page')",
    "an event source": "const it = new EventSource('/page')",
}


@pytest.mark.parametrize("what", HELD_BACK)
def test_whatever_asks_is_held_back_too(alice: Chromium, site: HttpsSite, what: str) -> None:
    """The app has neither here: both fail, after they were let through as alice."""
    alice.open()
    since = len(site.log)
    alice.lose_short_session()
    alice.page.evaluate(f"new Promise((done) => {{ {HELD_BACK[what]}; it.onerror = () => {{ it.close(); done(); }} }})")
    assert site.said(since)[0] == f"POST {REFRESH}+proof 200"
    assert site.said(since)[1] in ("GET /page 200", "GET /page 400")


def test_a_beacon_is_held_back_too(alice: Chromium, site: HttpsSite) -> None:
    alice.open()
    since = len(site.log)
    alice.lose_short_session()
    alice.page.evaluate("navigator.sendBeacon('/form', new URLSearchParams({ text: 'kept' }))")
    alice.wait(lambda: site.said(since) == [f"POST {REFRESH}+proof 200", "POST /form 200"])


# ---- restart


@pytest.fixture
def restarting(
    playwright: Playwright, chromium: str, tls: tuple[Path, Path], tmp_path: Path
) -> Iterator[Callable[..., Chromium]]:
    """A browser with a profile on disk; called again it is closed and opened again."""
    opened: list[Any] = []

    def restart(site: HttpsSite, quota: bool = False) -> Chromium:
        if opened:
            opened.pop().close()
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=chromium,
            args=BROWSER_ARGUMENTS + chromium_arguments(tls[0], quota=quota),
        )
        context.set_default_timeout(10_000)
        opened.append(context)
        return Chromium(context, site)

    yield restart
    for context in opened:
        context.close()


def test_the_key_survives_a_restart(restarting: Callable[..., Chromium], site: HttpsSite) -> None:
    alice = restarting(site).sign_in()
    alice.page.wait_for_timeout(1000)  # the profile is written behind our back, and nothing tells when
    alice = restarting(site)
    since = len(site.log)
    alice.lose_short_session()
    assert alice.open() == 200
    assert site.said(since)[-2:] == [f"POST {REFRESH}+proof 200", "GET /page 200"]


def test_a_session_that_is_not_to_be_remembered_ends_with_the_browser(
    restarting: Callable[..., Chromium], site: HttpsSite
) -> None:
    alice = restarting(site).sign_in(more="&remember=no")
    since = len(site.log)
    site.clock.move(seconds=QUARTER + 1)
    assert alice.open() == 200
    assert site.said(since)[0] == "GET /page 307"
    alice.page.wait_for_timeout(1000)
    alice = restarting(site)
    assert SHORT not in alice.cookies()
    assert alice.open() == 200
    assert alice.page.title() == "Sign in"
    since = len(site.log)
    assert alice.open() == 200
    assert site.said(since) == ["GET /page 303", "GET /enter 200"]  # forgotten, so that it is not asked for again


# ---- step-up


def test_an_old_proof_is_asked_for_again_before_the_view_runs(alice: Chromium, site: HttpsSite) -> None:
    alice.open()
    since = len(site.log)
    assert alice.open("/proven") == 200  # a minute old at most
    site.clock.move(seconds=90)
    with alice.page.expect_navigation():
        alice.open()
    alice.page.get_by_role("button", name="Prove").click()
    alice.page.wait_for_url("**/proven")
    assert '"kept"' in alice.page.content()
    assert site.said(since)[-3:] == ["POST /proven 307", f"POST {REFRESH}+proof 200", "POST /proven 200"]


def test_a_confirmed_login_registers_a_new_key(alice: Chromium, site: HttpsSite) -> None:
    before = alice.told("creation")[0]["sessionId"]
    assert alice.fetch("/confirm", "POST")[0] == 200
    alice.wait(lambda: len(alice.told("creation")) == 2)
    (_, event) = alice.told("creation")
    assert event["succeeded"]
    assert event["sessionId"] != before
    for _ in range(2):
        alice.lose_short_session()
        assert alice.open() == 200
    assert site.end_reasons() == ["superseded"]
    assert site.live_rows() == 1


# ---- the end


def test_signing_out_ends_it_for_the_browser_too(alice: Chromium, site: HttpsSite) -> None:
    alice.open()
    alice.page.get_by_role("button", name="Leave").click()
    alice.page.wait_for_url("**/enter")
    alice.wait(lambda: alice.told("termination"))
    since = len(site.log)
    assert alice.open() == 200
    assert alice.page.title() == "Sign in"
    assert site.said(since) == ["GET /page 303", "GET /enter 200"]


def test_a_session_that_is_revoked_from_another_device_ends(alice: Chromium, site: HttpsSite) -> None:
    other = sign_in(BoundBrowser(site.wire, origin=site.origin()))
    assert other.request("/session/revoke-others", "POST").status == 204
    alice.lose_short_session()
    assert alice.open() == 200
    assert alice.page.title() == "Sign in"
    alice.wait(lambda: alice.told("termination"))
    assert "refresh: failed FatalError, ServerRequestedTermination" in alice.summary()
    alice.sign_in()
    assert alice.open() == 200
    assert alice.page.title() == "A page"
    assert other.request("/protected").status == 200


def test_four_logins_are_four_sessions_of_which_the_last_one_counts(alice: Chromium, site: HttpsSite) -> None:
    """Whichever the browser takes first, it forgets those that are over, and goes on to the next."""
    for user in ("bob", "alice", "bob"):
        alice.sign_in(user)
    since = len(site.log)
    alice.lose_short_session()
    assert alice.open() == 200
    assert alice.page.title() == "A page"
    alice.wait(lambda: alice.told("refresh"))
    *forgotten, last, page = site.said(since)
    assert (set(forgotten) <= {f"POST {REFRESH}+proof 404"}, len(forgotten) <= 3) == (True, True)
    assert (last, page) == (f"POST {REFRESH}+proof 200", "GET /page 200")
    assert site.live_rows() == 1


# ---- keys of the server


def test_a_new_secret_key_costs_nobody_their_session(alice: Chromium, site: HttpsSite) -> None:
    site.started_anew(SECRET_KEY="another secret of forty characters, at least", SECRET_KEY_FALLBACKS=[SECRET_KEY])
    renew(alice, site, times=2)


def test_a_new_key_in_the_key_file_costs_nobody_their_session(
    binding_browser: Browser, open_site: OpenSite, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    generate(keys)
    site = open_site(CORBADO_SESSION_KEYS_FILE=str(keys))
    with binding_browser.new_context() as context:
        alice = Chromium(context, site).sign_in()
        rotation = rotate(keys, site.clock(), timedelta(minutes=15))
        kids: set[str] = set()
        # the server looks at the file every few seconds, by a clock that isn't moved
        gives_up_at = time.monotonic() + 30
        while rotation.new.key.kid not in kids and time.monotonic() < gives_up_at:
            site.clock.move(seconds=QUARTER + 1)
            alice.lose_short_session()
            assert alice.open() == 200
            assert alice.page.title() == "A page"
            kids.add(jwt.get_unverified_header(alice.cookies()[SHORT])["kid"])
            alice.page.wait_for_timeout(500)
        assert rotation.new.key.kid in kids
        assert alice.told("termination") == []


# ---- faults


def test_a_server_that_fails_signs_nobody_out(alice: Chromium, site: HttpsSite) -> None:
    site.failing = 1
    alice.lose_short_session()
    assert alice.open() == 503
    assert alice.open() == 200
    assert alice.page.title() == "A page"
    refreshes = alice.told("refresh")
    assert [event["succeeded"] for event in refreshes] == [False, True]


def test_a_server_that_fails_for_long_signs_nobody_out(alice: Chromium, site: HttpsSite) -> None:
    site.failing = 8
    for _ in range(6):
        alice.lose_short_session()
        assert alice.open() == 503
    site.failing = 0
    alice.wait(lambda: alice.open() == 200, 30)
    assert alice.page.title() == "A page"
    assert alice.told("termination") == []


def test_the_quota_of_signatures_signs_nobody_out(restarting: Callable[..., Chromium], site: HttpsSite) -> None:
    alice = restarting(site, quota=True).sign_in()
    statuses = []
    for _ in range(8):
        alice.lose_short_session()
        statuses.append(alice.open())
    assert statuses == [200] * 5 + [503] * 3
    assert alice.told("termination") == []


def test_claims_that_must_change_now_change_by_a_proof(alice: Chromium, site: HttpsSite) -> None:
    since = len(site.log)
    site.clock.move(seconds=2)
    with site.app.app_context():
        site.sessions.expire_short("alice")
    site.clock.move(seconds=2)
    assert alice.open() == 200
    assert site.said(since) == ["GET /page 307", f"POST {REFRESH}+proof 200", "GET /page 200"]


# ---- other sites


@pytest.mark.parametrize("other", [FOREIGN, SIBLING])
def test_a_link_of_another_site_finds_the_person_signed_in(alice: Chromium, site: HttpsSite, other: str) -> None:
    alice.open("/links", host=other)
    alice.lose_short_session()
    since = len(site.log)
    alice.page.get_by_role("link", name="Go", exact=True).click()
    alice.page.wait_for_url(f"**{HOST}**")
    alice.page.wait_for_function("document.title === 'A page'")
    assert alice.page.url.endswith("/page?from=a-link")
    assert site.said(since) == ["GET /page 200", f"POST {REFRESH}+proof 200", "GET /page 200"]
    alice.page.go_back()
    assert alice.page.title() == "Elsewhere"


def test_a_link_to_a_part_of_a_page_leads_to_the_page(alice: Chromium) -> None:
    """The server is not told of the part, so that its page in between can't say it again."""
    alice.open("/links", host=FOREIGN)
    alice.lose_short_session()
    alice.page.get_by_role("link", name="Go to a part").click()
    alice.page.wait_for_function("document.title === 'A page'")
    assert alice.page.url.endswith("/page?from=a-link")


def test_a_form_of_a_trusted_site_is_not_lost(binding_browser: Browser, tmp_path: Path, tls: tuple[Path, Path]) -> None:
    """It comes with the long cookie where that is SameSite=None, and with no proof: the person presses once more."""
    port = free_port()
    config = {"COOKIE_SAMESITE": "None", "TRUSTED_ORIGINS": [f"https://{FOREIGN}:{port}"]}
    named = {f"CORBADO_SESSION_{name}": value for name, value in config.items()}
    site = HttpsSite(f"sqlite:///{tmp_path / 'bound.sqlite'}", tls, port=port, **named)
    with site.served(), binding_browser.new_context() as context:
        alice = Chromium(context, site).sign_in()
        alice.open("/links", host=FOREIGN)
        alice.lose_short_session()
        since = len(site.log)
        alice.page.get_by_role("button", name="Send").click()
        alice.page.get_by_role("button", name="Continue").click()
        alice.page.wait_for_function("document.body.textContent.includes('kept')")
        assert site.said(since) == ["POST /form 200", f"POST {REFRESH}+proof 200", "POST /form 200"]


def test_script_of_a_sibling_host_that_may_call_has_the_key_proven(
    binding_browser: Browser, tmp_path: Path, tls: tuple[Path, Path]
) -> None:
    port = free_port()
    origins = [f"https://{SIBLING}:{port}"]
    site = HttpsSite(f"sqlite:///{tmp_path / 'bound.sqlite'}", tls, port=port, CORBADO_SESSION_CORS_ORIGINS=origins)
    with site.served(), binding_browser.new_context() as context:
        alice = Chromium(context, site).sign_in()
        alice.open("/links", host=SIBLING)
        alice.lose_short_session()
        since = len(site.log)
        status = alice.page.evaluate(
            "url => fetch(url, { method: 'POST', credentials: 'include' }).then(({ status }) => status)",
            f"{site.origin()}/session/refresh",
        )
        assert (status, site.proofs(since)) == (200, 1)


@pytest.mark.parametrize("ask", ["refresh()", "fetch('/form', { method: 'POST' })"])
def test_the_script_of_a_page_gets_its_refresh_by_a_proof(alice: Chromium, site: HttpsSite, ask: str) -> None:
    alice.open()
    alice.page.evaluate(
        "import('/session/static/corbado-session.js').then(({ createSession }) =>"
        " { globalThis.session = createSession(); return session.start(); })"
    )
    for minutes in (5, 5, 16):
        site.clock.move(minutes=minutes)
        since = len(site.log)
        assert alice.page.evaluate(f"session.{ask}.then((found) => found.user_id ?? found.status)") in ("alice", 200)
        assert site.proofs(since) == (1 if "refresh" in ask or minutes > 15 else 0)


# ---- a copy of the cookies


def test_a_copied_jar_is_served_until_the_short_session_ends_and_never_again(alice: Chromium, site: HttpsSite) -> None:
    stolen = alice.steal()
    assert LONG in stolen["Cookie"]
    assert site.wire("GET", "/page", stolen, b"").status == 200
    site.clock.move(seconds=QUARTER + 1)
    for _ in range(3):
        reply = site.wire("GET", "/page", {**stolen, "Accept": "application/json"}, b"")
        assert (reply.status, reply.cookie_names) == (401, set())
        refresh = site.wire("POST", REFRESH, stolen, b"")
        assert (refresh.status, refresh.cookie_names) == (403, set())
        assert site.wire("POST", "/session/refresh", stolen, b"").cookie_names == set()
        alice.lose_short_session()
        assert alice.open() == 200
        assert alice.page.title() == "A page"
        site.clock.move(seconds=QUARTER + 1)
    assert site.live_rows() == 1
    assert alice.told("termination") == []


def test_the_browser_renews_ahead_of_time_and_the_old_cookie_serves_meanwhile(
    binding_browser: Browser, open_site: OpenSite
) -> None:
    site = open_site(CORBADO_SESSION_SHORT_LIFETIME=100)
    with binding_browser.new_context() as context:
        alice = Chromium(context, site).sign_in()
        assert alice.open(f"/page?assets={ASSETS}") == 200
        alice.wait(lambda: alice.told("refresh"))
        assert "refresh: ok Refreshed, Success, proactive" in alice.summary()
        assert sum("/asset/" in line and line.endswith(" 200") for line in site.log) == ASSETS


@pytest.mark.slow
def test_in_real_time_a_copy_ends_with_the_minute_and_the_owner_goes_on(
    binding_browser: Browser, open_site: OpenSite
) -> None:
    """No clock is moved here: the cookie runs out in the browser, and the token at the server."""
    site = open_site(CORBADO_SESSION_SHORT_LIFETIME=60)
    with binding_browser.new_context() as context:
        alice = Chromium(context, site).sign_in()
        stolen = {**alice.steal(), "Accept": "application/json"}
        assert site.wire("GET", "/page", stolen, b"").status == 200
        alice.wait(lambda: SHORT not in alice.cookies(), seconds=70)
        alice.wait(lambda: site.wire("GET", "/page", stolen, b"").status == 401)
        since = len(site.log)
        assert alice.open() == 200
        assert site.said(since)[:2] == [f"POST {REFRESH}+proof 200", "GET /page 200"]
        assert site.wire("GET", "/page", stolen, b"").status == 401
