"""The operator pages in a real browser: sound in light, in the dark and on a phone, and all of it without script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import html5lib
import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState

from demo_site.models import DEMO_ACCOUNTS
from tests.browser.test_demo_accessibility import Watched
from tests.support.person import IPHONE, Person
from tests.support.servers import Server

OPERATOR = DEMO_ACCOUNTS[1]
PAGES = ["/", "/users", "/devices", "/sessions", "/actions", "/sessions?q=user:{user}", "/sessions?q=ip:192.0.2.99"]
ASKING = ["/revoke?user={user}", "/revoke?before=2030-01-01"]
NAME = "<b>The_telephone_of_somebody_who_likes_long_names_and_underscores</b>"


@pytest.fixture(scope="module")
def operator(browser: Browser, site: Server) -> Iterator[StorageState]:
    """The operator's jar."""
    with browser.new_context() as context:
        person = Person(context, site.origin()).sign_in(OPERATOR.email, OPERATOR.password)
        assert person.at == "/dashboard"
        yield context.storage_state()


@pytest.fixture(scope="module")
def alice(browser: Browser, site: Server) -> Iterator[tuple[Person, str]]:
    """Somebody with a telephone of a long name, and her user id."""
    with browser.new_context(user_agent=IPHONE) as context:
        person = Person(context, site.origin()).come(f"alice-{uuid4()}@example.com")
        person.devices()
        card = person.device("Safari on iPhone")
        card.get_by_text("Rename").click()
        card.get_by_role("textbox").fill(NAME)
        person.press("Save", within=card)
        answer: Any = context.request.get(site.origin() + "/session").json()
        yield person, answer["user_id"]


@pytest.mark.parametrize("path", PAGES + ASKING)
def test_a_page_is_sound(
    new_context: Any, site: Server, operator: StorageState, alice: tuple[Person, str], path: str
) -> None:
    watched = Watched(new_context(storage_state=operator), site.origin())
    response = watched.open("/operator" + path.format(user=alice[1]))
    html5lib.HTMLParser(strict=True).parse(response.text())
    assert response.status == 200
    watched.open_all()
    assert watched.findings() == []
    assert (watched.complaints, len(watched.hosts)) == ([], 1)


def test_an_invalid_search_is_sound(new_context: Any, site: Server, operator: StorageState) -> None:
    watched = Watched(new_context(storage_state=operator), site.origin())
    assert watched.open("/operator/sessions?q=colour:red").status == 400
    assert watched.findings() == []


@pytest.fixture
def without_script(browser: Browser, site: Server, operator: StorageState) -> Iterator[BrowserContext]:
    """The operator's browser, which runs no script."""
    with browser.new_context(storage_state=operator, java_script_enabled=False) as context:
        yield context


def test_an_operator_finds_a_user_and_revokes_a_session_without_script(
    without_script: BrowserContext, site: Server, browser: Browser
) -> None:
    with browser.new_context() as context:
        bob = Person(context, site.origin()).come(f"bob-{uuid4()}@example.com")
        user_id = context.request.get(site.origin() + "/session").json()["user_id"]
        operator = Person(without_script, site.origin())
        operator.open("/operator/sessions")
        operator.page.get_by_label("Search sessions").fill(f"user:{user_id} status:live")
        operator.press("Search")
        operator.page.get_by_role("link", name="Revoke…").click()
        operator.press("Revoke session")
        assert "1 session revoked" in operator.page.get_by_role("status").inner_text()
        assert operator.at.startswith("/operator/sessions?q=user")
        bob.lose_short_session()
        assert not bob.reaches()


def test_an_operator_signs_out_everyone_before_a_time_without_script(
    without_script: BrowserContext, site: Server, alice: tuple[Person, str]
) -> None:
    operator = Person(without_script, site.origin())
    operator.pass_time(1)  # what was signed in this very millisecond is not before it
    operator.open("/operator/")
    operator.page.get_by_label("Time in UTC").fill("2030-01-01T00:00")
    operator.press("Continue")
    operator.press("Revoke sessions")
    assert operator.reaches("/operator/actions")
    assert "everyone who signed in before" in operator.page.get_by_role("main").inner_text()
    alice[0].lose_short_session()
    assert not alice[0].reaches()
