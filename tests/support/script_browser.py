"""What the tests of corbado-session.js do in a browser, on its pages and on the server behind them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request

from tests.support.servers import Server

AUTH, APP, API, FOREIGN = "auth.demo.localhost", "app.demo.localhost", "api.demo.localhost", "foreign.localhost"


class Browser:
    """One person's browser: its tabs, what they sent, and the two clocks."""

    def __init__(self, context: BrowserContext, site: Server) -> None:
        self.context, self.site = context, site
        self.sent: list[str] = []
        context.clock.install()
        context.on("request", self._remember)

    def _remember(self, request: Request) -> None:
        self.sent.append(f"{request.method} {request.url.removeprefix('http://').partition('/')[2]}")

    def tab(self, host: str = AUTH) -> Page:
        """A tab on the page with script; nothing is begun yet."""
        page = self.context.new_page()
        page.goto(f"{self.site.origin(host)}/page")
        page.wait_for_function("typeof begin === 'function'")
        return page

    def begun(self, host: str = AUTH, **options: Any) -> Page:
        """A tab whose session is begun."""
        page = self.tab(host)
        page.evaluate("options => begin(options)", options)
        return page

    def begun_on_other_host(self) -> Page:
        """A tab of the single-page app, whose API is a third host."""
        return self.begun(APP, url=f"{self.site.origin(AUTH)}/session", api=[self.site.origin(API)])

    def sign_in(self, user: str = "alice") -> None:
        """As a person does, on the session's host."""
        page = self.tab()
        page.evaluate("user => fetch('/sign-in', { method: 'POST', body: new URLSearchParams({ user }) })", user)
        page.close()

    def server(self, path: str, body: object) -> None:
        """Tell the test's server something, from outside of the browser's tabs."""
        assert self.context.request.post(f"{self.site.origin()}{path}", data=str(body)).ok

    def pass_time(self, seconds: float) -> None:
        """On both clocks. The browser's timers that fall due run once, as they do when a laptop's lid is opened."""
        self.server("/clock", seconds)
        self.context.clock.fast_forward(int(seconds * 1000))

    def refreshes(self) -> int:
        return self.sent.count("POST session/refresh")


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """The database as another program leaves it that holds a write open."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def captive_portal(browser: Browser) -> Iterator[None]:
    """One that is in between meanwhile."""
    browser.server("/portal", "up")
    yield
    browser.server("/portal", "down")


@contextmanager
def slow_refreshes(browser: Browser, seconds: float = 1) -> Iterator[None]:
    """Those sent meanwhile are done at once and answered late."""
    browser.server("/slow", seconds)
    yield
    browser.server("/slow", 0)


def remaining(page: Page) -> float:
    """Seconds."""
    return float(page.evaluate("session.remaining")) / 1000


def wait_until_refreshed(*pages: Page) -> None:
    for page in pages:
        page.wait_for_function("session.remaining > 890_000")


def wait_until_told(page: Page, *told: str | None) -> None:
    page.wait_for_function("expected => JSON.stringify(told) === JSON.stringify(expected)", arg=list(told))


def show(page: Page, visible: bool) -> None:
    """Make the page say it is seen or not; Playwright keeps every page of its browsers visible, minimized or behind."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        not visible,
    )


def code_of(page: Page, promise: str) -> str:
    """The code of the SessionUnavailable that a promise rejects with."""
    return str(page.evaluate(f"{promise}.then(() => 'resolved', ({{ name, code }}) => `${{name}} ${{code}}`)"))
