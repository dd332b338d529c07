"""The way of a person through the demo site, in a browser that runs no script unless the test says so."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, BrowserType, Response
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.support.person import IPHONE, PASSWORD, Person, served_by_one_request, tab_to
from tests.support.servers import Server

QUARTER = 15 * 60
"""Seconds a short session lasts, without settings."""
KEEPS_NO_PAGES = "--disable-back-forward-cache"
NO_QUERY = "No database query: the short session was enough."


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    with_script = request.node.get_closest_marker("browser_context_args") is not None
    return browser_context_args if with_script else {**browser_context_args, "java_script_enabled": False}


@pytest.fixture
def stranger(context: BrowserContext, site: Server) -> Person:
    return Person(context, site.origin())


@pytest.fixture
def ada(stranger: Person) -> Person:
    """Signed in, on her dashboard."""
    return stranger.come(f"ada-{uuid4()}@example.com")


# ---- in


def test_the_prepared_user_signs_in_from_the_home_page(stranger: Person) -> None:
    stranger.open("/")
    stranger.page.get_by_role("main").get_by_role("button", name="Sign in").click()
    stranger.sign_in("demo@example.com", "correct horse battery")
    assert stranger.at == "/dashboard"
    assert stranger.sees("demo@example.com")


def test_whoever_asks_for_a_page_signs_in_and_is_on_it(stranger: Person) -> None:
    stranger.open("/account")
    assert stranger.at == "/sign-in?next=/account"
    stranger.sign_in("demo@example.com", "correct horse battery")
    assert stranger.at == "/account"


def test_signing_up_signs_in_and_the_password_works_later(stranger: Person) -> None:
    email = f"new-{uuid4()}@example.com"
    stranger.sign_up(email)
    assert (stranger.at, stranger.sees(email)) == ("/dashboard", True)
    assert stranger.page.get_by_role("heading", level=1).inner_text() == "Welcome"
    stranger.press("Sign out")
    stranger.sign_in(email)
    assert (stranger.at, stranger.sees("Welcome back")) == ("/dashboard", True)


def test_a_wrong_password_is_said_and_the_address_kept(stranger: Person) -> None:
    stranger.sign_in("demo@example.com", "not her password", remember=False)
    assert stranger.page.get_by_role("alert").inner_text().strip() == "Email or password is wrong."
    assert stranger.page.get_by_label("Email").input_value() == "demo@example.com"
    assert stranger.page.get_by_label("Password").input_value() == ""
    assert not stranger.page.get_by_label("Stay signed in").is_checked()
    assert not stranger.cookies()


def test_a_taken_address_is_said_at_its_field(stranger: Person) -> None:
    stranger.sign_up("demo@example.com")
    field = stranger.page.get_by_label("Email")
    assert field.get_attribute("aria-invalid") == "true"
    described_by = stranger.page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert described_by.inner_text() == "There is already an account with this address."


def test_the_browser_itself_holds_back_what_will_not_do(stranger: Person) -> None:
    stranger.open("/sign-up")
    stranger.page.get_by_label("Email").fill("no address")
    stranger.page.get_by_label("Password").fill("short")
    sent: list[str] = []
    stranger.page.on("request", lambda request: sent.append(request.method))
    stranger.page.get_by_role("button", name="Create account").click()
    assert stranger.page.locator(":invalid:not(form)").count() == 2
    assert sent == []


# ---- served, and refreshed


def test_the_short_session_answers_without_the_database(ada: Person) -> None:
    ada.open("/dashboard")
    assert ada.sees(NO_QUERY)
    ada.open("/account")
    assert ada.facts()["This request, to identify you"] == "no queries"
    assert ada.facts()["Previous request, GET /dashboard"] == "no queries"


def test_a_short_session_that_ran_out_is_replaced_in_the_request_that_came(ada: Person) -> None:
    before = ada.cookies()
    ada.pass_time(QUARTER)
    assert served_by_one_request(ada.open("/account"))
    after = ada.cookies()
    assert {name for name in after if before[name].print != after[name].print} == {"short_session", "long_session"}
    assert ada.facts()["This request, to identify you"] == "2 queries"
    rotation, user = ada.page.locator(".queries li").all_text_contents()[:2]
    assert rotation.startswith("UPDATE corbado_session SET")
    assert user.startswith("SELECT … FROM demo_user ")
    ada.open("/")  # which asks for the sessions ended meanwhile
    ada.open("/dashboard")
    assert (ada.sees(NO_QUERY), ada.cookies() == after) == (True, True)


def test_a_short_session_the_browser_forgot_is_replaced_too(ada: Person) -> None:
    long = ada.cookies()["long_session"]
    ada.lose_short_session()
    assert served_by_one_request(ada.open("/account"))
    assert ada.cookies()["long_session"] == long  # used a moment ago, it needs no successor
    assert "short_session" in ada.cookies()


def test_a_form_sent_when_the_short_session_ran_out_does_what_it_says(ada: Person) -> None:
    ada.open("/session/devices")
    ada.page.get_by_text("Rename").click()
    ada.page.get_by_role("textbox").fill("Kitchen & café 🍳")
    before = ada.cookies()["short_session"]
    ada.pass_time(QUARTER)
    sent: list[str] = []
    ada.page.on("request", lambda request: sent.append(request.method))
    ada.press("Save")
    assert ada.page.locator(".corbado-card h2").inner_text().startswith("Kitchen & café 🍳")
    assert sent[:2] == ["POST", "GET"]  # the form, and the page a form always leads to
    assert ada.cookies()["short_session"].print != before.print


def test_a_new_password_sent_when_the_short_session_ran_out_is_the_password(ada: Person) -> None:
    ada.open("/account")
    email = ada.facts()["App claim email"]
    ada.open("/account/password")
    ada.page.get_by_label("Current password").fill(PASSWORD)
    ada.page.get_by_label("New password").fill("quite another one")
    ada.lose_short_session()
    ada.press("Change password")
    assert ada.page.get_by_role("status").inner_text().strip() == "Your password has been changed."
    ada.press("Sign out")
    ada.sign_in(email, "quite another one")
    assert ada.at == "/dashboard"


@pytest.mark.parametrize(("remember", "lasts"), [(True, 29 * 86400), (False, None)])
def test_remember_decides_whether_cookies_outlive_the_browser_and_refreshes_keep_to_it(
    stranger: Person, remember: bool, lasts: int | None
) -> None:
    stranger.sign_up(f"r-{uuid4()}@example.com", remember)
    for _ in range(2):
        short, long = (stranger.cookies()[name].expires for name in ("short_session", "long_session"))
        if lasts is None:
            assert (short, long) == (-1, -1)
        else:
            assert 0 < short - time.time() <= QUARTER + 1
            assert lasts < long - time.time()
        stranger.pass_time(QUARTER)
        stranger.open("/dashboard")
    assert stranger.cookies()["device"].expires > time.time() + 399 * 86400


@pytest.mark.browser_context_args(java_script_enabled=True)
def test_script_reads_none_of_the_cookies(ada: Person) -> None:
    assert len(ada.cookies()) == 3
    assert ada.page.evaluate("document.cookie") == ""


@pytest.mark.browser_context_args(java_script_enabled=True)
def test_six_tabs_that_reload_at_once_all_stay_signed_in(ada: Person) -> None:
    """Each sends the same cookies, and takes what the others' answers wrote."""
    tabs = [ada.page, *(ada.context.new_page() for _ in range(5))]
    for tab in tabs:
        tab.goto(f"{ada.origin}/dashboard")
    for lost in (True, False):
        ada.pass_time(QUARTER)
        if lost:
            ada.lose_short_session()
        with ExitStack() as all_of_them:
            loads = [all_of_them.enter_context(tab.expect_navigation()) for tab in tabs]
            for tab in tabs:
                tab.evaluate("setTimeout(() => location.reload())")
        assert [served_by_one_request(_answer(load.value)) for load in loads] == [True] * 6
    assert ada.devices() == [f"{_title(ada)} This device"]
    assert ada.page.locator(".corbado-history").count() == 0


