"""corbado-session.js in a real browser against a real server, both clocks moved together unless the test says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request

from tests.browser.conftest import Serve
from tests.browser.servers import Server

AUTH, APP, API, FOREIGN = "auth.demo.localhost", "app.demo.localhost", "api.demo.localhost", "foreign.localhost"
POST_ORDER = "{ method: 'POST', body: 'one order' }"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("database") / "sessions.sqlite"


@pytest.fixture(scope="module")
def site(serve: Serve, database: Path) -> Server:
    return serve("tests.browser.script_site", DATABASE_URL=f"sqlite:///{database}")


class Browser:
    """One person's browser: its tabs, what they sent, and the two clocks."""

    def __init__(self, context: BrowserContext, site: Server) -> None:
        self.context, self.site = context, site
        self.sent: list[str] = []
        context.clock.install()
        context.on("request", self._remember)

    def _remember(self, request: Request) -> None:
        self.sent.append(f"{request.method} {request.url.removeprefix('http://').partition('/')[2]}")

    def tab(self, host: str = AUTH) -> Page:
        """A tab on the page with script; nothing is begun yet."""
        page = self.context.new_page()
        page.goto(f"{self.site.origin(host)}/page")
        page.wait_for_function("typeof begin === 'function'")
        return page

    def begun(self, host: str = AUTH, **options: Any) -> Page:
        """A tab whose session is begun."""
        page = self.tab(host)
        page.evaluate("options => begin(options)", options)
        return page

    def begun_on_other_host(self) -> Page:
        """A tab of the single-page app, whose API is a third host."""
        return self.begun(APP, url=f"{self.site.origin(AUTH)}/session", api=[self.site.origin(API)])

    def sign_in(self, user: str = "alice") -> None:
        """As a person does, on the session's host."""
        page = self.tab()
        page.evaluate("user => fetch('/sign-in', { method: 'POST', body: new URLSearchParams({ user }) })", user)
        page.close()

    def server(self, path: str, body: object) -> None:
        """Tell the test's server something, from outside of the browser's tabs."""
        assert self.context.request.post(f"{self.site.origin()}{path}", data=str(body)).ok

    def pass_time(self, seconds: float) -> None:
        """On both clocks. The browser's timers that fall due run once, as they do when a laptop's lid is opened."""
        self.server("/clock", seconds)
        self.context.clock.fast_forward(int(seconds * 1000))

    def refreshes(self) -> int:
        return self.sent.count("POST session/refresh")


@pytest.fixture
def browser_of_alice(context: BrowserContext, site: Server) -> Browser:
    browser = Browser(context, site)
    browser.sign_in()
    return browser


@pytest.fixture
def browser_of_nobody(context: BrowserContext, site: Server) -> Browser:
    return Browser(context, site)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """The database as another program leaves it that holds a write open."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def slow_refreshes(browser: Browser, seconds: float = 1) -> Iterator[None]:
    """Those sent meanwhile are done at once and answered late."""
    browser.server("/slow", seconds)
    yield
    browser.server("/slow", 0)


def remaining(page: Page) -> float:
    """Seconds."""
    return float(page.evaluate("session.remaining")) / 1000


def wait_until_refreshed(*pages: Page) -> None:
    for page in pages:
        page.wait_for_function("session.remaining > 890_000")


def wait_until_told(page: Page, *told: str | None) -> None:
    page.wait_for_function("expected => JSON.stringify(told) === JSON.stringify(expected)", arg=list(told))


def show(page: Page, visible: bool) -> None:
    """Make the page say it is seen or not; Playwright keeps every page of its browsers visible, minimized or behind."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        not visible,
    )


def code_of(page: Page, promise: str) -> str:
    """The code of the SessionUnavailable that a promise rejects with."""
    return str(page.evaluate(f"{promise}.then(() => 'resolved', ({{ name, code }}) => `${{name}} ${{code}}`)"))


# ---- who is signed in


