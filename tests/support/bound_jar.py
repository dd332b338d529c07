"""The cookies and the keys of the software browser of ``bound_client``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


class Credential(NamedTuple):
    """A cookie as a session's instructions name it."""

    name: str
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeptCookie:
    """A cookie in the jar; ``until`` is None for one that ends with the browser."""

    value: str = field(repr=False)
    attributes: frozenset[str]
    until: float | None


class CookieJar:
    """Those of one host. Any number of threads may use it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._lock = now, threading.Lock()
        self._kept: dict[str, KeptCookie] = {}

    def take(self, set_cookies: Iterable[str]) -> None:
        """Keep or delete what Set-Cookie headers say."""
        with self._lock:
            for line in set_cookies:
                pair, *rest = (part.strip() for part in line.split(";"))
                name, _, value = pair.partition("=")
                age = next((int(part[8:]) for part in rest if part.lower().startswith("max-age=")), None)
                self._kept.pop(name, None)
                if age is None or age > 0:
                    until = None if age is None else self._now() + age
                    self._kept[name] = KeptCookie(value, normalized(rest), until)

    def header(self) -> str:
        """The Cookie header of a request that leaves now."""
        return "; ".join(f"{name}={cookie.value}" for name, cookie in self._live().items())

    def remaining(self, credential: Credential) -> float | None:
        """For how many seconds a session's cookie will be there yet; None if it is missing, or has other attributes."""
        cookie = self._live().get(credential.name)
        if cookie is None or cookie.attributes != credential.attributes:
            return None
        return float("inf") if cookie.until is None else cookie.until - self._now()

    def value(self, name: str) -> str | None:
        """Of one cookie."""
        cookie = self._live().get(name)
        return None if cookie is None else cookie.value

    def put(self, name: str, value: str) -> None:
        """Write a cookie as somebody with another browser's cookies does."""
        with self._lock:
            self._kept[name] = KeptCookie(value, frozenset({"path=/", "secure", "httponly", "samesite=lax"}), None)

    def delete(self, name: str) -> None:
        """Lose one."""
        with self._lock:
            self._kept.pop(name, None)

    def names(self) -> set[str]:
        """Those that would be sent."""
        return set(self._live())

    def close_browser(self) -> None:
        """Forget those that end with the browser."""
        with self._lock:
            self._kept = {name: cookie for name, cookie in self._kept.items() if cookie.until is not None}

    def copy(self) -> CookieJar:
        """The same cookies elsewhere."""
        jar = CookieJar(self._now)
        jar._kept = self._live()
        return jar

    def _live(self) -> dict[str, KeptCookie]:
        with self._lock:
            now = self._now()
            return {name: each for name, each in self._kept.items() if each.until is None or each.until > now}


def normalized(attributes: Iterable[str]) -> frozenset[str]:
    """What Chromium compares: all but Max-Age and Expires."""
    lowered = (part.strip().lower() for part in attributes)
    return frozenset(part for part in lowered if part and not part.startswith(("max-age=", "expires=")))


class DeviceKey:
    """A key the browser cannot give away; here it is software."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self._private: Any = (
            ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
        )

    def __repr__(self) -> str:
        return f"<a key for {self.algorithm}>"

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, with the members that Chromium sends."""
        kind: Any = ECAlgorithm if self.algorithm == "ES256" else RSAAlgorithm
        members: dict[str, Any] = json.loads(kind.to_jwk(self._private.public_key()))
        return {name: members[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in members}

    def registration_proof(self, challenge: str | None, authorization: str | None = None) -> str:
        """The JWT of a registration, which brings the key."""
        payload = {"jti": challenge} | ({"authorization": authorization} if authorization is not None else {})
        return self.sign(payload, {"typ": "dbsc+jwt", "jwk": self.jwk})

    def refresh_proof(self, challenge: str) -> str:
        """The JWT of a refresh, which does not."""
        return self.sign({"jti": challenge}, {"typ": "dbsc+jwt"})

    def sign(self, payload: dict[str, Any], headers: dict[str, Any], algorithm: str | None = None) -> str:
        """Any JWT."""
        return jwt.encode(payload, self._private, algorithm or self.algorithm, headers=headers)
