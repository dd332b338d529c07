"""How the software browser of ``bound_client`` reaches an app: the test client, or a server's socket; and what gets
lost on the way."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any, NamedTuple

from flask import Flask

Wire = Callable[[str, str, Mapping[str, str], bytes], "Reply"]
"""Sends a method, a path, headers and a body; OSError if no answer comes back."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def __repr__(self) -> str:
        return f"<reply {self.status} {self.code or ''}>"

    def all(self, name: str) -> list[str]:
        """The values of a header, each time it stands there."""
        return [value for each, value in self.headers if each.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """Its first value."""
        return next(iter(self.all(name)), None)

    @property
    def json(self) -> Any:
        """The body, parsed; None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str | None:
        """The machine-readable code of a problem."""
        parsed = self.json
        return parsed.get("code") if isinstance(parsed, dict) else None

    @property
    def cookie_names(self) -> set[str]:
        """Which cookies are set, or deleted."""
        return {value.partition("=")[0] for value in self.all("Set-Cookie")}


def app_wire(app: Flask, ip: str = "192.0.2.1", base_url: str = "https://localhost") -> Wire:
    """To the app itself."""

    def send(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        client = app.test_client(use_cookies=False)
        environ = {"REMOTE_ADDR": ip}
        with client.open(
            path, base_url=base_url, method=method, headers=dict(headers), data=body, environ_base=environ
        ) as response:
            return Reply(response.status_code, list(response.headers), response.data)

    return send


class HttpWire:
    """To a server on this port of loopback, by connections that are kept open until it is closed."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self._port, self._timeout, self._lock = port, timeout, threading.Lock()
        self._idle: list[HTTPConnection] = []

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request(method, path, body, {"Host": f"localhost:{self._port}", **headers})
            response = connection.getresponse()
            reply = Reply(response.status, response.getheaders(), response.read())
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionError from error
        with self._lock:
            self._idle.append(connection)
        return reply

    def close(self) -> None:
        """Close them."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()


class Unreliable:
    """A wire that loses, delays or turns into a 503 a share of the answers: half of those before the server sees it."""

    def __init__(self, wire: Wire, share: float, chance: Random, late: float = 0.3) -> None:
        self._wire, self._share, self._chance, self._late = wire, share, chance, late
        self._lock = threading.Lock()
        self.faults: Counter[str] = Counter()

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        fault, is_served, delay = self._draw()
        reply = self._wire(method, path, headers, body) if is_served else None
        if fault == "lost":
            raise ConnectionError("the answer was lost")
        if fault == "503" or reply is None:
            return Reply(503, [("Retry-After", "1")], b"a proxy's page")
        if fault == "late":
            time.sleep(delay)
        return reply

    def _draw(self) -> tuple[str | None, bool, float]:
        with self._lock:
            if self._chance.random() >= self._share:
                return None, True, 0
            fault = self._chance.choice(["lost", "late", "503"])
            is_served = fault == "late" or self._chance.random() < 0.5
            self.faults[fault if is_served else f"{fault} before it was served"] += 1
            return fault, is_served, self._chance.uniform(0, self._late)
