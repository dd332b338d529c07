"""What pages of other origins get a browser to do to the demo site: nothing.

``evil.demo.localhost`` is of the same site as ``auth.demo.localhost``, so that SameSite=Lax cookies go along with what
it sends; ``evil.localhost`` is of another one.
"""

from __future__ import annotations

import html
import json
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PATIENCE
from tests.support.person import IPHONE, PASSWORD, Person
from tests.support.servers import Server

SAME_SITE, OTHER_SITE = "evil.demo.localhost", "evil.localhost"
CHANGE = {"current_password": PASSWORD, "new_password": "chosen by a stranger", "end_others": "1"}
ATTACKS: dict[str, dict[str, str]] = {
    "/sign-out": {},
    "/session/logout": {},
    "/session/refresh": {},
    "/session/revoke-others": {},
    "/session/{other_session}/revoke": {},
    "/session/devices/{other_device}/revoke": {},
    "/session/devices/{this_device}/name": {"name": "Owned"},
    "/account/password": CHANGE,
    "/sign-in": {"email": "demo@example.com", "password": "correct horse battery"},
    "/sign-up": {"email": "mallory@example.com", "password": PASSWORD},
}
"""Addresses and forms; the ids are those of the person attacked, which a stranger would first have to know."""
EMPTY = "<!doctype html><link rel=icon href='data:,'>"


class Foreign:
    """A server whose every host shows the page that was put on it."""

    def __init__(self) -> None:
        self.page = ""
        foreign = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = foreign.page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def url(self, host: str) -> str:
        return f"http://{host}:{self.server.server_port}/"


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    foreign = Foreign()
    thread = Thread(target=foreign.server.serve_forever)
    thread.start()
    yield foreign
    foreign.server.shutdown()
    thread.join()
    foreign.server.server_close()


class Answer(NamedTuple):
    """What the site answered, whether or not the page that asked was let see it."""

    status: int
    sets_cookies: bool
    to_long_session: bool
    """Whether the request brought the long cookie along."""


class Victim:
    """Somebody signed in here and on a phone, and what a stranger might want to change."""

    def __init__(self, here: Person, phone: Person, email: str) -> None:
        self.here, self.phone, self.email = here, phone, email
        self.ids = self._ids()
        self.wire = Wire(here.page)
        self.at_first = self.state()

    def state(self) -> Any:
        """Who is signed in, and on which devices, under which names, in how many sessions."""
        who, devices = self._get("/session"), self._get("/session/devices")["devices"]
        rows = sorted((device["id"], device["name"], len(device["sessions"])) for device in devices)
        return who["claims"]["email"], who["session_id"], rows

    def _ids(self) -> dict[str, str]:
        this, other = sorted(self._get("/session/devices")["devices"], key=lambda device: not device["is_current"])
        return {
            "this_device": this["id"],
            "other_device": other["id"],
            "other_session": other["sessions"][0]["session_id"],
        }

    def _get(self, path: str) -> Any:
        self.here.open("/static/icon.svg")  # of the site's origin, and quickly there
        ask = "path => fetch(path, { headers: { Accept: 'application/json' } }).then((answer) => answer.json())"
        return self.here.page.evaluate(ask, path)


@pytest.fixture(scope="module")
def victim(browser: Browser, site: Server) -> Iterator[Victim]:
    """One for all attacks: each of them, and all together, must leave her as she was."""
    email, origin = f"victim-{uuid4()}@example.com", site.origin("auth.demo.localhost")
    here, phone = browser.new_context(), Person(browser.new_context(user_agent=IPHONE), origin)
    yield Victim(Person(here, origin).sign_up(email), phone.sign_in(email), email)
    assert phone.reaches("/dashboard")
    assert phone.sign_in(email).at == "/dashboard"  # by the password of old
    here.close()
    phone.context.close()


def form(action: str, fields: dict[str, str]) -> str:
    """A page that sends a form as soon as it is seen."""
    inputs = (f'<input name="{name}" value="{html.escape(value)}">' for name, value in fields.items())
    return f'<form method="post" action="{action}">{"".join(inputs)}</form><script>document.forms[0].submit()</script>'


def fetching(url: str, fields: dict[str, str]) -> str:
    """A page that sends the same by script, cookies included."""
    options = "{ method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams(%s) }"
    return f"<script>fetch('{url}', {options % json.dumps(fields)})</script>"


