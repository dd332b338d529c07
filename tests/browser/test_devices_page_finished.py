"""Devices, notices and step-up as people meet them: in a browser that runs no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import BrowserContext, Locator, Route
from pytest_playwright.pytest_playwright import CreateContextCallback

from flask_corbado_session.testing import copy_jar, expire_short, move_clock, signed_in
from tests.browser.test_demo_accessibility import Watched
from tests.support.apps import make_app
from tests.support.person import IPHONE, PASSWORD, Person, tab_to
from tests.support.servers import Server

MINUTE = 60
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Safari/605.1.15"
)


@pytest.fixture
def email() -> str:
    return f"joan-{uuid4()}@example.com"


@pytest.fixture
def laptop(new_context: CreateContextCallback, site: Server, email: str) -> Person:
    """Signed up, without script."""
    return Person(new_context(user_agent=MAC, java_script_enabled=False), site.origin()).come(email)


@pytest.fixture
def phone(new_context: CreateContextCallback, site: Server, laptop: Person, email: str) -> Person:
    """The same person's, signed in after it."""
    return Person(new_context(user_agent=IPHONE, java_script_enabled=False), site.origin()).come(email, "/sign-in")


def notices(person: Person) -> Locator:
    """The notices on the dashboard, loaded anew a second later."""
    person.pass_time(1)
    person.open("/dashboard")
    return person.page.locator(".notice")


# ---- a question before anything ends


@pytest.mark.usefixtures("phone")
def test_a_question_is_asked_taken_back_and_answered(laptop: Person) -> None:
    laptop.devices()
    card = laptop.device("Safari on iPhone")
    asked = card.locator(".corbado-confirm").first
    button = asked.get_by_role("button", name="Sign out Safari on iPhone")
    assert not button.is_visible()
    asked.locator("summary").click()
    assert card.get_by_text("This ends every session on Safari on iPhone.").is_visible()
    assert button.is_visible()
    assert asked.locator("summary").inner_text() == "Cancel"
    asked.locator("summary").click()
    assert not button.is_visible()


@pytest.mark.usefixtures("phone")
def test_one_question_is_open_at_a_time(laptop: Person) -> None:
    laptop.devices()
    for question in laptop.page.locator(".corbado-confirm:visible > summary").all():
        question.click()
        assert laptop.page.locator(".corbado-confirm[open]").count() == 1


def test_everything_else_ends_by_keyboard_alone(laptop: Person, phone: Person) -> None:
    laptop.devices()
    tab_to(laptop.page, laptop.page.locator(".corbado-confirm > summary").first)
    laptop.page.keyboard.press("Enter")
    tab_to(laptop.page, laptop.page.get_by_role("button", name="Sign out everywhere else"), limit=1)
    with laptop.page.expect_navigation():
        laptop.page.keyboard.press("Enter")
    assert laptop.page.locator(".corbado-card").count() == 1
    laptop.pass_time(1)
    assert not phone.reaches("/dashboard")


def test_many_devices_are_paged_through(laptop: Person, email: str, new_context: CreateContextCallback) -> None:
    form: dict[str, str | float | bool] = {"email": email, "password": PASSWORD}
    for _ in range(21):
        another = new_context(user_agent=IPHONE)
        assert another.request.post(f"{laptop.origin}/sign-in", form=form, max_redirects=0).status == 303
        another.close()
    assert len(laptop.devices()) == 20
    laptop.page.get_by_role("link", name="Older").click()
    assert laptop.at == "/session/devices?page=2"
    assert laptop.page.locator(".corbado-card").count() == 2
    laptop.end("Sign out Safari on iPhone")
    assert laptop.at == "/session/devices?page=2"
    assert laptop.page.locator(".corbado-card").count() == 1
    laptop.page.get_by_role("link", name="Newer").click()
    assert laptop.page.get_by_text("This device").is_visible()


# ---- step-up


