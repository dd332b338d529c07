"""The pictures of README and docs/: made by this file, and compared with what the pages look like today.

``WRITE_PICTURES=1 .venv/bin/python -m pytest tests/browser/test_pictures.py`` writes docs/images/ anew. Otherwise each
page must show the texts that its picture is about, and look like the picture from afar: fonts and dates may differ.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, StorageState

from demo_site.models import DEMO_ACCOUNTS
from tests.support.documents import DOCS
from tests.support.person import IPHONE, Person
from tests.support.servers import Server

IMAGES = DOCS / "images"
SIZE_LIMIT = 150_000
"""Bytes: a page of the site has up to three pictures."""
HOUR, DAY = 3600, 86_400
SCALE = 1.5
NEAR = 0.05
"""Which share of the picture may look different from today's page; a date or a number does not show from afar."""
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36"
)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
Scheme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as somebody sees it, and the texts that it must show."""

    name: str
    who: str
    path: str
    texts: tuple[str, ...]
    width: int = 1060
    height: int = 640
    schemes: tuple[Scheme, ...] = ("light", "dark")

    def file(self, scheme: Scheme) -> Path:
        return IMAGES / f"{self.name}-{scheme}.png"


class Jar:
    """Where somebody is signed in, and by which cookies; no failing test shows these."""

    def __init__(self, person: Person) -> None:
        self.origin, self._state = person.origin, person.context.storage_state()

    def state(self) -> StorageState:
        return self._state


PICTURES = (
    Picture(
        "devices", "grace", "/session/devices", ("Chrome on macOS", "Grace's phone", "Firefox on Windows"), height=680
    ),
    Picture("devices-phone", "grace", "/session/devices", ("Chrome on macOS", "Grace's phone"), 390, 780),
    Picture("account", "ada", "/account", ("Signed in as ada@example.com", "Database queries", "no queries")),
    Picture("operator", "operator", "/operator/users", ("grace@example.com", "3 devices")),
    Picture("tutorial", "tutorial", "/session/devices", ("Chrome on macOS", "Safari on iPhone"), 780, 450),
)
CASES = [
    pytest.param(picture, scheme, id=f"{picture.name}-{scheme}") for picture in PICTURES for scheme in picture.schemes
]


@pytest.fixture(scope="module")
def jars(
    browser: Browser, serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Jar]]:
    """By who looks."""
    demo, unmoved = (
        serve("tests.support.demo", DEMO_INSTANCE=str(tmp_path_factory.mktemp("instance"))) for _ in range(2)
    )
    tutorial = serve(
        "tests.support.tutorial",
        TUTORIAL_FOLDER=str(tmp_path_factory.mktemp("notes")),
        FLASK_SECRET_KEY="of the pictures: 7a1f0c2f4b8d4e6f9a3c5d7e",
        FLASK_SQLALCHEMY_DATABASE_URI="sqlite:///notes.sqlite",
        FLASK_CORBADO_SESSION_COOKIE_SECURE="false",
    )
    with ExitStack() as stack:

        def person(origin: str, user_agent: str = MAC) -> Person:
            return Person(stack.enter_context(browser.new_context(user_agent=user_agent)), origin)

        person(demo.origin(), WINDOWS).come("grace@example.com").pass_time(2 * DAY)
        phone = person(demo.origin(), IPHONE).come("grace@example.com", "/sign-in")
        name_device(phone, "Grace's phone")
        phone.pass_time(3 * HOUR)
        here = person(demo.origin()).come("grace@example.com", "/sign-in")
        operator = person(demo.origin()).sign_in(DEMO_ACCOUNTS[1].email, DEMO_ACCOUNTS[1].password)
        notes = sign_up_in_the_tutorial(person(tutorial.origin()), "/sign-up")
        sign_up_in_the_tutorial(person(tutorial.origin(), IPHONE), "/sign-in")
        ada = person(unmoved.origin()).come("ada@example.com")
        yield {"ada": Jar(ada), "grace": Jar(here), "operator": Jar(operator), "tutorial": Jar(notes)}


def name_device(person: Person, name: str) -> None:
    person.devices()
    card = person.device("Safari on iPhone")
    card.get_by_text("Rename").click()
    card.get_by_role("textbox").fill(name)
    person.press("Save", within=card)


def sign_up_in_the_tutorial(person: Person, path: str) -> Person:
    form: dict[str, str | float | bool] = {"email": "grace@example.com", "password": "a sound password"}
    assert person.context.request.post(person.origin + path, form=form, max_redirects=0).status == 302
    return person


@pytest.mark.parametrize(("picture", "scheme"), CASES)
def test_the_picture_shows_the_page_as_it_is(
    browser: Browser, jars: dict[str, Jar], picture: Picture, scheme: Scheme
) -> None:
    today = taken(browser, jars[picture.who], picture, scheme)
    file = picture.file(scheme)
    if os.environ.get("WRITE_PICTURES") == "1":
        IMAGES.mkdir(exist_ok=True)
        file.write_bytes(today)
    assert file.exists(), "WRITE_PICTURES=1 makes it"
    assert file.stat().st_size < SIZE_LIMIT
    size, difference = compared(browser, file.read_bytes(), today)
    assert size == [picture.width * SCALE, picture.height * SCALE]
    assert difference < NEAR, f"WRITE_PICTURES=1 makes {file.name} anew: the page has changed"


def taken(browser: Browser, jar: Jar, picture: Picture, scheme: Scheme) -> bytes:
    """A screenshot of the page, once it shows what it must."""
    context = browser.new_context(
        storage_state=jar.state(),
        user_agent=MAC,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=SCALE,
    )
    with context:
        page = context.new_page()
        page.goto(jar.origin + picture.path)
        answer = page.reload()  # as the second page that somebody looks at: the first has loaded what changes rarely
        assert answer is not None
        assert answer.status == 200
        for text in picture.texts:
            assert page.get_by_text(text).first.is_visible(), text
        return page.screenshot(animations="disabled", caret="hide")


COMPARE = """
async ([one, other]) => {
  const parts = async (data) => {
    const image = await createImageBitmap(await (await fetch(data)).blob());
    const canvas = new OffscreenCanvas(24, 16), context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, 24, 16);
    return [[image.width, image.height], context.getImageData(0, 0, 24, 16).data];
  };
  const [size, before] = await parts(one), [, today] = await parts(other);
  let different = 0;
  for (let index = 0; index < before.length; index += 4)
    if ([0, 1, 2].some((channel) => Math.abs(before[index + channel] - today[index + channel]) > 24)) different += 1;
  return [size, different / (before.length / 4)];
}
"""


def compared(browser: Browser, one: bytes, other: bytes) -> tuple[list[float], float]:
    """The size of the first picture, and which share of 24 by 16 parts has another colour in the second."""
    with browser.new_context() as context:
        page: Page = context.new_page()
        pictures = [f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in (one, other)]
        size, difference = page.evaluate(COMPARE, pictures)
        return size, difference


def test_another_page_is_not_taken_for_the_picture(browser: Browser) -> None:
    devices, account = PICTURES[0].file("light").read_bytes(), PICTURES[2].file("light").read_bytes()
    assert compared(browser, devices, account)[1] >= NEAR
    assert compared(browser, devices, devices)[1] == 0


def test_every_image_of_the_documents_is_shown_somewhere_and_small() -> None:
    pages = "".join(page.read_text() for page in [DOCS.parent / "README.md", *DOCS.rglob("*.md")])
    for image in IMAGES.iterdir():
        assert f"images/{image.name}" in pages, image.name
        assert image.stat().st_size < SIZE_LIMIT, image.name