def test_the_module_is_served_as_javascript(browser_of_nobody: Browser) -> None:
    page = browser_of_nobody.tab()
    answer = page.request.get(f"{browser_of_nobody.site.origin()}/session/static/corbado-session.js")
    assert answer.headers["content-type"].split(";")[0] == "text/javascript"


def test_starting_tells_who_is_signed_in_and_makes_no_new_short_session(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    current = page.evaluate("session.current")
    assert (current["user_id"], current["claims"]["sub"], current["expires_at"][-1]) == ("alice", "alice", "Z")
    assert page.evaluate("told") == ["alice"]
    assert browser_of_alice.refreshes() == 0


def test_nobody_is_null_and_said_to_be(browser_of_nobody: Browser) -> None:
    page = browser_of_nobody.begun()
    assert page.evaluate("[session.current, session.remaining, told]") == [None, 0, [None]]


def test_a_sign_in_by_script_is_found_by_a_refresh_and_told_to_the_other_tabs(browser_of_nobody: Browser) -> None:
    page, other = browser_of_nobody.begun(), browser_of_nobody.begun()
    browser_of_nobody.sign_in("bob")
    assert page.evaluate("session.refresh()")["user_id"] == "bob"
    wait_until_told(other, None, "bob")


def test_another_user_who_signs_in_elsewhere_takes_over_every_tab(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.sign_in("bob")
    browser_of_alice.begun()
    wait_until_told(page, "alice", "bob")


# ---- refreshing


def test_a_refresh_comes_under_a_minute_before_the_end(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.pass_time(838)
    assert 60 <= remaining(page) <= 63
    assert browser_of_alice.refreshes() == 0
    browser_of_alice.pass_time(20)
    wait_until_refreshed(page)
    assert browser_of_alice.refreshes() == 1


def test_three_tabs_refresh_once_and_all_know(browser_of_alice: Browser) -> None:
    tabs = [browser_of_alice.begun() for _ in range(3)]
    browser_of_alice.pass_time(870)
    wait_until_refreshed(*tabs)
    assert browser_of_alice.refreshes() == 1


def test_three_tabs_that_ask_at_once_are_served_by_one_refresh(browser_of_alice: Browser) -> None:
    tabs = [browser_of_alice.begun() for _ in range(3)]
    browser_of_alice.pass_time(300)
    with slow_refreshes(browser_of_alice):
        for tab in tabs:
            tab.evaluate("globalThis.asked = Promise.all([session.refresh(), session.refresh()]); 0")
        ends = [each["expires_at"] for tab in tabs for each in tab.evaluate("asked")]
    assert (browser_of_alice.refreshes(), len(set(ends))) == (1, 1)


def test_a_machine_that_slept_for_a_night_wakes_up_signed_in(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.pass_time(9 * 3600)
    wait_until_refreshed(page)
    assert None not in page.evaluate("told")


def test_a_hidden_page_lets_the_short_session_lapse_until_it_is_seen_again(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    show(page, False)
    browser_of_alice.pass_time(1000)
    page.evaluate("fetch('/page')")
    assert (browser_of_alice.refreshes(), page.evaluate("session.current.user_id")) == (0, "alice")
    show(page, True)
    wait_until_refreshed(page)


def test_coming_back_to_a_page_after_a_while_finds_the_session_revoked(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun(), browser_of_alice.tab()
    for each in (page, other):
        page.context.new_cdp_session(each).send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    browser_of_alice.server("/revoke", "alice")
    browser_of_alice.pass_time(120)
    assert page.evaluate("session.current.user_id") == "alice"
    page.bring_to_front()
    wait_until_told(page, "alice", None)


def test_a_page_out_of_the_back_forward_cache_asks_what_it_has_missed(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.server("/revoke", "alice")
    page.evaluate(
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    )  # Playwright switches it off
    page.wait_for_function("told.at(-1) === null")


# ---- trouble


def test_offline_signs_nobody_out_and_online_refreshes_at_once(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    with page.expect_console_message(lambda message: message.text.startswith("corbado-session: ")):
        browser_of_alice.context.set_offline(True)
        browser_of_alice.pass_time(1000)
    for _ in range(4):  # by then the next try of its own would come after more than the test's patience
        assert code_of(page, "session.refresh()") == "SessionUnavailable network"
    assert page.evaluate("[session.current.user_id, told]") == ["alice", ["alice"]]
    browser_of_alice.context.set_offline(False)
    wait_until_refreshed(page)


def test_a_page_begun_offline_finds_out_later(browser_of_alice: Browser) -> None:
    page = browser_of_alice.tab()
    browser_of_alice.context.set_offline(True)
    with page.expect_console_message(lambda message: message.text.startswith("corbado-session: ")):
        page.evaluate("globalThis.begun = begin(); 0")
    browser_of_alice.context.set_offline(False)
    assert page.evaluate("begun")["user_id"] == "alice"


def test_a_server_that_cannot_say_is_asked_again_until_it_can(browser_of_alice: Browser, database: Path) -> None:
    page = browser_of_alice.begun()
    with locked(database):
        browser_of_alice.pass_time(1000)
        assert code_of(page, "session.refresh()") == "SessionUnavailable session_store_unavailable"
    assert page.evaluate("[session.current.user_id, told]") == ["alice", ["alice"]]
    wait_until_refreshed(page)  # by itself, after what Retry-After asked for


def test_an_answer_that_is_no_session_signs_nobody_out(browser_of_alice: Browser) -> None:
    page = browser_of_alice.tab()
    with page.expect_console_message(lambda message: "unreadable" in message.text):
        page.evaluate("globalThis.begun = begin({ url: '/page' }); 0")  # as a captive portal's sign-in page
    assert code_of(page, "session.refresh()") == "SessionUnavailable http_404"
    assert page.evaluate("told") == []


@pytest.mark.slow
def test_a_session_host_that_hangs_holds_the_other_tabs_up_for_ten_seconds_only(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun(), browser_of_alice.begun()
    with slow_refreshes(browser_of_alice, 12), page.expect_request("**/session/refresh"):
        page.evaluate("globalThis.asked = session.refresh(); 0")
        page.wait_for_timeout(500)  # the server has begun to hang
    assert other.evaluate("session.refresh()")["user_id"] == "alice"
    assert code_of(page, "asked") == "SessionUnavailable network"


def test_a_browser_whose_clock_is_years_behind_counts_right(browser_of_alice: Browser) -> None:
    browser_of_alice.context.clock.set_system_time(datetime(2001, 1, 1, tzinfo=UTC))
    assert 895 <= remaining(browser_of_alice.begun()) <= 900


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=-1)], ids=str)
def test_a_clock_that_jumps_back_delays_no_refresh(browser_of_alice: Browser, jump: timedelta) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.context.clock.set_system_time(datetime.now(UTC) + jump)
    assert 890 <= remaining(page) <= 900
    browser_of_alice.pass_time(870)
    wait_until_refreshed(page)


def test_a_clock_that_jumps_ahead_costs_one_refresh_and_signs_nobody_out(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.context.clock.set_system_time(datetime.now(UTC) + timedelta(days=400))
    browser_of_alice.pass_time(40)  # the next look at the clock
    wait_until_refreshed(page)
    browser_of_alice.pass_time(120)
    assert 770 <= remaining(page) <= 780
    assert (browser_of_alice.refreshes(), page.evaluate("told")) == (1, ["alice", "alice"])


def test_without_locks_and_channels_each_tab_looks_after_itself(browser_of_alice: Browser) -> None:
    browser_of_alice.context.add_init_script("delete Navigator.prototype.locks; delete globalThis.BroadcastChannel")
    page, other = browser_of_alice.begun(), browser_of_alice.begun()
    browser_of_alice.pass_time(870)
    wait_until_refreshed(page, other)
    page.evaluate("session.signOut()")
    assert other.evaluate("session.refresh()") is None
    assert other.evaluate("told") == ["alice", "alice", None]


# ---- signing out


def test_signing_out_reaches_every_tab(browser_of_alice: Browser) -> None:
    page, other, third = (browser_of_alice.begun() for _ in range(3))
    page.evaluate("session.signOut()")
    for tab in (page, other, third):
        wait_until_told(tab, "alice", None)
    assert other.evaluate("fetch('/api/who').then(({ status }) => status)") == 401


def test_an_answer_that_was_under_way_signs_nobody_in_again(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun(), browser_of_alice.begun()
    with slow_refreshes(browser_of_alice):
        with other.expect_request("**/session/refresh"):
            other.evaluate("globalThis.asked = session.refresh(); 0")
        page.evaluate("session.signOut()")
        assert other.evaluate("asked") is None
    for tab in (page, other):
        tab.wait_for_function("told.at(-1) === null")
    assert page.evaluate("session.refresh()") is None


def test_signing_out_offline_fails_and_says_so(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.context.set_offline(True)
    assert code_of(page, "session.signOut()") == "SessionUnavailable network"
    assert page.evaluate("session.current.user_id") == "alice"


def test_a_sign_out_the_database_did_not_hear_of_is_said_to_be_incomplete(
    browser_of_alice: Browser, database: Path
) -> None:
    page = browser_of_alice.begun()
    with locked(database):
        assert code_of(page, "session.signOut()") == "SessionUnavailable logout_incomplete"
    assert page.evaluate("told") == ["alice", None]


def test_a_stopped_session_asks_nothing_any_more(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    page.evaluate("session.stop()")
    browser_of_alice.pass_time(1000)
    page.evaluate("dispatchEvent(new Event('focus')), fetch('/page')")
    assert browser_of_alice.refreshes() == 0


# ---- fetch, on the session's own host


def test_fetch_repeats_once_after_a_401_with_the_same_body(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.server("/clock", 1000)  # the service knows the short session to be over, the page does not
    answer = page.evaluate(f"session.fetch('/api/verify-only', {POST_ORDER}).then((answer) => answer.json())")
    assert answer == {"user_id": "alice", "body": "one order"}
    assert browser_of_alice.sent.count("POST api/verify-only") == 2


def test_fetch_repeats_no_more_than_once(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    assert page.evaluate("session.fetch('/api/never').then(({ status }) => status)") == 401
    assert (browser_of_alice.sent.count("GET api/never"), browser_of_alice.refreshes()) == (2, 1)
    assert page.evaluate("session.current.user_id") == "alice"


def test_fetches_that_fail_together_are_served_by_one_refresh(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.server("/clock", 1000)
    fetch = f"session.fetch(`/api/verify-only?after=${{after}}`, {POST_ORDER}).then(({{ status }}) => status)"
    assert page.evaluate(f"Promise.all([0, 0, 0.5].map((after) => {fetch}))") == [200] * 3
    assert browser_of_alice.refreshes() == 1


def test_a_step_up_is_the_persons_to_do_and_is_not_repeated(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    assert page.evaluate("session.fetch('/api/step-up').then(({ status }) => status)") == 401
    assert (browser_of_alice.sent.count("GET api/step-up"), browser_of_alice.refreshes()) == (1, 0)


def test_a_401_while_the_session_host_is_down_is_no_sign_out(browser_of_alice: Browser, database: Path) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.server("/clock", 1000)
    with locked(database):
        code = code_of(page, f"session.fetch('/api/verify-only', {POST_ORDER})")
    assert code == "SessionUnavailable session_store_unavailable"
    assert page.evaluate("told") == ["alice"]


# ---- on another host


def test_on_another_host_the_token_is_in_memory_and_nowhere_else(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun_on_other_host()
    in_memory = page.evaluate("session.token.split('.').length === 3")
    elsewhere = page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie, JSON.stringify(session),"
        " Reflect.ownKeys(session).length, document.documentElement.outerHTML.includes(session.token)]"
    )
    assert (in_memory, elsewhere) == (True, [0, 0, "", "{}", 0, False])
    assert page.evaluate("indexedDB.databases()") == []


def test_on_the_same_host_there_is_no_token_for_script(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    page.evaluate("session.refresh()")
    assert page.evaluate("[session.token, document.cookie]") == [None, ""]


def test_the_api_gets_the_bearer(browser_of_alice: Browser) -> None:
    page, api = browser_of_alice.begun_on_other_host(), browser_of_alice.site.origin(API)
    answer = page.evaluate(f"session.fetch('{api}/api/who', {POST_ORDER}).then((answer) => answer.json())")
    assert answer == {"user_id": "alice", "by": "bearer", "body": "one order"}


@pytest.mark.parametrize("url", ["{foreign}/seen", "{api}.evil.localhost/seen", "/seen", "{api}/api/away"])
def test_nobody_else_gets_the_bearer(browser_of_alice: Browser, url: str) -> None:
    page, origin = browser_of_alice.begun_on_other_host(), browser_of_alice.site.origin
    host, _, port = origin(API).rpartition(":")
    where = url.format(foreign=origin(FOREIGN), api=origin(API) if "away" in url else host)
    where = where.replace(".evil.localhost", f".evil.localhost:{port}")
    assert page.evaluate("url => session.fetch(url).then((answer) => answer.json())", where) == {"authorization": False}


def test_an_authorization_of_the_apps_own_is_left_alone(browser_of_alice: Browser) -> None:
    page, api = browser_of_alice.begun_on_other_host(), browser_of_alice.site.origin(API)
    options = "{ headers: { Authorization: 'Bearer mine' } }"
    assert page.evaluate(f"session.fetch('{api}/api/who', {options}).then(({{ status }}) => status)") == 401
    assert browser_of_alice.sent.count("GET api/who") == 1


@pytest.mark.parametrize("api", ["/api", "api.example.com", "api.example.com:8000"])
def test_an_api_that_names_no_origin_is_refused(browser_of_nobody: Browser, api: str) -> None:
    page = browser_of_nobody.tab()
    assert page.evaluate("api => begin({ api: [api] }).catch((error) => error.name)", api) == "TypeError"


def test_three_tabs_on_another_host_share_one_refresh(browser_of_alice: Browser) -> None:
    tabs = [browser_of_alice.begun_on_other_host() for _ in range(3)]
    before = browser_of_alice.refreshes()
    browser_of_alice.pass_time(870)
    wait_until_refreshed(*tabs)
    tokens = {tab.evaluate("session.token") is not None for tab in tabs}
    assert (browser_of_alice.refreshes() - before, tokens) == (1, {True})


def test_a_token_that_is_over_is_replaced_before_it_is_sent(browser_of_alice: Browser) -> None:
    page, api = browser_of_alice.begun_on_other_host(), browser_of_alice.site.origin(API)
    show(page, False)
    browser_of_alice.pass_time(1000)
    assert page.evaluate("session.token") is None
    assert page.evaluate(f"session.fetch('{api}/api/who').then(({{ status }}) => status)") == 200
    assert browser_of_alice.sent.count("GET api/who") == 1


def test_a_token_the_api_refuses_is_replaced_and_the_call_repeated(browser_of_alice: Browser) -> None:
    page, api = browser_of_alice.begun_on_other_host(), browser_of_alice.site.origin(API)
    browser_of_alice.server("/clock", 1000)
    answer = page.evaluate(f"session.fetch('{api}/api/who', {POST_ORDER}).then((answer) => answer.json())")
    assert (answer["user_id"], answer["body"]) == ("alice", "one order")


def test_signing_out_on_another_host_forgets_the_token_in_every_tab(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun_on_other_host(), browser_of_alice.begun_on_other_host()
    page.evaluate("session.signOut()")
    for tab in (page, other):
        tab.wait_for_function("told.at(-1) === null")
        assert tab.evaluate("session.token") is None


def test_an_origin_nobody_allowed_gets_no_session(browser_of_alice: Browser) -> None:
    page = browser_of_alice.tab(FOREIGN)
    url = f"{browser_of_alice.site.origin(AUTH)}/session"
    page.evaluate("url => { globalThis.begun = begin({ url }); }", url)
    assert code_of(page, "session.refresh()") == "SessionUnavailable network"
    assert page.evaluate("[session.current, session.token]") == [None, None]