def test_a_form_that_was_interrupted_is_sent_after_all(laptop: Person, phone: Person, email: str) -> None:
    laptop.open("/account/password")
    laptop.page.get_by_label("Current password").fill(PASSWORD)
    laptop.page.get_by_label("New password").fill("quite another one")
    laptop.pass_time(6 * MINUTE)
    laptop.press("Change password")
    assert laptop.at == "/account/confirm?next=/session/resume"
    laptop.page.get_by_label("Password for").fill(PASSWORD)
    laptop.press("Confirm")
    assert laptop.at == "/session/resume"
    laptop.press("Continue")
    assert laptop.page.get_by_role("status").inner_text().strip() == "Your password has been changed."
    assert not phone.reaches("/dashboard")
    phone.sign_in(email, "quite another one")
    assert phone.at.startswith("/dashboard")


def test_ending_a_device_after_a_while_asks_first_and_is_done(laptop: Person, phone: Person) -> None:
    laptop.pass_time(16 * MINUTE)
    laptop.devices()
    laptop.end("Sign out Safari on iPhone")
    laptop.page.get_by_label("Password for").fill("not hers")
    assert laptop.press("Confirm").status == 422
    assert laptop.page.get_by_text("This is not your password.").is_visible()
    laptop.page.get_by_label("Password for").fill(PASSWORD)
    laptop.press("Confirm")
    laptop.press("Continue")
    assert laptop.at == "/session/devices"
    assert laptop.device("Safari on iPhone").count() == 0
    assert not phone.reaches("/dashboard")


def test_a_form_waits_for_nobody_else(laptop: Person) -> None:
    laptop.open("/account/password")
    laptop.page.get_by_label("Current password").fill(PASSWORD)
    laptop.page.get_by_label("New password").fill("quite another one")
    laptop.pass_time(6 * MINUTE)
    laptop.press("Change password")
    laptop.come(f"somebody-else-{uuid4()}@example.com")
    assert laptop.open("/session/resume").status == 404


# ---- notices


@pytest.mark.usefixtures("phone")
def test_a_new_device_is_told_to_the_other_one_until_it_is_answered(laptop: Person) -> None:
    notice = notices(laptop)
    assert "Safari on iPhone at 127.0.0.1, " in " ".join(notice.inner_text().split())
    laptop.press("Yes, it was me")
    assert (laptop.at, notice.count(), notices(laptop).count()) == ("/dashboard", 0, 0)


def test_a_device_that_was_not_the_person_is_signed_out_from_the_notice(laptop: Person, phone: Person) -> None:
    assert notices(phone).count() == 0
    assert notices(laptop).count() == 1
    laptop.press("No, sign it out")
    assert "change your password now" in laptop.page.get_by_role("status").inner_text()
    assert not phone.reaches("/dashboard")


def test_the_link_of_the_mail_works_for_whoever_reads_it_and_is_told_to_nobody(
    laptop: Person, phone: Person, new_context: CreateContextCallback
) -> None:
    laptop.open("/account/outbox")
    path = urlsplit(laptop.page.get_by_role("link", name="This wasn\u2019t me").get_attribute("href") or "").path
    reader = Person(new_context(java_script_enabled=False), laptop.origin)
    sent: list[dict[str, str]] = []
    reader.page.on("request", lambda request: sent.append(request.all_headers()))
    reader.open(path)
    assert phone.reaches("/dashboard")
    reader.press("This wasn\u2019t me: sign it out")
    assert reader.page.get_by_role("heading", name="Signed out").is_visible()
    reader.page.get_by_role("link", name="Go to the start page").click()
    assert len(sent) > 4
    told_of = [headers for headers in sent if path in headers.get("referer", "")]
    assert told_of == []
    assert [headers["origin"] for headers in sent if "origin" in headers] == [laptop.origin]
    phone.pass_time(1)
    assert not phone.reaches("/dashboard")
    assert reader.open(path).status == 410


@pytest.fixture
def stolen(laptop: Person, phone: Person, new_context: CreateContextCallback) -> Person:
    """The telephone, whose session was copied, used by the thief, and ended for both."""
    thief = Person(new_context(java_script_enabled=False), phone.origin)
    thief.context.add_cookies([*phone.context.cookies()])  # type: ignore[list-item]
    for person in (phone, phone, thief):
        person.pass_time(16 * MINUTE)
        person.open("/dashboard")
    assert thief.at == "/sign-in?next=/dashboard"
    return phone


