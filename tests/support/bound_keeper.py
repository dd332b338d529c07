"""The sessions a software browser holds keys for: registered, refreshed and forgotten as Chromium does it.

Every answer that makes Chromium forget a session makes this one forget it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.support.bound_jar import CookieJar, Credential, DeviceKey, normalized
from tests.support.bound_wire import Reply

MAX_CHALLENGES = 5
"""Requests of one refresh; one more 403 and the session is forgotten."""

QUOTA, QUOTA_WINDOW = 6, 9 * 60
"""Signatures a site may ask for in so many seconds, the registration's included."""


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


class SessionKeeper:
    """Those of one browser. ``post`` sends a path and headers as the browser does by itself; OSError if it gets no
    answer."""

    def __init__(
        self,
        post: Callable[[str, Mapping[str, str]], Reply],
        jar: Callable[[], CookieJar],
        now: Callable[[], float],
        *,
        has_quota: bool,
        prefers: tuple[str, ...],
    ) -> None:
        self.sessions: dict[str, BoundSession] = {}
        self.events: list[str] = []
        self._post, self._jar, self._now, self._has_quota, self._prefers = post, jar, now, has_quota, prefers
        self._lock = threading.Lock()
        self._running: dict[str, Future[str]] = {}
        self._background: list[threading.Thread] = []
        self._signed: list[float] = []

    def remaining(self, session: BoundSession) -> float | None:
        """For how many seconds the session's cookie is there yet; None if it is missing."""
        ages = [self._jar().remaining(credential) for credential in session.credentials]
        found = [age for age in ages if age is not None]
        return min(found) if len(found) == len(ages) else None

    def refresh_in_background(self, session: BoundSession) -> None:
        """Refresh ahead of time, unless that is under way."""
        with self._lock:
            if session.id in self._running:
                return
            thread = threading.Thread(target=self.refresh_once, args=(session, False), daemon=True)
            self._background = [each for each in self._background if each.is_alive()] + [thread]
            thread.start()

    def refresh_once(self, session: BoundSession, only_if_missing: bool = True) -> str:
        """Refresh, or wait for the refresh that is under way; its result."""
        with self._lock:
            if only_if_missing and self.remaining(session) is not None:
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

    def settle(self) -> None:
        """Wait for what goes on behind the tabs."""
        for thread in self._background:
            thread.join()

    def take_challenges(self, reply: Reply) -> None:
        """Keep those for the next proofs."""
        for challenge, id in _challenges(reply):
            session = self.sessions.get(id)
            if session is not None:
                session.challenge = challenge

    # ---- the refresh

    def _refresh(self, session: BoundSession) -> str:
        for _ in range(MAX_CHALLENGES):
            headers = {"Sec-Secure-Session-Id": session.id}
            if session.challenge is not None:
                if not self._may_sign(session):
                    return self._kept("quota_exceeded")
                headers["Secure-Session-Response"] = self._proof(session)
            try:
                reply = self._post(session.refresh_path, headers)
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

    def register(self, header: str) -> None:
        """Make a key and register it, as this header asks."""
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
            reply = self._post(parameters["path"], {"Secure-Session-Response": proof})
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
        self.take_challenges(reply)
        self.events.append("registered")


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
