"""The thief's page in a real Chromium: a session without a key to its end, and one with a key, over https."""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Literal
from uuid import uuid4
from zlib import compress, crc32

import pytest
from playwright.sync_api import Browser, BrowserContext, FloatRect, Page, Playwright, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from demo_site.certificate import public_key_hash
from demo_site.https import FEATURES
from tests.browser.conftest import Serve
from tests.browser.test_demo_accessibility import Watched
from tests.conftest import BROWSER_ARGUMENTS
from tests.support.documents import DOCS
from tests.support.person import tab_to
from tests.support.servers import Server

MINUTE = 61
IMAGES = DOCS / "images"
SIZE_LIMIT = 150_000
WIDTH, HEIGHT = 1060, 1000
SCALE = 1.25
NAMES = {"light": "ada@example.com", "dark": "grace@example.com"}
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36"
)
REFUSED = "the server responded with a status of 401"
"""What Chromium's console says of it, which is no fault of the page."""


class Owner(Watched):
    """In front of the thief's page."""

    def open_thief(self) -> Owner:
        self.open("/thief")
        expect(self.page.locator("[data-pane=you] .shown")).to_have_text("Dashboard")
        return self

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()

    def expect_verdict(self, text: str) -> None:
        expect(self.page.get_by_role("status")).to_contain_text(text)

    def expect_panes(self, you: str, thief: str) -> None:
        """The status, the page and who is signed in, of each."""
        expect(self.page.locator("[data-pane=you] .screen")).to_contain_text(re.compile(you, re.DOTALL))
        expect(self.page.locator("[data-pane=copy] .screen")).to_contain_text(re.compile(thief, re.DOTALL))

    def story(self) -> list[str]:
        """What happened, in the first sentence of each event."""
        return [text.partition(".")[0] for text in self.page.locator(".story strong").all_inner_texts()]

    def held_back(self) -> list[str]:
        """What the browser complained of, but for the refusals that the page is about."""
        return [each for each in self.complaints if REFUSED not in each]


# ---- a session without a key


@pytest.fixture
def owner(new_context: CreateContextCallback, site: Server, email: str) -> Owner:
    """Signed in for a minute at the site whose clock is the test's; so is the page's."""
    owner = Owner(new_context(), site.origin())
    owner.come(email).pass_time(MINUTE)
    owner.page.clock.install()
    return owner.open_thief()


def pass_minute(owner: Owner) -> None:
    """On both clocks: rotation's, and the page's that counts down to it."""
    owner.pass_time(MINUTE)
    owner.page.clock.fast_forward(MINUTE * 1000)


def test_a_session_without_a_key_is_ended_for_both_and_the_person_told(owner: Owner, email: str) -> None:
    signed_in = f"200.*Dashboard.*Signed in as {email}"
    owner.expect_panes(signed_in, "No cookies")
    owner.click("Copy my cookies")
    owner.expect_verdict("The copy works.")
    owner.expect_panes(signed_in, signed_in)
    pass_minute(owner)
    owner.click("Let the short session end")
    owner.expect_verdict("the two hold different tokens")
    owner.expect_panes(signed_in, signed_in)
    assert owner.page.get_by_role("button", name="Let the short session end").is_disabled()
    assert "token moves on once a minute at most" in owner.page.locator(".hint").inner_text()
    pass_minute(owner)
    owner.click("Let the short session end")
    owner.expect_verdict("Found out.")
    ended = "401.*Sign in.*Signed out: a copy of this session was used."
    owner.expect_panes(ended, ended)
    assert owner.findings() == []
    assert not owner.reaches("/dashboard")

    owner.open("/thief")
    owner.sign_in(email)
    assert owner.at == "/thief"
    owner.expect_verdict("You are back")
    owner.expect_panes(signed_in, ended)
    assert owner.page.get_by_role("article", name="A copy of one of your sessions was used").is_visible()
    assert owner.sees("at 203.0.113.66")
    assert owner.story() == [
        "The cookies were copied",
        "The short session ended for both",
        "The short session ended again",
        "You signed in again",
    ]
    assert owner.findings() == []
    assert owner.held_back() == []


def test_the_page_is_used_by_keyboard(owner: Owner) -> None:
    focused = owner.page.locator(":focus")
    tab_to(owner.page, owner.page.get_by_role("button", name="Copy my cookies"))
    owner.page.keyboard.press("Enter")
    owner.expect_verdict("The copy works.")
    expect(focused).to_have_text(re.compile("Let the short session end|Start again"))


def test_the_page_says_how_to_see_a_session_with_a_key(owner: Owner) -> None:
    assert owner.sees("This session is not bound to a key")
    assert owner.sees("make https")


def test_without_a_copy_that_is_still_known_the_page_begins_anew(owner: Owner) -> None:
    owner.click("Copy my cookies")
    owner.expect_verdict("The copy works.")
    owner.page.evaluate(
        """sessionStorage.thief = JSON.stringify({ ...JSON.parse(sessionStorage.thief), handle: "x" })"""
    )
    owner.page.reload()
    owner.expect_verdict("Nothing has been copied yet.")
    assert owner.page.get_by_role("button", name="Copy my cookies").is_enabled()


def test_who_signs_in_next_in_this_tab_sees_no_story_of_somebody_else(owner: Owner) -> None:
    owner.click("Copy my cookies")
    owner.expect_verdict("The copy works.")
    owner.press("Sign out")
    owner.come(f"next-{uuid4()}@example.com")
    owner.open_thief()
    owner.expect_verdict("Nothing has been copied yet.")