def test_a_theft_is_told_at_the_next_sign_in_with_what_to_do(stolen: Person, email: str) -> None:
    assert not stolen.reaches("/dashboard")
    stolen.sign_in(email)
    notice = notices(stolen).first
    assert "A copy of one of your sessions was used" in notice.inner_text()
    assert notice.get_by_role("button", name="Change your password").is_visible()
    stolen.devices()
    alert = stolen.page.get_by_role("region", name="A copy of one of your sessions was used")
    assert alert.get_by_role("listitem").first.inner_text() == "Safari on iPhone, 127.0.0.1"


@pytest.mark.usefixtures("stolen")
@pytest.mark.parametrize("path", ["/dashboard", "/session/devices", "/account/outbox"])
def test_pages_that_tell_of_a_theft_are_sound(laptop: Person, new_context: CreateContextCallback, path: str) -> None:
    watched = Watched(new_context(storage_state=laptop.context.storage_state()), laptop.origin)
    watched.open(path)
    assert "A copy of one of your sessions was used" in watched.page.get_by_role("main").inner_text()
    watched.open_all()
    assert (watched.findings(), watched.complaints) == ([], [])


# ---- without a look of the app's own


class Served:
    """An app of the tests, whose pages the browser gets without a server between."""

    def __init__(self, app: Flask, client: FlaskClient, context: BrowserContext) -> None:
        self.app, self.client = app, client
        context.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        parts, request = urlsplit(route.request.url), route.request
        answer = self.client.open(
            parts.path,
            method=request.method,
            query_string=parts.query,
            data=request.post_data_buffer or b"",
            headers={name: value for name, value in request.headers.items() if name != "host"},
            buffered=True,
        )
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "set-cookie"}
        route.fulfill(status=answer.status_code, headers=headers, body=answer.data)


@pytest.fixture
def plain(tmp_path: Path, new_context: CreateContextCallback) -> tuple[Watched, Served]:
    """Alice and an app whose page has all there may be: another device, an ended session, a copied one."""
    app, _, sessions = make_app(f"sqlite:///{tmp_path / 'plain.sqlite'}", CORBADO_SESSION_REAUTH_VIEW="/confirm")
    clock, told_of = move_clock(app), list[Any]()
    sessions.notifier(told_of.append)
    sessions.ip_locator(lambda ip: "Switzerland")
    alice = signed_in(app, "alice", amr=["pwd", "otp"], user_agent=MAC)
    signed_in(app, "alice", user_agent=IPHONE).post("/sign-out")
    signed_in(app, "alice", amr=["hwk"])
    owner = signed_in(app, "alice", user_agent=IPHONE)
    thief = copy_jar(owner)
    for client in (owner, owner, thief):
        clock.move(minutes=2)
        expire_short(client)
        client.get("/protected")
    context = new_context()
    watched = Watched(context, "http://localhost")
    served = Served(app, alice, context)
    served.app.config["TOLD"] = told_of
    return watched, served


@pytest.mark.parametrize("page", ["devices", "disown", "resume", "error"])
def test_the_extensions_own_pages_are_sound_in_their_own_look(plain: tuple[Watched, Served], page: str) -> None:
    watched, served = plain
    paths = {
        "devices": "/session/devices",
        "disown": served.app.config["TOLD"][-2].report_path,
        "resume": "/session/resume",
        "error": "/session/devices?page=x",
    }
    if page == "resume":
        move_clock(served.app).move(minutes=20)
        form = {"content_type": "application/x-www-form-urlencoded", "headers": {"Accept": "text/html"}}
        served.client.post("/session/revoke-others", data="a=1", **form)
    watched.open(paths[page])
    watched.open_all()
    if page == "devices":
        watched.page.locator(".corbado-confirm:visible > summary").nth(1).click()
    assert watched.page.locator("h1").inner_text()
    assert watched.findings() == []
    assert [each for each in watched.complaints if "status of 400" not in each and "favicon" not in each] == []
