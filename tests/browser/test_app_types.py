"""The other three types of app in a real browser, against the three processes of the whole demo."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Request, expect

from demo_site.addresses import Addresses
from tests.support.demo import Secret, running
from tests.support.person import Person

MEMBER = "#signed-in:not([hidden])"
NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Addresses]:
    with running(tmp_path_factory.mktemp("whole") / "instance") as addresses:
        yield addresses


@pytest.fixture
def stranger(context: BrowserContext, demo: Addresses) -> Person:
    """Nobody signed in with this browser; it stands before the session host."""
    return Person(context, demo.auth)


@pytest.fixture
def ada(stranger: Person) -> Person:
    """Signed in at the session host."""
    return stranger.sign_up(new_email())


@pytest.fixture
def requests(context: BrowserContext) -> list[Request]:
    """All that the browser sent."""
    sent: list[Request] = []
    context.on("request", lambda request: sent.append(request))
    return sent


def new_email() -> str:
    return f"ada-{uuid4()}@example.com"


def sent_to(origin: str, requests: list[Request]) -> list[str]:
    """The calls of scripts to an origin, preflights left out."""
    calls = [each for each in requests if each.resource_type == "fetch" and each.url.startswith(f"{origin}/")]
    return [f"{each.method} {each.url.removeprefix(origin)}" for each in calls if each.method != "OPTIONS"]


def axe_findings(page: Page) -> list[str]:
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in Axe().run(page).response["violations"]]


# ---- same host


def open_notes(person: Person) -> Page:
    person.open("/spa")
    person.page.locator("#add").wait_for()
    return person.page


def add_note(page: Page, text: str) -> None:
    page.get_by_label("New note").fill(text)
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name=text).wait_for()


def test_the_same_host_app_says_who_is_there_and_until_when(ada: Person) -> None:
    page = open_notes(ada)
    assert page.locator("#user").inner_text().startswith("ada-")
    expect(page.locator("#left")).to_have_text(re.compile("^14 min"))


def test_the_same_host_app_goes_on_after_the_short_session_is_over(ada: Person, requests: list[Request]) -> None:
    page = open_notes(ada)
    requests.clear()
    ada.lose_short_session()
    add_note(page, "Buy bread")
    assert "short_session" in ada.cookies()
    ada.lose_short_session()
    page.get_by_role("checkbox", name="Buy bread").check()
    page.locator("#calls li").nth(1).filter(has_text="PUT").wait_for()
    calls = [call.rstrip("0123456789") for call in sent_to(ada.origin, requests)]  # each once, and none to renew with
    assert calls == ["POST /spa/api/notes", "GET /session", "PUT /spa/api/notes/", "GET /session"]
    page = open_notes(ada)
    assert page.get_by_role("checkbox", name="Buy bread").is_checked()
    page.get_by_role("button", name="Remove Buy bread").click()
    page.get_by_role("checkbox").wait_for(state="detached")


def test_the_same_host_app_has_no_session_code_and_no_token(ada: Person) -> None:
    page = open_notes(ada)
    script = page.evaluate("fetch('/static/spa.js').then((answer) => answer.text())")
    assert not any(word in script for word in ("refresh", "Bearer", "Authorization", "document.cookie"))
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]


def test_when_the_session_is_ended_elsewhere_the_same_host_app_offers_the_way_back(ada: Person) -> None:
    page, email = open_notes(ada), open_notes(ada).locator("#user").inner_text()
    elsewhere = Person(ada.context, ada.origin)
    elsewhere.open("/dashboard")
    elsewhere.press("Sign out")
    page.get_by_label("New note").fill("too late")
    page.keyboard.press("Enter")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    ada.sign_in(email)
    page.locator("#add").wait_for()
    assert ada.at == "/spa"


def test_the_same_host_app_says_that_the_site_does_not_answer_and_keeps_the_text(ada: Person) -> None:
    page = open_notes(ada)
    ada.context.set_offline(True)
    page.get_by_label("New note").fill("Buy bread")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("The site is not responding.").wait_for()
    ada.context.set_offline(False)
    expect(page.get_by_label("New note")).to_have_value("Buy bread")


# ---- other host


def sign_in_from_the_app(person: Person, demo: Addresses, email: str) -> Page:
    """Begin on the other host, and be led there and back."""
    page = person.page
    page.goto(f"{demo.app}/")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: url.startswith(f"{demo.auth}/sign-in"))
    person.sign_in(email)
    page.locator(MEMBER).wait_for()
    return page


def order(page: Page, item: str) -> None:
    with page.expect_response(lambda answer: answer.url.endswith("/orders") and answer.request.method == "POST"):
        page.get_by_role("button", name=item).click()


def open_app(person: Person, demo: Addresses) -> Page:
    person.page.goto(f"{demo.app}/")
    person.page.locator(MEMBER).wait_for()
    return person.page


def token_of(page: Page) -> Secret:
    """The token as it goes to the orders service; there is no other way to it."""
    with page.expect_request(lambda request: request.url.endswith("/orders") and request.method == "POST") as sent:
        page.get_by_role("button", name="Tea").click()
    return Secret(sent.value.all_headers()["authorization"].removeprefix("Bearer "))


def status_at_the_service(demo: Addresses, token: Secret) -> int:
    """What the orders service, asked without a browser, says to this token."""
    with closing(HTTPConnection("127.0.0.1", demo.port + 2, timeout=10)) as connection:
        connection.request("GET", "/orders", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status


def test_the_other_host_signs_in_by_the_session_host_and_is_back(
    context: BrowserContext, demo: Addresses, requests: list[Request]
) -> None:
    email = new_email()
    person = Person(context, demo.auth).sign_up(email)
    person.press("Sign out")
    requests.clear()
    page = sign_in_from_the_app(person, demo, email)
    assert page.url == f"{demo.app}/"
    assert page.locator("#user").inner_text() == email
    order(page, "Coffee")
    order(page, "Cake")
    assert page.locator("#orders li").all_inner_texts() == ["A piece of cake", "Coffee"]
    assert set(sent_to(demo.orders, requests)) == {"GET /orders", "POST /orders"}
    assert sent_to(demo.auth, requests) == ["POST /session/refresh"] * 2


def test_the_service_gets_the_bearer_and_no_cookie(ada: Person, demo: Addresses, requests: list[Request]) -> None:
    order(open_app(ada, demo), "Tea")
    to_others = [each for each in requests if each.url.startswith((demo.app, demo.orders))]
    assert any("authorization" in each.all_headers() for each in to_others)
    assert not any("cookie" in each.all_headers() for each in to_others)


def test_the_token_is_in_no_storage_and_not_in_the_page(ada: Person, demo: Addresses) -> None:
    page = open_app(ada, demo)
    token = token_of(page)
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.evaluate("indexedDB.databases()") == []
    places = [page.content(), json.dumps(page.evaluate("Object.entries(globalThis).map(String)"))]
    assert [token in place for place in places] == [False, False]
    assert page.locator("#memory").inner_text() == f"a token of {len(token)} characters"


def test_a_reload_gets_a_new_token_from_the_session_host(ada: Person, demo: Addresses) -> None:
    before = token_of(open_app(ada, demo))
    assert token_of(open_app(ada, demo)) != before


def test_a_revoked_device_is_out_of_the_service_within_two_seconds(
    ada: Person, demo: Addresses, new_context: NewContext
) -> None:
    page = open_app(ada, demo)
    email, token = page.locator("#user").inner_text(), token_of(page)
    assert status_at_the_service(demo, token) == 200
    phone = Person(new_context(), demo.auth).sign_in(email)
    revoke = "fetch('/session/revoke-others', { method: 'POST' }).then(({ status }) => status)"
    assert phone.page.evaluate(revoke) == 204
    revoked_at = served_at = time.monotonic()
    while status_at_the_service(demo, token) == 200:
        assert served_at - revoked_at < 2
        served_at = time.monotonic()
    page.get_by_role("button", name="Coffee").click()
    page.get_by_text("You are not signed in.").wait_for()
    assert page.locator("#orders li").count() == 0


def test_signing_out_on_the_other_host_ends_the_session_in_every_tab(ada: Person, demo: Addresses) -> None:
    page, second = open_app(ada, demo), ada.context.new_page()
    second.goto(f"{demo.app}/")
    second.locator(MEMBER).wait_for()
    page.get_by_role("button", name="Sign out").click()
    for tab in (page, second):
        tab.get_by_text("You are not signed in.").wait_for()
        assert tab.locator("#memory").inner_text() == "nothing"
    page.reload()
    page.get_by_text("You are not signed in.").wait_for()
    assert not ada.reaches("/dashboard")


HOLD_THE_ANSWER = """
const real = fetch;
globalThis.held = new Promise((hold) => {
  globalThis.fetch = async (...asked) => {
    const answer = await real(...asked);
    if (asked[0].method === "GET") await new Promise((letGo) => hold({ letGo }));
    return answer;
  };
});
"""


def test_an_answer_that_was_overtaken_takes_no_order_back(ada: Person, demo: Addresses) -> None:
    ada.context.add_init_script(HOLD_THE_ANSWER)
    page = open_app(ada, demo)
    page.evaluate("held.then(() => 0)")
    order(page, "Coffee")
    page.locator("#orders li").wait_for()
    page.evaluate("held.then(({ letGo }) => letGo()).then(() => new Promise((done) => setTimeout(done, 100)))")
    assert page.locator("#orders li").all_inner_texts() == ["Coffee"]


def test_with_the_session_host_away_the_app_says_so_and_signs_nobody_out(ada: Person, demo: Addresses) -> None:
    page = open_app(ada, demo)
    ada.context.set_offline(True)
    page.get_by_role("button", name="Coffee").click()
    page.get_by_role("alert").get_by_text("The orders service is not responding.").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("alert").get_by_text("You are still signed in").wait_for()
    ada.context.set_offline(False)
    order(page, "Coffee")
    assert page.locator("#orders li").all_inner_texts() == ["Coffee"]


@pytest.mark.parametrize("host", ["foreign.localhost", "evil.demo.localhost", "localhost"])
def test_a_page_of_a_foreign_origin_gets_nothing(ada: Person, demo: Addresses, host: str) -> None:
    token, page = token_of(open_app(ada, demo)), ada.page
    page.goto(f"http://{host}:{demo.port + 1}/")
    page.get_by_role("alert").get_by_text("The session host is not responding yet.").wait_for()
    assert "token" not in page.locator("#memory").inner_text()
    for path in ("", "/refresh", "/logout"):
        tried = "url => fetch(url, { method: 'POST', credentials: 'include' }).catch(({ name }) => name)"
        assert page.evaluate(tried, f"{demo.auth}/session{path}") == "TypeError"
    with_token = "([url, token]) => fetch(url, { headers: { Authorization: 'Bearer ' + token } }).catch((e) => e.name)"
    assert page.evaluate(with_token, [f"{demo.orders}/orders", token]) == "TypeError"
    assert open_app(ada, demo).locator("#user").inner_text().startswith("ada-")  # nobody was signed out by it


# ---- the service, and a cookie shared by all


def test_the_service_alone_shows_a_page_and_takes_no_cookie(ada: Person, demo: Addresses) -> None:
    ada.page.goto(f"{demo.orders}/")
    ada.page.get_by_role("heading", name="Orders service").wait_for()
    with ada.page.expect_navigation() as navigation:
        ada.page.get_by_role("link", name="Error 401").click()
    assert navigation.value.status == 401


def test_a_shared_parent_domain_brings_the_cookie_to_the_other_hosts(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = {"COOKIE_DOMAIN": "demo.localhost", "LOGIN_VIEW": "auth.sign_in"}
    env = {f"FLASK_CORBADO_SESSION_{name}": value for name, value in shared.items()}
    with running(tmp_path_factory.mktemp("shared") / "instance", env) as demo:
        person = Person(context, demo.auth).sign_up(new_email())
        for origin in (demo.app, demo.orders):
            assert "cbo_short_session" in {cookie["name"] for cookie in context.cookies(origin)}
        answer = person.page.goto(f"{demo.orders}/orders")
        assert answer is not None
        assert answer.json()["email"].startswith("ada-")
        person.lose_short_session()  # which a service that only verifies can't mend
        answer = person.page.goto(f"{demo.orders}/orders")
        assert answer is not None
        assert answer.status == 401
        context.close()


# ---- for everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(ada: Person, demo: Addresses, scheme: Any) -> None:
    page = ada.page
    page.emulate_media(color_scheme=scheme)
    add_note(open_notes(ada), "Buy bread")
    page.get_by_role("checkbox", name="Buy bread").check()
    findings = axe_findings(page)
    order(open_app(ada, demo), "Cake")
    findings += axe_findings(page)
    for address in (f"{demo.auth}/app-types", f"{demo.orders}/", f"{demo.orders}/orders"):
        page.goto(address)
        findings += axe_findings(page)
    ada.context.clear_cookies()
    for address in (f"{demo.auth}/spa", f"{demo.app}/"):
        page.goto(address)
        page.get_by_text("You are not signed in.").wait_for()
        findings += axe_findings(page)
    assert findings == []


@pytest.mark.parametrize("width", [320, 390])
def test_no_page_is_wider_than_a_phone(ada: Person, demo: Addresses, width: int) -> None:
    page = ada.page
    page.set_viewport_size({"width": width, "height": 800})
    add_note(open_notes(ada), "W" * 150)
    open_app(ada, demo)
    for address in (f"{demo.auth}/spa", f"{demo.auth}/app-types", f"{demo.app}/", f"{demo.orders}/"):
        page.goto(address, wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