def _answer(response: Response | None) -> Response:
    assert response is not None
    return response


def _title(person: Person) -> str:
    return person.page.locator(".corbado-card h2").inner_text().removesuffix("This device").strip()


# ---- out


def test_signing_out_leads_home_and_takes_the_session_along(ada: Person) -> None:
    ada.press("Sign out")
    assert ada.at == "/?message=signed-out"
    assert ada.page.get_by_role("status").inner_text().strip() == "You are signed out."
    assert list(ada.cookies()) == ["device"]
    assert not ada.reaches("/dashboard")


def test_going_back_after_signing_out_shows_nothing_protected(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any], site: Server
) -> None:
    """People's browsers keep whole pages to go back to, ``no-store`` or not; Playwright's do when told. Chromium did
    with the first page after a sign-in, three times out of four."""
    with browser_type.launch(**browser_type_launch_args, ignore_default_args=[KEEPS_NO_PAGES]) as browser:
        for path, part in [("/account", "header.bar"), ("/session/devices", "main")]:
            person = Person(browser.new_context(), site.origin())
            person.open("/nowhere")
            person.sign_up(f"back-{uuid4()}@example.com")
            person.open(path)
            person.press("Sign out", within=person.page.locator(part))
            shown = [person.go_back() for _ in range(4)]
            assert shown == [f"/sign-in?next={path}", "/sign-in?next=/dashboard", "/sign-up", "/nowhere"]


# ---- by keyboard


def test_signing_in_and_ending_a_session_need_no_mouse(
    stranger: Person, new_context: CreateContextCallback, site: Server
) -> None:
    email = f"keys-{uuid4()}@example.com"
    phone = Person(new_context(user_agent=IPHONE), site.origin()).come(email)
    page, keys = stranger.page, stranger.page.keyboard
    stranger.open("/sign-in")
    tab_to(page, page.get_by_label("Email"))
    keys.type(email)
    tab_to(page, page.get_by_label("Password"), limit=1)
    keys.type(PASSWORD)
    with page.expect_navigation():
        keys.press("Enter")
    assert stranger.at == "/dashboard"
    tab_to(page, page.get_by_role("navigation").get_by_role("link", name="Devices"))
    with page.expect_navigation():
        keys.press("Enter")
    card = stranger.device("Safari on iPhone")
    tab_to(page, card.locator("summary", has_text="Sign out Safari on iPhone"))
    keys.press("Enter")
    tab_to(page, card.get_by_role("button", name="Sign out Safari on iPhone"), limit=1)
    with page.expect_navigation():
        keys.press("Enter")
    assert card.count() == 0
    assert not phone.reaches("/dashboard")


def test_the_first_tab_stop_leads_past_the_navigation(ada: Person) -> None:
    ada.open("/account")
    tab_to(ada.page, ada.page.get_by_role("link", name="Skip to main content"), limit=1)
    ada.page.keyboard.press("Enter")
    tab_to(ada.page, ada.page.get_by_role("main").locator("summary, a").first, limit=1)
