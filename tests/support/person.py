"""Somebody at the demo site, in front of one browser, doing what people do."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Locator, Page, Response

PASSWORD = "a sound password"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class Cookie(NamedTuple):
    """What may be told of a cookie: its value is known by a part of its hash."""

    name: str
    print: str
    domain: str
    path: str
    expires: float
    secure: bool
    http_only: bool
    same_site: str


class Person:
    """Their browser, the site's origin, and the tab in front of them."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.context, self.origin = context, origin
        self.page = context.new_page()

    # ---- looking

    def open(self, path: str) -> Response:
        """Type an address of the site."""
        response = self.page.goto(self.origin + path)
        assert response is not None
        return response

    @property
    def at(self) -> str:
        """The path and query of the tab."""
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def sees(self, text: str) -> bool:
        """Whether it stands on the page, in one element."""
        return self.page.get_by_text(text).first.is_visible()

    def reaches(self, path: str = "/dashboard") -> bool:
        """Whether a page for people signed in is shown to them."""
        self.open(path)
        return self.at == path

    def facts(self) -> dict[str, str]:
        """The terms and descriptions on the page."""
        text = [" ".join(text.split()) for text in self.page.locator(".facts dt, .facts dd").all_inner_texts()]
        return dict(zip(text[::2], text[1::2], strict=True))

    def device(self, title: str) -> Locator:
        """The card of a device on the devices page."""
        return self.page.get_by_role("article", name=title)

    def devices(self) -> list[str]:
        """The titles on the devices page, the marks included."""
        self.open("/session/devices")
        return [" ".join(text.split()) for text in self.page.locator(".corbado-card h2").all_inner_texts()]

    # ---- doing

    def press(self, name: str, within: Locator | None = None) -> Response:
        """Press a button that sends a form; the answer of the page one is led to."""
        where = self.page if within is None else within
        with self.page.expect_navigation() as navigation:
            where.get_by_role("button", name=name, exact=True).first.click()
        assert navigation.value is not None
        return navigation.value

    def end(self, what: str, which: int = 0) -> Response:
        """Press a button that ends sessions on the devices page, and again where the page asks first."""
        button = self.page.get_by_role("button", name=what, exact=True, include_hidden=True)
        confirm = self.page.locator(".corbado-confirm", has=button).nth(which)
        confirm.locator("summary").click()
        return self.press(what, within=confirm)

    def go_back(self) -> str:
        """Where the back button leads; a page that was kept whole tells of no load."""
        self.page.go_back(wait_until="commit")
        self.page.get_by_role("main").wait_for()
        return self.at

    def come(self, email: str, path: str = "/sign-up") -> Person:
        """Signed up, or in, without a look at the forms, which saves time; now on the dashboard."""
        form: dict[str, str | float | bool] = {"email": email, "password": PASSWORD, "remember": True}
        assert self.context.request.post(self.origin + path, form=form, max_redirects=0).status == 303
        assert self.reaches("/dashboard")
        return self

    def sign_up(self, email: str, remember: bool = True) -> Person:
        """On the page they are led to, or the sign-up page."""
        self.open("/sign-up")
        self._fill(email, PASSWORD, remember)
        self.press("Create account")
        return self

    def sign_in(self, email: str, password: str = PASSWORD, remember: bool = True) -> Person:
        """On the sign-in page, which they need not be on yet."""
        if urlsplit(self.page.url).path != "/sign-in":
            self.open("/sign-in")
        self._fill(email, password, remember)
        self.press("Sign in")
        return self

    def _fill(self, email: str, password: str, remember: bool) -> None:
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_label("Stay signed in").set_checked(remember)

    # ---- their cookies

    def cookies(self) -> dict[str, Cookie]:
        """Those of the sessions, by their names without a prefix."""
        found = (_told(cookie) for cookie in self.context.cookies(self.origin) if "cbo_" in cookie.get("name", ""))
        return {cookie.name.removeprefix("__Host-").removeprefix("cbo_"): cookie for cookie in found}

    def lose_short_session(self) -> None:
        """What a browser does when the cookie runs out."""
        self.context.clear_cookies(name=re.compile("cbo_short_session$"))

    def pass_time(self, seconds: float) -> None:
        """At the server, if it is that of tests.support.demo; the browser's clock goes on."""
        assert self.context.request.post(f"{self.origin}/clock", data=str(seconds)).ok


def _told(cookie: Any) -> Cookie:
    return Cookie(
        cookie["name"],
        hashlib.sha256(cookie["value"].encode()).hexdigest()[:8],
        cookie["domain"],
        cookie["path"],
        cookie["expires"],
        cookie["secure"],
        cookie["httpOnly"],
        cookie["sameSite"],
    )


def served_by_one_request(response: Response) -> bool:
    """Whether a page came as the answer to the very request that asked for it."""
    return response.status == 200 and response.request.redirected_from is None


def tab_to(page: Page, target: Locator, limit: int = 40) -> None:
    """Press Tab until the focus is there, and visible."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
    raise AssertionError(f"{limit} times Tab did not lead there")
