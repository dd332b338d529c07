"""A browser with device-bound sessions in software: what Chromium 156 was measured to do, header by header.

It keeps cookies and keys, registers when it is asked to, holds a request back while the bound cookie is missing and
proves its key for a new one, caches challenges, resends a proof whose answer was lost, and forgets a session for the
answers that make Chromium forget it. Its tabs are threads; a session is refreshed once for all that wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.bound_jar import CookieJar
from tests.support.bound_keeper import BoundSession, SessionKeeper
from tests.support.bound_wire import Reply, Wire

PROACTIVE = 120
"""Seconds before the cookie's end, from which on a request that goes out has it renewed meanwhile."""

REDIRECTS = 20
SKIPS = ("server_error", "unreachable", "quota_exceeded")


class BoundBrowser:
    """One browser."""

    def __init__(
        self,
        wire: Wire,
        *,
        now: Callable[[], float] = time.time,
        user_agent: str = "Chromium/156",
        origin: str = "https://localhost",
        can_bind: bool = True,
        has_quota: bool = False,
        is_proactive: bool = False,
        prefers: tuple[str, ...] = ("ES256", "RS256"),
    ) -> None:
        self.wire, self.jar = wire, CookieJar(now)
        self._keeper = SessionKeeper(self._post, lambda: self.jar, now, has_quota=has_quota, prefers=prefers)
        self.sessions = self._keeper.sessions
        self.events = self._keeper.events
        """What Chromium's DevTools would tell: registered, refreshed, kept for a reason, forgotten for a reason."""
        self.sent: list[str] = []
        """Method, path and status of every request, "+proof" where it brought one; status 0 if no answer came."""
        self._now, self._user_agent, self._origin = now, user_agent, origin
        self._can_bind, self._is_proactive = can_bind, is_proactive

    @property
    def session(self) -> BoundSession:
        """The only one."""
        (session,) = self.sessions.values()
        return session

    # ---- what a page does

    def visit(self, path: str, site: str = "none", **how: Any) -> Reply:
        """Go to an address: typed, or by a link of a page of another ``site``."""
        return self.request(path, site=site, mode="navigate", **how)

    def request(
        self,
        path: str,
        method: str = "GET",
        *,
        site: str = "same-origin",
        mode: str = "cors",
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request as a page of this ``site`` does, held back for a refresh if it needs one, redirects followed.

        :raises OSError: if no answer came.
        """
        deferred: dict[str, str] = {}
        body = urlencode(form or {}).encode()
        for _ in range(REDIRECTS):
            skipped = self._hold_back(path, site, deferred)
            given = self._page_headers(method, site, mode) | dict(headers or {})
            if form is not None:
                given["Content-Type"] = "application/x-www-form-urlencoded"
            if skipped:
                given["Secure-Session-Skipped"] = skipped
            reply = self._send(method, path, given, body, with_cookies=_sends_lax(method, site, mode))
            if reply.status in (307, 308):
                path = self._path_of(reply)
            elif mode == "navigate" and reply.status == 200 and _refreshes_itself(reply):
                self.events.append("the page loaded itself again")
                site, deferred = "same-origin", {}
            else:
                return reply
        raise AssertionError(f"redirected for ever: {self.sent[-REDIRECTS:]}")

    def close_and_open(self) -> None:
        """Restart: cookies without an age are gone; sessions, keys and the other cookies are kept."""
        self.jar.close_browser()
        for session in self.sessions.values():
            session.challenge = session.proof = None

    def copied(self, wire: Wire | None = None, user_agent: str = "Thief/6.6") -> BoundBrowser:
        """A browser with the same cookies and none of the keys."""
        thief = BoundBrowser(wire or self.wire, now=self._now, user_agent=user_agent, can_bind=False)
        thief.jar = self.jar.copy()
        return thief

    def refreshes(self) -> int:
        """How often a new cookie was got with a proof."""
        return self.events.count("refreshed")

    def settle(self) -> None:
        """Wait for what goes on behind the tabs."""
        self._keeper.settle()

    # ---- holding requests back

    def _hold_back(self, path: str, site: str, deferred: dict[str, str]) -> str | None:
        """Refresh what this request needs; the value of Secure-Session-Skipped, if it goes out without."""
        if site not in ("same-origin", "none"):  # of another initiator nothing is refreshed, a sibling host's neither
            return None
        skipped = []
        for session in list(self.sessions.values()):
            remaining = self._keeper.remaining(session)
            if path.partition("?")[0] == session.refresh_path:
                continue
            if remaining is not None:
                if self._is_proactive and remaining < PROACTIVE:
                    self._keeper.refresh_in_background(session)
                continue
            if session.id not in deferred:  # a request is held back once for a session
                deferred[session.id] = self._keeper.refresh_once(session)
            if (
                deferred[session.id] in SKIPS
                and session.id in self.sessions
                and self._keeper.remaining(session) is None
            ):
                skipped.append(f'{deferred[session.id]};session_identifier="{session.id}"')
        return ", ".join(skipped) or None

    # ---- requests

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", with_cookies: bool = True
    ) -> Reply:
        given = {"User-Agent": self._user_agent} | dict(headers)
        cookies = self.jar.header() if with_cookies else ""
        if cookies:
            given["Cookie"] = cookies
        if method == "POST":
            given.setdefault("Content-Length", str(len(body)))
        said = f"{method} {path.partition('?')[0]}{'+proof' if 'Secure-Session-Response' in given else ''}"
        try:
            reply = self.wire(method, path, given, body)
        except OSError:
            self.sent.append(f"{said} 0")
            raise
        self.sent.append(f"{said} {reply.status}")
        self.jar.take(reply.all("Set-Cookie"))
        self._keeper.take_challenges(reply)
        for header in reply.all("Secure-Session-Registration") if self._can_bind else []:
            self._keeper.register(header)
        return reply

    def _page_headers(self, method: str, site: str, mode: str) -> dict[str, str]:
        accept = "text/html,application/xhtml+xml,*/*;q=0.8" if mode == "navigate" else "*/*"
        headers = {"Accept": accept, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        if method not in ("GET", "HEAD"):
            origins = {"cross-site": "https://elsewhere.example", "same-site": "https://sibling.localhost"}
            headers["Origin"] = origins.get(site, self._origin)
        return headers

    def _post(self, path: str, headers: Mapping[str, str]) -> Reply:
        """A request that the browser makes by itself."""
        own = {"Origin": self._origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Accept": "*/*"}
        return self._send("POST", path, own | dict(headers))

    def _path_of(self, reply: Reply) -> str:
        parts = urlsplit(reply.header("Location") or "")
        assert not parts.netloc or f"{parts.scheme}://{parts.netloc}" == self._origin, "led to another origin"
        return parts.path + (f"?{parts.query}" if parts.query else "")


def _refreshes_itself(reply: Reply) -> bool:
    return (reply.header("Refresh") or "").partition(";")[0].strip() == "0"


def _sends_lax(method: str, site: str, mode: str) -> bool:
    """Whether SameSite=Lax cookies go along."""
    return site != "cross-site" or (method in ("GET", "HEAD") and mode == "navigate")
