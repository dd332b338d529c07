"""The ``fetch`` of corbado-session.js, and the token it holds on another host: who gets it, and who never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.script_browser import API, AUTH, FOREIGN, Browser, code_of, locked, show, wait_until_refreshed

POST_ORDER = "{ method: 'POST', body: 'one order' }"


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


def test_a_401_while_the_session_host_is_down_is_no_sign_out(browser_of_alice: Browser, script_database: Path) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.server("/clock", 1000)
    with locked(script_database):
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
