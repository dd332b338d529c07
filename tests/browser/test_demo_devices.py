"""Devices and their revocation, between browsers, in real time. Two processes serve the site on one database, as
workers of one server do: what one of them revokes, the other knows within a second."""

from __future__ import annotations

import re
import time

import pytest
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.support.person import IPHONE, PASSWORD, Person, served_by_one_request
from tests.support.servers import Server

LAPTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
PATIENCE = 2.0
"""Seconds during which a revoked session may be served: one by the promise, one for a busy machine."""


@pytest.fixture
def laptop(new_context: CreateContextCallback, workers: tuple[Server, Server], email: str) -> Person:
    """Signed in, without script."""
    context = new_context(user_agent=LAPTOP, java_script_enabled=False)
    return Person(context, workers[0].origin()).come(email)


@pytest.fixture
def phone(new_context: CreateContextCallback, workers: tuple[Server, Server], laptop: Person, email: str) -> Person:
    """The same person's, signed in and on the dashboard by way of the other process."""
    context = new_context(user_agent=IPHONE, java_script_enabled=False, viewport={"width": 390, "height": 844})
    return Person(context, workers[1].origin()).come(email, "/sign-in")


def seconds_until_out(person: Person) -> float:
    """When a browser that asks again and again had to ask, not to be served any more."""
    began = time.monotonic()
    while True:
        asked_after = time.monotonic() - began
        if not person.reaches("/dashboard"):
            return asked_after
        assert asked_after < PATIENCE, "it is served on"


def test_both_devices_stand_there_by_name_and_this_one_is_marked(laptop: Person, phone: Person) -> None:
    assert sorted(laptop.devices()) == ["Chrome on Linux This device", "Safari on iPhone"]
    assert sorted(phone.devices()) == ["Chrome on Linux", "Safari on iPhone This device"]
    about = " ".join(laptop.device("Safari on iPhone").inner_text().split())
    assert re.search(r"127\.0\.0\.1 · last seen .+ · first seen ", about)


def test_before_anything_ends_the_page_asks(laptop: Person, phone: Person) -> None:
    laptop.devices()
    card, question = laptop.device("Safari on iPhone"), "This ends every session on Safari on iPhone."
    seen = [card.get_by_text(question).is_visible()]
    for word in ("Sign out", "Cancel"):
        card.locator(".corbado-confirm > summary", has_text=word).first.click()
        seen.append(card.get_by_text(question).is_visible())
    assert seen == [False, True, False]
    assert phone.reaches("/dashboard")


def test_a_revoked_device_is_out_within_a_second_in_the_other_process(laptop: Person, phone: Person) -> None:
    laptop.devices()
    laptop.end("Sign out Safari on iPhone")
    assert seconds_until_out(phone) <= PATIENCE
    assert phone.at == "/sign-in?next=/dashboard"
    assert laptop.devices() == ["Chrome on Linux This device"]
    ended = " ".join((laptop.page.locator(".corbado-history li").text_content() or "").split())
    assert ended.startswith(
        "Signed out from another device, just now Safari on iPhone · signed in just now with password"
    )


def test_a_revoked_browser_keeps_its_cookies_and_may_sign_in_again(laptop: Person, phone: Person, email: str) -> None:
    """An answer that only says no deletes nothing; the device is known again by its cookie."""
    phone.devices()
    card = phone.page.locator("[aria-labelledby^=device-].corbado-current").get_attribute("aria-labelledby")
    laptop.devices()
    laptop.end("Sign out Safari on iPhone")
    before = phone.cookies()
    seconds_until_out(phone)
    assert phone.cookies() == before
    phone.sign_in(email)
    phone.devices()
    assert phone.page.locator(".corbado-current").get_attribute("aria-labelledby") == card


def test_signing_out_everywhere_else_leaves_this_browser_in(laptop: Person, phone: Person) -> None:
    phone.devices()
    phone.end("Sign out everywhere else")
    assert seconds_until_out(laptop) <= PATIENCE
    assert phone.devices() == ["Safari on iPhone This device"]
    assert phone.page.get_by_text("Sign out everywhere else").count() == 0


def test_a_new_password_signs_out_everywhere_else(laptop: Person, phone: Person) -> None:
    laptop.open("/account/password")
    laptop.page.get_by_label("Current password").fill(PASSWORD)
    laptop.page.get_by_label("New password").fill("quite another one")
    laptop.press("Change password")
    assert seconds_until_out(phone) <= PATIENCE
    assert laptop.reaches("/dashboard")


def test_a_device_takes_the_name_its_owner_gives_it(laptop: Person, phone: Person) -> None:
    laptop.devices()
    card = laptop.device("Safari on iPhone")
    card.get_by_text("Rename").click()
    card.get_by_role("textbox", name="Name of Safari on iPhone").fill("<b>Grace's</b> phone")
    laptop.press("Save", within=card)
    assert sorted(phone.devices()) == ["<b>Grace's</b> phone This device", "Chrome on Linux"]


def test_one_of_two_sessions_on_a_device_ends_alone(laptop: Person, phone: Person, email: str) -> None:
    phone.context.clear_cookies(name=re.compile("_session$"))
    phone.sign_in(email)
    laptop.devices()
    assert laptop.device("Safari on iPhone").get_by_text("2 sessions").is_visible()
    laptop.end("Sign out of this session on Safari on iPhone", which=1)  # the older one
    assert laptop.device("Safari on iPhone").get_by_text("1 session").is_visible()
    assert phone.reaches("/dashboard")


def test_signing_out_on_the_devices_page_ends_this_session(laptop: Person, phone: Person) -> None:
    laptop.devices()
    laptop.press("Sign out", within=laptop.device("Chrome on Linux"))
    assert laptop.at == "/"
    assert list(laptop.cookies()) == ["device"]
    assert phone.devices() == ["Safari on iPhone This device"]


def test_either_process_refreshes_what_the_other_started(phone: Person, workers: tuple[Server, Server]) -> None:
    for worker in (*workers, *workers):
        phone.origin = worker.origin()
        phone.lose_short_session()
        assert served_by_one_request(phone.open("/dashboard"))