# ---- a session with a key


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instance")


@pytest.fixture(scope="module")
def https_origin(serve: Serve, instance: Path) -> str:
    """The demo as ``make https`` serves it, in real time."""
    return serve("demo_site.https", DEMO_INSTANCE=str(instance)).origin().replace("http:", "https:")


@pytest.fixture(scope="module")
def binding_browser(playwright: Playwright, chromium: str, instance: Path, https_origin: str) -> Iterator[Browser]:
    """Chromium as that server says it must be started."""
    trusted = f"--ignore-certificate-errors-spki-list={public_key_hash(instance / 'https.pem')}"
    arguments = [*BROWSER_ARGUMENTS, f"--enable-features={FEATURES}", trusted]
    browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
    yield browser
    browser.close()


@pytest.fixture
def bound(binding_browser: Browser, https_origin: str, email: str) -> Iterator[Owner]:
    """Signed in, and the page shows that the browser has made its key."""
    context = binding_browser.new_context(user_agent=MAC, viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(10_000)
    with context:
        yield bound_owner(context, https_origin, email)


def bound_owner(context: BrowserContext, origin: str, email: str) -> Owner:
    owner = Owner(context, origin)
    owner.sign_up(email)
    expect(owner.page.get_by_role("heading", name="Welcome")).to_be_visible()
    for _ in range(20):  # the key is registered behind the page
        owner.open_thief()
        if owner.sees("This session is bound to a key of your browser"):
            break
        owner.page.wait_for_timeout(100)
    return owner


def test_a_copy_of_a_bound_session_is_locked_out_and_its_owner_goes_on(bound: Owner) -> None:
    assert bound.sees("This session is bound to a key of your browser")
    bound.click("Copy my cookies")
    bound.expect_verdict("The copy works.")
    bound.expect_panes("200.*Dashboard", "200.*Dashboard.*Signed in as grace-")
    for round in range(2):
        bound.click("Let the short session end")
        expect(bound.page.locator(".story li")).to_have_count(2 + round)
        bound.expect_verdict("Locked out.")
        bound.expect_panes("200.*Dashboard", "401.*Sign in.*The key of this session is missing.")
    assert bound.findings() == []
    assert bound.held_back() == []
    assert bound.reaches("/dashboard")
    bound.open("/session/devices")
    assert bound.page.locator(".corbado-alert").count() == 0


# ---- its picture


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_shows_the_thief_locked_out(
    binding_browser: Browser, https_origin: str, scheme: Literal["light", "dark"]
) -> None:
    """``WRITE_PICTURES=1`` makes it anew."""
    context = binding_browser.new_context(
        user_agent=MAC,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=SCALE,
    )
    context.set_default_timeout(10_000)
    file = IMAGES / f"thief-{scheme}.png"
    with context:
        page = locked_out(bound_owner(context, https_origin, NAMES[scheme]))
        picture = page.screenshot(animations="disabled", caret="hide", clip=shown(page))
        if os.environ.get("WRITE_PICTURES") == "1":
            file.write_bytes(packed(page, picture))
    assert file.exists(), "WRITE_PICTURES=1 makes it"
    assert file.stat().st_size < SIZE_LIMIT
    assert abs(height(file.read_bytes()) - height(picture)) < 60, "the page has changed: WRITE_PICTURES=1"


def locked_out(owner: Owner) -> Page:
    owner.click("Copy my cookies")
    owner.expect_verdict("The copy works.")
    owner.page.wait_for_timeout(1500)  # so that the story has times
    owner.click("Let the short session end")
    owner.expect_verdict("Locked out.")
    owner.page.get_by_role("heading", level=1).click()  # no button has the focus
    owner.page.mouse.move(0, 0)
    return owner.page


def shown(page: Page) -> FloatRect:
    """The page without the site's own bar, to the end of the story."""
    main, story = (page.locator(name).bounding_box() for name in ("main", ".story"))
    assert main is not None
    assert story is not None
    return {"x": 0, "y": main["y"], "width": WIDTH, "height": story["y"] + story["height"] + 24 - main["y"]}


PIXELS = """async (data) => {
  const image = await createImageBitmap(await (await fetch(data)).blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data.filter((_, index) => index % 4 < 3);
  const parts = [];
  for (let at = 0; at < pixels.length; at += 30000) parts.push(String.fromCharCode(...pixels.subarray(at, at + 30000)));
  return [image.width, image.height, btoa(parts.join(""))];
}"""


def packed(page: Page, picture: bytes) -> bytes:
    """The same picture, a quarter smaller: what is drawn compresses best without the filters of PNG."""
    with page.context.new_page() as blank:  # whose policy lets it read the picture
        width, height, pixels = blank.evaluate(PIXELS, f"data:image/png;base64,{b64encode(picture).decode()}")
    rows = b64decode(pixels)
    lines = b"".join(b"\0" + rows[at : at + 3 * width] for at in range(0, len(rows), 3 * width))
    chunks = (b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", compress(lines, 9)), (b"IEND", b"")
    written = (pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data)) for kind, data in chunks)
    return picture[:8] + b"".join(written)


def height(picture: bytes) -> int:
    """In pixels, as the header of a PNG says it."""
    return int.from_bytes(picture[20:24])
