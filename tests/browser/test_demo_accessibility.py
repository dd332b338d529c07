"""Every page of the demo site, as people see it in light, in the dark and on a phone: axe finds nothing, the markup is
valid, the browser has nothing to complain of, and nothing comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, StorageState, ViewportSize
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.support.person import IPHONE, Person
from tests.support.servers import Server

DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
STATUSES = {"/nowhere": 404, "/session/disown/nothing": 410}
"""Of the pages that tell of an error: the site's own, and one of the extension's."""
PUBLIC = ["/", "/sign-in", "/sign-up", "/app-types", *STATUSES]
PRIVATE = [
    "/",
    "/dashboard",
    "/account",
    "/account/password",
    "/account/confirm",
    "/account/outbox",
    "/session/devices",
    "/live",
    "/thief",
    "/spa",
    "/sign-in",
]
LONG = "a-rather-long-address-that-nobody-would-want-to-type-" + "x" * 40
LONG_NAME = "The_telephone_of_somebody_who_likes_long_names_and_underscores_in_place_of_space"


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Server) -> Iterator[StorageState]:
    """The jar of somebody with a long address, a second device of a long name, and a session that ended."""
    email = f"{LONG}-{uuid4()}@example.com"
    with browser.new_context() as here, browser.new_context(user_agent=IPHONE) as other:
        person, phone = Person(here, site.origin()).come(email), Person(other, site.origin())
        phone.come(email, "/sign-in").press("Sign out")
        phone.come(email, "/sign-in").devices()
        card = phone.device("Safari on iPhone")
        card.get_by_text("Rename").click()
        card.get_by_role("textbox").fill(LONG_NAME)
        phone.press("Save", within=card)
        yield person.context.storage_state()


class Watched(Person):
    """Somebody whose tab is examined, and all that went on in it."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        super().__init__(context, origin)
        self.complaints, self.hosts = list[str](), set[str]()
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("request", lambda request: self._count(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _count(self, url: str) -> None:
        if not url.startswith("data:"):
            self.hosts.add(urlsplit(url).netloc)

    def findings(self) -> list[str]:
        """What axe has to say, in light, in the dark and on a phone; and whether one must scroll sideways there."""
        self.page.evaluate(Axe().axe_script)
        self.page.set_viewport_size(DESK)
        found = [*self._look("light"), *self._look("dark")]
        self.page.set_viewport_size(PHONE)
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        over = self.page.evaluate(wider)
        return [*found, *self._look("light", "phone"), *([f"{over} pixels too wide"] if over else [])]

    def _look(self, scheme: Literal["light", "dark"], name: str = "") -> list[str]:
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        violations = self.page.evaluate("axe.run({ resultTypes: ['violations'] }).then((found) => found.violations)")
        return [f"{name or scheme}: {each['id']}: {node['html']}" for each in violations for node in each["nodes"]]

    def open_all(self) -> None:
        """Open whatever may be opened on the page."""
        closed = self.page.locator("details:not([name]):not([open]) > summary")
        while closed.count():
            closed.first.click()


@pytest.fixture
def watched(
    new_context: CreateContextCallback, site: Server, signed_in: StorageState, request: pytest.FixtureRequest
) -> Watched:
    """With the jar of somebody signed in, if the test's parameter ``known`` is true."""
    known = getattr(request.node, "callspec", None) and request.node.callspec.params.get("known")
    return Watched(new_context(storage_state=signed_in if known else None), site.origin())


WAYS = [*((path, False) for path in PUBLIC), *((path, True) for path in PRIVATE)]


@pytest.mark.parametrize(("path", "known"), WAYS, ids=str)
def test_a_page_is_sound(watched: Watched, path: str, known: bool) -> None:
    response = watched.open(path)
    html5lib.HTMLParser(strict=True).parse(response.text())
    assert (watched.at, response.status) == (path, STATUSES.get(path, 200))
    watched.open_all()
    assert watched.findings() == []
    assert watched.hosts == {urlsplit(watched.origin).netloc}
    assert [each for each in watched.complaints if path not in STATUSES or "status of 4" not in each] == []


@pytest.mark.parametrize("known", [True])
def test_the_devices_page_is_sound_while_it_asks(watched: Watched, known: bool) -> None:
    watched.open("/session/devices")
    watched.page.locator(".corbado-confirm:visible > summary").last.click()
    assert watched.page.locator(".corbado-confirm[open] button").is_visible()
    assert watched.findings() == []


@pytest.mark.parametrize(
    ("path", "known", "button"),
    [
        ("/sign-in", False, "Sign in"),
        ("/sign-up", False, "Create account"),
        ("/account/password", True, "Change password"),
        ("/account/confirm", True, "Confirm"),
    ],
)
def test_a_form_that_says_what_is_wrong_is_sound(watched: Watched, path: str, known: bool, button: str) -> None:
    watched.open(path)
    for field in watched.page.get_by_role("main").locator("input[required]").all():
        field.fill("demo@example.com" if field.get_attribute("type") == "email" else "nothing right")
    assert watched.press(button).status == 422
    assert watched.page.locator("[role=alert], [aria-invalid=true]").count() == 1
    assert watched.findings() == []


def test_a_phone_shows_the_page_at_its_own_width(new_context: CreateContextCallback, site: Server) -> None:
    phone = Person(new_context(viewport=PHONE, is_mobile=True, has_touch=True), site.origin())
    phone.open("/sign-in")
    assert phone.page.evaluate("[innerWidth, visualViewport.scale]") == [390, 1]


def test_the_examination_finds_what_is_wrong(watched: Watched) -> None:
    watched.open("/")
    wrong = "<img src='http://elsewhere.localhost/'><p id=faint>Faint</p><div id=wide>Wide</div>"
    watched.page.evaluate(f"""document.querySelector("main").innerHTML += "{wrong}";
        faint.style.color = "#8888"; wide.style.width = "3000px" """)
    found = " ".join(watched.findings())
    for look in ("light", "dark", "phone"):
        assert f"{look}: image-alt" in found
        assert f"{look}: color-contrast" in found
    assert "pixels too wide" in found
    assert "Content Security Policy" in watched.complaints[0]
