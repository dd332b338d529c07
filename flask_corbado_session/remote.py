"""Fetching a small JSON document of the issuer, for services that only verify: bounded in time, size and direction."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from .errors import StoreUnavailable

TIMEOUT = 3.0
"""Seconds for a whole fetch."""
SIZE_LIMIT = 1024 * 1024
"""Bytes."""


def fetch_json(url: str, timeout: float = TIMEOUT) -> Any:
    """The document at ``url``; :class:`StoreUnavailable` says why there is none. Never leaves the configured host."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise StoreUnavailable("expected an http or https URL")
    where = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    try:
        body = _read(url, timeout)
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise StoreUnavailable(f"{where} gave no answer that can be used: {_why(error)}") from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise StoreUnavailable(f"expected JSON from {where}, and got {len(body)} bytes of something else") from None


def _read(url: str, timeout: float) -> bytes:
    deadline = monotonic() + timeout
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "flask-corbado-session"})
    body = b""
    with _opener(url).open(request, timeout=timeout) as response:
        # read1: whatever has arrived; a peer that drips would keep read() beyond any timeout
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise ValueError(f"more than {SIZE_LIMIT} bytes")
            if monotonic() > deadline:
                raise TimeoutError(f"not done in {timeout:g} s")
    return body


class _SameHost(HTTPRedirectHandler):
    """Follows a redirect only within the origin that was configured."""

    def __init__(self, url: str) -> None:
        self._origin = urlsplit(url)[:2]

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        if urlsplit(newurl)[:2] != self._origin:
            raise URLError("a redirect to another host, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> OpenerDirector:
    return build_opener(ProxyHandler(), _SameHost(url))


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return f"{type(error).__name__}: {reason or error}"[:200]


class SingleFlight:
    """Runs a fetch in the background, one at a time, so that nobody has to wait behind it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._flying = False

    def start(self) -> threading.Event:
        """Set out, unless one is under way; the event tells when that one is done."""
        with self._lock:
            if not self._flying:
                self._flying, self._done = True, threading.Event()
                threading.Thread(target=self._fly, name="corbado-session-fetch", daemon=True).start()
            return self._done

    def _fly(self) -> None:
        try:
            self._work()
        finally:
            with self._lock:
                self._flying = False
            self._done.set()
