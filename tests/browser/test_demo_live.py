"""The live feed ends before one's eyes when another browser signs this one out, by way of another process."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.support.person import IPHONE, Person
from tests.support.servers import Server
from tests.support.stopwatch import Stopwatch

PATIENCE = 3.0
"""Seconds: one by the promise, half a one until the browser asks again, and the rest for a busy machine."""


@pytest.fixture
def watching(new_context: CreateContextCallback, workers: tuple[Server, Server], email: str) -> Person:
    """Somebody on their telephone, in front of the feed."""
    person = Person(new_context(user_agent=IPHONE), workers[0].origin()).come(email)
    person.page.get_by_role("link", name="Live feed").click()
    expect(person.page.get_by_role("status")).to_have_text("Connected")
    expect(person.page.get_by_label("Latest events").locator("li").nth(1)).to_be_visible()
    return person


def test_the_feed_ends_when_another_browser_signs_this_one_out(
    new_context: CreateContextCallback, workers: tuple[Server, Server], watching: Person, email: str
) -> None:
    laptop = Person(new_context(), workers[1].origin()).come(email, "/sign-in")
    laptop.devices()
    laptop.end("Sign out Safari on iPhone")
    since = Stopwatch()
    expect(watching.page.get_by_role("status")).to_have_text(
        "The feed has ended. This browser was signed out from another device."
    )
    assert since.seconds < PATIENCE
    events = watching.page.get_by_label("Events so far").inner_text()
    time.sleep(1.2)
    assert watching.page.get_by_label("Events so far").inner_text() == events
    with watching.page.expect_navigation():
        watching.page.get_by_role("button", name="Sign in again").click()
    watching.sign_in(email)
    assert watching.at == "/live"


def test_the_feed_ends_when_another_tab_signs_out(watching: Person) -> None:
    tab = watching.context.new_page()
    tab.goto(f"{watching.origin}/dashboard")
    tab.get_by_role("button", name="Sign out").click()
    expect(watching.page.get_by_role("status")).to_contain_text("The feed has ended.")


def test_the_feed_goes_on_when_its_short_session_is_lost(watching: Person) -> None:
    watching.lose_short_session()
    before = int(watching.page.get_by_label("Events so far").inner_text())
    expect(watching.page.get_by_label("Events so far")).to_have_text(str(before + 2))
