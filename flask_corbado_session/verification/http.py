"""Fetching a small JSON document of the issuer, for services that only verify: bounded in time, size and direction."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from functools import cache, partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from time import monotonic
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from ..model.errors import StoreUnavailable

TIMEOUT = 3.0
"""Seconds for a whole fetch."""
SIZE_LIMIT = 1024 * 1024
"""Bytes."""
_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def check_url(url: str) -> str:
    """``url`` itself; ValueError unless it is http or https, names a host, and holds no user name or password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("expected an http or https URL of a host, without user name and password")
    return url


def fetch_json(url: str, timeout: float = TIMEOUT) -> Any:
    """The document at ``url``; :class:`StoreUnavailable` says why there is none. Never leaves the configured host."""
    where = "{0.scheme}://{0.netloc}".format(urlsplit(check_url(url)))
    try:
        body = _read(url, monotonic() + timeout)
    except (OSError, HTTPException, ValueError) as error:  # whose text may be the peer's
        raise StoreUnavailable(f"{where} gave no answer that can be used: {ascii(_why(error))[1:200]}") from None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise StoreUnavailable(f"expected JSON from {where}, and got {len(body)} bytes of something else") from None


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'reason', None) or error}".rstrip(": ")


def _read(url: str, deadline: float) -> bytes:
    body = bytearray()
    with _follow(url, deadline) as response:
        while chunk := response.read1(65536):  # whatever has arrived
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise ValueError(f"more than {SIZE_LIMIT} bytes")
    return bytes(body)


def _follow(url: str, deadline: float) -> Any:
    """The answer, after redirects within the origin that was configured."""
    opener, origin = _opener(deadline), urlsplit(url)[:2]
    for _ in range(_HOPS):
        request = Request(url, headers={"Accept": "application/json", "User-Agent": "flask-corbado-session"})
        try:
            return opener.open(request, timeout=_left(deadline))
        except HTTPError as error:
            error.close()
            if error.code not in _REDIRECTS:
                raise
            url = urljoin(url, error.headers.get("Location", ""))
        if urlsplit(url)[:2] != origin:
            raise URLError("a redirect to another host, which is refused")
    raise URLError("too many redirects")


# ---- a deadline for the whole: the timeout of a socket is one for each read, and a peer that drips outlasts it


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("not done in time")
    return left


class _Until(RawIOBase):
    """A socket's stream, each read of which ends at the deadline."""

    def __init__(self, stream: Any, socket: Any, deadline: float) -> None:
        self._stream, self._socket, self._deadline = stream, socket, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        self._socket.settimeout(_left(self._deadline))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, socket: Any, *args: Any, deadline: float, **given: Any) -> None:
        super().__init__(socket, *args, **given)
        self.fp = BufferedReader(_Until(self.fp.detach(), socket, deadline))


def _opener(deadline: float) -> OpenerDirector:
    """urllib's, with the proxies of the environment; without files, and redirects, which :func:`_follow` looks at."""

    def plain(host: str, **given: Any) -> HTTPConnection:
        return _bounded(HTTPConnection(host, **given))

    def secure(host: str, **given: Any) -> HTTPConnection:
        return _bounded(HTTPSConnection(host, context=_tls(), **given))

    def _bounded(connection: HTTPConnection) -> HTTPConnection:
        connection.response_class = partial(_Response, deadline=deadline)  # type: ignore[assignment]  # only called
        return connection

    class Plain(HTTPHandler):
        def http_open(self, req: Request) -> Any:
            return self.do_open(plain, req)

    class Secure(HTTPSHandler):
        def https_open(self, req: Request) -> Any:
            return self.do_open(secure, req)

    opener = OpenerDirector()
    for handler in (ProxyHandler(), Plain(), Secure(), HTTPErrorProcessor(), HTTPDefaultErrorHandler()):
        opener.add_handler(handler)
    return opener


@cache
def _tls() -> ssl.SSLContext:
    # reading the certificates of the system takes 30 ms, which no poll of every second should
    return ssl.create_default_context()


# ---- in the background


class SingleFlight:
    """Runs a fetch in the background, one at a time, so that nobody has to wait behind it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._landed = threading.Event()
        self._landed.set()
        self._started_at = float("-inf")

    def start(self, pause: float = 0.0) -> None:
        """Set out, unless one is under way, or the last set out less than ``pause`` seconds ago."""
        with self._lock:
            now = monotonic()
            if not self._landed.is_set() or now - self._started_at < pause:
                return
            landed = threading.Event()
            args = (landed,)
            threading.Thread(target=self._fly, args=args, name="corbado-session-fetch", daemon=True).start()
            self._landed, self._started_at = landed, now

    def wait(self, seconds: float) -> bool:
        """Wait for the one under way; True as soon as none is."""
        return self._landed.wait(seconds)

    def _fly(self, landed: threading.Event) -> None:
        try:
            self._work()
        finally:
            landed.set()