class Wire:
    """What a tab sends and is answered, as the browser's network service tells it: pages are not let see it all."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._seen: dict[str, dict[str, Any]] = {}
        cdp = page.context.new_cdp_session(page)
        for event in ("requestWillBeSent", "requestWillBeSentExtraInfo", "responseReceivedExtraInfo"):
            cdp.on(f"Network.{event}", partial(self._note, event))
        cdp.send("Network.enable")

    def _note(self, event: str, told: dict[str, Any]) -> None:
        self._seen.setdefault(told["requestId"], {}).setdefault(event, told)  # a redirect keeps the id

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()

    def answer_from(self, url: str) -> Answer:
        """Wait for it; the first one counts."""
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            for told in self._seen.values():
                if len(told) == 3 and told["requestWillBeSent"]["request"]["url"] == url:
                    return _answer(told["requestWillBeSentExtraInfo"], told["responseReceivedExtraInfo"])
            self.page.wait_for_timeout(20)
        raise AssertionError(f"nothing was sent to {url}, or nothing answered")


def _answer(request: dict[str, Any], response: dict[str, Any]) -> Answer:
    sent = [each["cookie"]["name"] for each in request["associatedCookies"] if not each["blockedReasons"]]
    names = {name.lower() for name in response["headers"]}
    return Answer(response["statusCode"], "set-cookie" in names, "cbo_long_session" in sent)


def attack(victim: Victim, page: str, url: str, foreign: Foreign, host: str) -> Answer:
    """Have the victim visit the page, without a short session: a refresh on the way would show."""
    foreign.page = f"{EMPTY}{page}"
    victim.here.lose_short_session()
    victim.wire.forget()
    victim.here.page.goto(foreign.url(host), wait_until="commit")
    answer = victim.wire.answer_from(url)
    if "document.forms" in page:
        victim.here.page.wait_for_url(lambda at: at.startswith(victim.here.origin))
    return answer


@pytest.mark.parametrize("path", ATTACKS)
@pytest.mark.parametrize("by", [form, fetching], ids=["form", "fetch"])
def test_a_page_of_the_same_site_changes_nothing(victim: Victim, foreign: Foreign, path: str, by: Any) -> None:
    url = victim.here.origin + path.format(**victim.ids)
    answer = attack(victim, by(url, ATTACKS[path]), url, foreign, SAME_SITE)
    assert answer == Answer(403, sets_cookies=False, to_long_session=True)
    assert victim.state() == victim.at_first


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/sign-out", 403),
        ("/session/logout", 403),
        ("/sign-in", 403),
        ("/sign-up", 403),
        ("/session/revoke-others", 303),  # to the sign-in page: no cookie came, so nobody is signed in
        ("/account/password", 303),
    ],
)
def test_a_page_of_another_site_gets_no_session_cookies_sent(
    victim: Victim, foreign: Foreign, path: str, status: int
) -> None:
    url = victim.here.origin + path
    answer = attack(victim, form(url, ATTACKS[path]), url, foreign, OTHER_SITE)
    assert answer == Answer(status, sets_cookies=False, to_long_session=False)
    assert victim.state() == victim.at_first


def test_the_refusal_says_what_happened(victim: Victim, foreign: Foreign) -> None:
    url = victim.here.origin + "/sign-out"
    attack(victim, form(url, {}), url, foreign, SAME_SITE)
    victim.here.page.get_by_text("came from another site").wait_for()
    assert "Sign out" not in victim.here.page.get_by_role("navigation").inner_text()


@pytest.mark.parametrize("path", ["/sign-out", "/session/logout", "/session/revoke-others"])
def test_an_image_signs_nobody_out(victim: Victim, foreign: Foreign, path: str) -> None:
    url = victim.here.origin + path
    assert attack(victim, f"<img src='{url}'>", url, foreign, SAME_SITE).status == 405
    assert victim.state() == victim.at_first


@pytest.mark.parametrize("path", ["/session", "/session/devices", "/account"])
def test_a_foreign_page_reads_nothing(victim: Victim, foreign: Foreign, path: str) -> None:
    foreign.page = EMPTY
    victim.here.page.goto(foreign.url(SAME_SITE))
    reading = "url => fetch(url, { credentials: 'include' }).then((answer) => answer.text(), (error) => error.name)"
    assert victim.here.page.evaluate(reading, victim.here.origin + path) == "TypeError"


@pytest.mark.parametrize("path", ["/session/devices", "/account/password"])
def test_no_page_is_shown_inside_of_a_foreign_one(victim: Victim, foreign: Foreign, path: str) -> None:
    url = victim.here.origin + path
    attack(victim, f"<iframe src='{url}'></iframe>", url, foreign, SAME_SITE)
    victim.here.page.wait_for_load_state()
    (frame,) = victim.here.page.main_frame.child_frames
    assert victim.email not in frame.locator("body").inner_text()
    assert frame.url.startswith("chrome-error:")


def test_a_link_on_a_foreign_page_finds_them_signed_in(victim: Victim, foreign: Foreign) -> None:
    foreign.page = f"{EMPTY}<a href='{victim.here.origin}/dashboard'>See</a>"
    victim.here.page.goto(foreign.url(OTHER_SITE))
    victim.here.page.get_by_text("See").click()
    victim.here.page.get_by_role("heading", name="Welcome", exact=True).wait_for()
