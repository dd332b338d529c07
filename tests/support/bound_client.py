"""A browser with device-bound sessions in software: what Chromium 156 was measured to do, header by header.

It keeps cookies and keys, registers when it is asked to, holds a request back while the bound cookie is missing and
proves its key for a new one, caches challenges, resends a proof whose answer was lost, and forgets a session for the
answers that make Chromium forget it. Its tabs are threads; a session is refreshed once for all that wait for it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.bound_jar import CookieJar, Credential, DeviceKey, normalized
from tests.support.bound_wire import Reply, Wire

MAX_CHALLENGES = 5
"""Requests of one refresh; one more 403 and the session is forgotten."""

QUOTA, QUOTA_WINDOW = 6, 9 * 60
"""Signatures a site may ask for in so many seconds, the registration's included."""

PROACTIVE = 120
"""Seconds before the cookie's end, from which on a request that goes out has it renewed meanwhile."""

REDIRECTS = 20
SKIPS = ("server_error", "unreachable", "quota_exceeded")


@dataclass
class BoundSession:
    """A session the browser holds a key for."""

    id: str
    key: DeviceKey
    refresh_path: str
    credentials: list[Credential]
    challenge: str | None = field(default=None, repr=False)
    proof: tuple[str, str] | None = field(default=None, repr=False)
    """The last challenge that was signed, and what came of it: the same is sent again."""


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
        self.wire, self.jar, self.sessions = wire, CookieJar(now), dict[str, BoundSession]()
        self.events: list[str] = []
        """What Chromium's DevTools would tell: registered, refreshed, kept for a reason, forgotten for a reason."""
        self.sent: list[str] = []
        """Method, path and status of every request, "+proof" where it brought one; status 0 if no answer came."""
        self._now, self._user_agent, self._origin, self._prefers = now, user_agent, origin, prefers
        self._can_bind, self._has_quota, self._is_proactive = can_bind, has_quota, is_proactive
        self._lock = threading.Lock()
        self._running: dict[str, Future[str]] = {}
        self._background: list[threading.Thread] = []
        self._signed: list[float] = []

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
        for thread in self._background:
            thread.join()

    # ---- holding requests back

    def _hold_back(self, path: str, site: str, deferred: dict[str, str]) -> str | None:
        """Refresh what this request needs; the value of Secure-Session-Skipped, if it goes out without."""
        if site not in ("same-origin", "none"):  # of another initiator nothing is refreshed, a sibling host's neither
            return None
        skipped = []
        for session in list(self.sessions.values()):
            remaining = self._remaining(session)
            if path.partition("?")[0] == session.refresh_path:
                continue
            if remaining is not None:
                if self._is_proactive and remaining < PROACTIVE:
                    self._refresh_in_background(session)
                continue
            if session.id not in deferred:  # a request is held back once for a session
                deferred[session.id] = self._refresh_once(session)
            if deferred[session.id] in SKIPS and session.id in self.sessions and self._remaining(session) is None:
                skipped.append(f'{deferred[session.id]};session_identifier="{session.id}"')
        return ", ".join(skipped) or None

    def _remaining(self, session: BoundSession) -> float | None:
        ages = [self.jar.remaining(credential) for credential in session.credentials]
        found = [age for age in ages if age is not None]
        return min(found) if len(found) == len(ages) else None

    def _refresh_in_background(self, session: BoundSession) -> None:
        with self._lock:
            if session.id in self._running:
                return
            thread = threading.Thread(target=self._refresh_once, args=(session, False), daemon=True)
            self._background = [each for each in self._background if each.is_alive()] + [thread]
            thread.start()

    def _refresh_once(self, session: BoundSession, only_if_missing: bool = True) -> str:
        """Refresh, or wait for the refresh that is under way; its result."""
        with self._lock:
            if only_if_missing and self._remaining(session) is not None:
                return "refreshed"
            running, is_mine = self._running.get(session.id), False
            if running is None:
                running, is_mine = self._running.setdefault(session.id, Future()), True
        if not is_mine:
            return running.result()
        result = "unreachable"
        try:
            result = self._refresh(session)
        finally:
            with self._lock:
                del self._running[session.id]
            running.set_result(result)
        return result

    # ---- the refresh

    def _refresh(self, session: BoundSession) -> str:
        for _ in range(MAX_CHALLENGES):
            headers = {"Sec-Secure-Session-Id": session.id}
            if session.challenge is not None:
                if not self._may_sign(session):
                    return self._kept("quota_exceeded")
                headers["Secure-Session-Response"] = self._proof(session)
            try:
                reply = self._send("POST", session.refresh_path, self._own_headers() | headers)
            except OSError:
                return self._kept("unreachable")
            if reply.status != 403:
                return self._take_refresh(session, reply)
            if not any(id == session.id for _, id in _challenges(reply)):
                return self._forget(session, "403 without a challenge")
        return self._forget(session, "TooManyChallenges")

    def _take_refresh(self, session: BoundSession, reply: Reply) -> str:
        if reply.status >= 500:
            return self._kept("server_error")
        if reply.status >= 300 or reply.status < 200:
            return self._forget(session, str(reply.status))
        if reply.body:
            said = reply.json
            if not isinstance(said, dict) or said.get("session_identifier") != session.id:
                return self._forget(session, "InvalidSessionId")
            if said.get("continue") is False:
                return self._forget(session, "ServerRequestedTermination")
            try:
                session.refresh_path, session.credentials = _instructions(said)
            except (KeyError, TypeError, ValueError):
                return self._forget(session, "bad instructions")
        self.events.append("refreshed")
        return "refreshed"

    def _proof(self, session: BoundSession) -> str:
        assert session.challenge is not None
        if session.proof is None or session.proof[0] != session.challenge:
            self._signed.append(self._now())
            session.proof = (session.challenge, session.key.refresh_proof(session.challenge))
        return session.proof[1]

    def _may_sign(self, session: BoundSession) -> bool:
        if not self._has_quota or (session.proof is not None and session.proof[0] == session.challenge):
            return True
        return sum(1 for at in self._signed if at > self._now() - QUOTA_WINDOW) < QUOTA

    def _kept(self, why: str) -> str:
        self.events.append(f"kept: {why}")
        return why

    def _forget(self, session: BoundSession, why: str) -> str:
        self.sessions.pop(session.id, None)
        self.events.append(f"forgotten: {why}")
        return "forgotten"

    # ---- the registration

    def _register(self, header: str) -> None:
        offer = re.fullmatch(r"\(([^)]*)\)(.*)", header)
        assert offer is not None, "a registration header begins with a list"
        parameters = dict(re.findall(r';\s*(\w+)="([^"]*)"', offer[2]))
        algorithm = next((name for name in offer[1].split() if name in self._prefers), None)
        if algorithm is None or "path" not in parameters:
            return
        self._signed.append(self._now())
        key = DeviceKey(algorithm)
        proof = key.registration_proof(parameters.get("challenge"), parameters.get("authorization"))
        try:
            reply = self._send("POST", parameters["path"], self._own_headers() | {"Secure-Session-Response": proof})
        except OSError:
            self.events.append("not registered: no answer")
            return
        try:
            if reply.status != 200:
                raise ValueError(reply.status)
            refresh_path, credentials = _instructions(reply.json)
            session = BoundSession(reply.json["session_identifier"], key, refresh_path, credentials)
        except (KeyError, TypeError, ValueError):
            self.events.append(f"not registered: {reply.status}")
            return
        self.sessions[session.id] = session
        self._take_challenges(reply)
        self.events.append("registered")

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
        self._take_challenges(reply)
        for header in reply.all("Secure-Session-Registration") if self._can_bind else []:
            self._register(header)
        return reply

    def _take_challenges(self, reply: Reply) -> None:
        for challenge, id in _challenges(reply):
            session = self.sessions.get(id)
            if session is not None:
                session.challenge = challenge

    def _page_headers(self, method: str, site: str, mode: str) -> dict[str, str]:
        accept = "text/html,application/xhtml+xml,*/*;q=0.8" if mode == "navigate" else "*/*"
        headers = {"Accept": accept, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        if method not in ("GET", "HEAD"):
            origins = {"cross-site": "https://elsewhere.example", "same-site": "https://sibling.localhost"}
            headers["Origin"] = origins.get(site, self._origin)
        return headers

    def _own_headers(self) -> dict[str, str]:
        """Those of a request that the browser makes by itself."""
        return {"Origin": self._origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Accept": "*/*"}

    def _path_of(self, reply: Reply) -> str:
        parts = urlsplit(reply.header("Location") or "")
        assert not parts.netloc or f"{parts.scheme}://{parts.netloc}" == self._origin, "led to another origin"
        return parts.path + (f"?{parts.query}" if parts.query else "")


def _instructions(said: Any) -> tuple[str, list[Credential]]:
    """The refresh path and the credentials of a session's instructions; an error where Chromium refuses them."""
    if said["scope"]["include_site"] is not False or not said["session_identifier"]:
        raise ValueError("scope")
    credentials = [_credential(each) for each in said["credentials"]]
    if not credentials:
        raise ValueError("NoCredentials")
    return urlsplit(said["refresh_url"]).path, credentials


def _credential(said: Any) -> Credential:
    if said["type"] != "cookie":
        raise ValueError("type")
    return Credential(said["name"], normalized(said["attributes"].split(";")))


def _challenges(reply: Reply) -> list[tuple[str, str]]:
    """Each challenge of an answer, and the session it is for."""
    found = (re.fullmatch(r'"([^"]+)";\s*id="([^"]+)"', each) for each in reply.all("Secure-Session-Challenge"))
    return [(each[1], each[2]) for each in found if each is not None]


def _refreshes_itself(reply: Reply) -> bool:
    return (reply.header("Refresh") or "").partition(";")[0].strip() == "0"


def _sends_lax(method: str, site: str, mode: str) -> bool:
    """Whether SameSite=Lax cookies go along."""
    return site != "cross-site" or (method in ("GET", "HEAD") and mode == "navigate")
