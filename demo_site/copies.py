"""Copies of visitors' cookies, each in the jar of a second client, kept for minutes in the memory of this process.

The client sends its requests to the app itself (WSGI): through every middleware, hook and view, as any request, but
over no socket. So it reaches no other server, whatever the Host header says; it needs no free thread of this one, nor
to know a port, a proxy or a certificate; and it can come from an address of its own.
"""

from __future__ import annotations

import contextvars
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from threading import Lock, Timer
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request
from werkzeug.test import Client, TestResponse

KEPT = 50
"""How many copies one process keeps; the oldest goes first."""
KEPT_FOR = 20 * 60
"""Seconds: longer than a short session lasts."""
THIEF = {
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Accept": "*/*",  # as a script asks: who is not signed in then gets a 401 that says why, and no redirect
}
THIEF_IP = "203.0.113.66"
"""An address for documentation, which nobody has (RFC 5737)."""
SHORT, LONG, DEVICE = "cbo_short_session", "cbo_long_session", "cbo_device"
"""The cookies of the extension, which over https have a prefix."""
_PREFIXES = "", "__Host-"
_TITLE = re.compile("<title>(.*?)(?: ·.*)?</title>")


@dataclass(frozen=True, slots=True)
class Look:
    """What a client is served when it asks for a page, and for who it is."""

    status: int
    page: str | None = None
    email: str | None = None
    reason: str | None = None
    """Why its session no longer serves, in the word of the 401."""
    until: str | None = None
    """When its short session ends."""


class CopiedJar:
    """A visitor's cookies in a second client. No value of theirs leaves it but in its own requests."""

    def __init__(self, app: Flask, request: Request) -> None:
        self._client, self._base_url = Client(app), request.url_root
        self._host = urlsplit(request.url_root).hostname or ""
        self._owner = _device_of(request)
        self._tokens: list[bytes] = []
        self._lock = Lock()
        for name, value in request.cookies.items():
            if name.endswith((SHORT, LONG, DEVICE)):
                self._client.set_cookie(name, value, domain=self._host)
        self.token_of(request)

    def belongs_to(self, request: Request) -> bool:
        """Whether it is a copy of the cookies of the browser that sent a request, signed in or not."""
        return secrets.compare_digest(self._owner, _device_of(request))

    def look(self, page: str, who_am_i: str) -> Look:
        """Ask for a page as the thief, and for who they are."""
        with self._lock:
            response = self._get(page)
            if response.status_code != 200:
                return Look(response.status_code, reason=_json(response).get("reason"))
            title, who = _TITLE.search(response.text), _json(self._get(who_am_i))
        return Look(
            status=200,
            page=unescape(title[1]) if title else None,
            email=who.get("claims", {}).get("email"),
            until=who.get("expires_at"),
        )

    def end_short_session(self) -> None:
        """Forget the short session's cookie, as a browser does when its time is over."""
        with self._lock:
            for prefix in _PREFIXES:
                self._client.delete_cookie(prefix + SHORT, domain=self._host)

    def token_of(self, request: Request) -> int | None:
        """Which long-session token a browser holds: they are numbered as they are first seen."""
        return self._number(_cookie(request, LONG))

    def token(self) -> int | None:
        """Which of them the thief holds."""
        with self._lock:
            cookies = [self._client.get_cookie(prefix + LONG, self._host) for prefix in _PREFIXES]
        return self._number(next((cookie.value for cookie in cookies if cookie is not None), None))

    def _get(self, path: str) -> TestResponse:
        # in a context of its own: nothing of the visitor's request, its database session included, is the thief's
        return contextvars.Context().run(
            self._client.get, path, base_url=self._base_url, headers=THIEF, environ_base={"REMOTE_ADDR": THIEF_IP}
        )

    def _number(self, token: str | None) -> int | None:
        if token is None:
            return None
        seen = sha256(token.encode()).digest()
        with self._lock:
            if seen not in self._tokens:
                self._tokens.append(seen)
            return self._tokens.index(seen) + 1


class Copies:
    """The copies of one process, by handles that only their owners' pages know."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._copies: OrderedDict[str, tuple[CopiedJar, Timer]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._copies)

    def make(self, request: Request) -> tuple[str, CopiedJar]:
        """Copy the cookies that came with a request, and keep them for a while; the oldest copy may have to go."""
        handle, copied = secrets.token_urlsafe(24), CopiedJar(self._app, request)
        timer = Timer(KEPT_FOR, self.forget, [handle])
        timer.daemon = True
        with self._lock:
            self._copies[handle] = copied, timer
            surplus = list(self._copies)[:-KEPT]
        timer.start()
        for oldest in surplus:
            self.forget(oldest)
        return handle, copied

    def find(self, handle: object, request: Request) -> CopiedJar | None:
        """The copy of that handle, for the browser whose cookies were copied."""
        found = self._copies.get(handle) if isinstance(handle, str) else None
        return found[0] if found is not None and found[0].belongs_to(request) else None

    def forget(self, handle: str) -> None:
        """Drop a copy, with its cookies."""
        with self._lock:
            forgotten = self._copies.pop(handle, None)
        if forgotten is not None:
            forgotten[1].cancel()


def short_cookie_name(request: Request) -> str | None:
    """The name of the short session's cookie, in a browser that has one."""
    return next((name for name in request.cookies if name.endswith(SHORT)), None)


def _cookie(request: Request, ending: str) -> str | None:
    return next((value for name, value in request.cookies.items() if name.endswith(ending)), None)


def _device_of(request: Request) -> bytes:
    """What a browser is known by: its device cookie, which outlives its sessions. Random without one, like nobody's."""
    device = _cookie(request, DEVICE)
    return secrets.token_bytes(32) if device is None else sha256(device.encode()).digest()


def _json(response: TestResponse) -> dict[str, Any]:
    found = response.get_json(silent=True)
    return found if isinstance(found, dict) else {}
