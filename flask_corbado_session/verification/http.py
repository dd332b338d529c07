"""Fetching a small JSON document of the issuer: bounded in time and size, and never from another origin."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from functools import cache
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from time import monotonic
from typing import Any
from urllib.parse import unquote, urljoin
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, make_headers, parse_url

from ..model.errors import StoreUnavailable
from ..model.process import PerProcess

TIMEOUT = 3.0
"""Seconds for a whole fetch."""
SIZE_LIMIT = 1024 * 1024
"""Bytes."""
MAX_REQUESTS = 5
"""The first, and those that follow redirects."""
_HEADERS = {"Accept": "application/json", "Connection": "close", "User-Agent": "flask-corbado-session"}


def check_url(url: str) -> str:
    """``url`` itself; ValueError unless it is http or https, names a host, and holds no user name or password."""
    _origin(url)
    return url


def fetch_json(url: str, timeout: float = TIMEOUT) -> Any:
    """The document at ``url``, or :class:`StoreUnavailable`. Redirects are followed within its origin only."""
    origin = _origin(url)
    where = f"{origin.scheme}://{origin.netloc}"
    try:
        body = _fetch(url, monotonic() + timeout)
    except (HTTPError, HTTPException, OSError, ValueError, LookupError) as error:  # whose text may be the peer's
        raise StoreUnavailable(
            f"{where} gave no answer that can be used: {ascii(_reason(error))[1:-1][:200]}"
        ) from None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise StoreUnavailable(f"expected JSON from {where}, and got {len(body)} bytes of something else") from None


def _origin(url: str) -> Url:
    try:
        parts = parse_url(url)
    except LocationParseError:
        parts = Url()
    if parts.scheme not in ("http", "https") or not parts.host or parts.auth is not None:
        raise ValueError("expected an http or https URL of a host, without user name and password")
    return Url(parts.scheme, host=parts.host, port=parts.port)


def _reason(error: Exception) -> str:
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
    return f"{type(cause).__name__}: {cause}".rstrip(": ")


def _fetch(url: str, deadline: float) -> bytes:
    origin = _origin(url)
    with _manager(origin) as manager:
        for _ in range(MAX_REQUESTS):
            timeout = Timeout(total=_remaining(deadline))
            with manager.urlopen("GET", url, timeout=timeout, redirect=False, preload_content=False) as response:
                location = response.get_redirect_location()
                if not location:
                    return _read(response)
            url = urljoin(url, location)
            if _origin(url) != origin:
                raise ValueError("a redirect to another host, which is refused")
    raise ValueError("too many redirects")


def _read(response: BaseHTTPResponse) -> bytes:
    if not 200 <= response.status < 300:
        raise ValueError(f"{response.status} {response.reason}")
    body = bytearray()
    for chunk in response.stream(65536, decode_content=False):  # compressed, a small answer could be a huge one
        body += chunk
        if len(body) > SIZE_LIMIT:
            raise ValueError(f"more than {SIZE_LIMIT} bytes")
    return bytes(body)


def _manager(origin: Url) -> PoolManager:
    """urllib3's, with the proxy of the environment, and with connections that keep the deadline."""
    proxy = None if proxy_bypass(origin.netloc or "") else getproxies().get(origin.scheme or "")
    options: dict[str, Any] = {"headers": _HEADERS, "retries": False, "ssl_context": _tls()}
    manager = PoolManager(**options) if proxy is None else _proxy_manager(proxy, options)
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager


def _proxy_manager(proxy: str, options: dict[str, Any]) -> ProxyManager:
    try:
        url = parse_url(proxy if "://" in proxy else f"http://{proxy}")
    except LocationParseError:  # whose text may hold a password
        raise ValueError("the proxy that the environment names is no URL") from None
    proxy_headers = make_headers(proxy_basic_auth=url.auth and unquote(url.auth))
    return ProxyManager(url.url, proxy_headers=proxy_headers, proxy_ssl_context=_tls(), **options)


@cache
def _tls() -> ssl.SSLContext:
    # reading the certificates of the system takes 30 ms, too long for each poll
    return ssl.create_default_context()


# ---- a deadline for the whole: the timeout of a socket is one for each read, and a peer that drips outlasts it


def _remaining(deadline: float) -> float:
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise TimeoutError("not done in time")
    return remaining


class _DeadlineReader(RawIOBase):
    """A socket's stream. The socket's timeout is counted once, from now on, and not anew for each read."""

    def __init__(self, stream: RawIOBase, socket: Any) -> None:
        self._stream, self._socket = stream, socket
        self._deadline = monotonic() + socket.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        self._socket.settimeout(_remaining(self._deadline))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = BufferedReader(_DeadlineReader(self.fp.detach(), sock))


class _HTTP(HTTPConnection):
    response_class = _Response


class _HTTPS(HTTPSConnection):
    response_class = _Response


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPS


# ---- in the background


class SingleFlight:
    """Runs some work in a background thread, one run at a time in each process: a forked child has no thread of its
    parent's, and waits for none."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._flights = PerProcess(_Flight)

    def start(self, pause: float = 0.0) -> None:
        """Start, unless it is running, or was last started less than ``pause`` seconds ago."""
        flight = self._flights.get()
        with flight.lock:
            now = monotonic()
            if not flight.done.is_set() or now - flight.started_at < pause:
                return
            done = threading.Event()
            threading.Thread(target=self._run, args=(done,), name="corbado-session-fetch", daemon=True).start()
            flight.done, flight.started_at = done, now

    def wait(self, seconds: float) -> bool:
        """Wait until it is not running, so many seconds at most; False if it still is."""
        return self._flights.get().done.wait(seconds)

    def _run(self, done: threading.Event) -> None:
        try:
            self._work()
        finally:
            done.set()


class _Flight:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.done.set()
        self.started_at = float("-inf")
