"""The keys of the short session. A key is bound to one algorithm and found by its ``kid``, never by what a header says
(``jku``, ``jwk``, ``x5u``)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol

from itsdangerous.encoding import base64_encode

SigningAlgorithm = Literal["RS256", "ES256", "EdDSA"]
Algorithms = Literal["HS256"] | SigningAlgorithm

KEY_TYPES: Mapping[SigningAlgorithm, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""``kty`` and ``crv`` of the JWK of each asymmetric algorithm."""

ALGORITHM_OF_ALG: Mapping[str, Algorithms] = {
    "HS256": "HS256",
    **{algorithm: algorithm for algorithm in KEY_TYPES},
    "Ed25519": "EdDSA",  # the name of RFC 9864
}
"""The algorithm that an ``alg`` names, in a header or in a JWK."""

SHORTEST_SECRET = 16
_WELL_KNOWN = {
    "a secret key",
    "changeme",
    "change-me",
    "change_me",
    "default",
    "dev",
    "development",
    "my secret key",
    "secret",
    "secret-key",
    "secret_key",
    "super secret key",
    "super-secret-key",
    "supersecretkey",
    "thisisasecretkey",
    "this is a secret key",
    "this-is-a-secret-key",
    "you-will-never-guess",
    "your-secret-key",
    "your_secret_key_here",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",  # Flask's own example
    # Superset's, of its source, its templates and its documentation (CVE-2023-27524)
    "\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "TEST_NON_DEV_SECRET",
    "USE_YOUR_OWN_SECURE_RANDOM_KEY",
    "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
    "thisISaSECRET_1234",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key, bound to one algorithm. ``private`` is None where it only verifies."""

    kid: str
    algorithm: Algorithms
    public: Any = field(repr=False)
    private: Any = field(default=None, repr=False)


class KeyRing(Protocol):
    """Where keys come from."""

    @property
    def version(self) -> object:
        """Changes whenever a key that was found may be found no longer; that empties the cache of verified tokens."""

    def signing(self, now: datetime) -> Key:
        """The newest active key."""

    def find(self, kid: str) -> Key | None:
        """The published key with this id."""


class SecretKeys:
    """HS256 under keys derived from Flask's ``SECRET_KEY``; those of ``SECRET_KEY_FALLBACKS`` only verify.

    :param whose: says which app it is, so that another app under the same ``SECRET_KEY`` has other keys. Called when a
        key is first needed.
    """

    version: object = 0

    def __init__(self, secret_keys: Sequence[str | bytes], whose: Callable[[], str] = str) -> None:
        self._secret_keys = secret_keys
        self._whose = whose

    def signing(self, now: datetime) -> Key:
        """The key derived from ``SECRET_KEY``, never one of a fallback."""
        return self._keys[0]

    def find(self, kid: str) -> Key | None:
        """The derived key with this id."""
        return self._by_kid.get(kid)

    @cached_property
    def _keys(self) -> list[Key]:
        whose = self._whose()
        return [_derive(secret, whose) for secret in self._secret_keys]

    @cached_property
    def _by_kid(self) -> dict[str, Key]:
        return {key.kid: key for key in self._keys}


def _derive(secret: str | bytes, whose: str) -> Key:
    # so that a token that another library signs with the same SECRET_KEY is not accepted here
    raw = secret.encode() if isinstance(secret, str) else secret
    purpose = f"flask-corbado-session.short HS256 {whose}".rstrip().encode()
    material = hmac.new(raw, purpose, hashlib.sha256).digest()
    jwk = {"k": base64_encode(material).decode(), "kty": "oct"}
    return Key(thumbprint(jwk), "HS256", material, material)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The HMAC of a message. A key is taken up once, since that takes longer than to sign a short text."""
    mac = _with_key(key).copy()
    mac.update(message)
    return mac.digest()


@lru_cache(maxsize=64)
def _with_key(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod=hashlib.sha256)


def in_signing_order(secret_keys: Sequence[str | bytes]) -> list[bytes]:
    """The secret keys, current one last: itsdangerous signs with the last, and Flask lists the current one first
    (CVE-2025-47278)."""
    return [key.encode() if isinstance(key, str) else key for key in reversed(secret_keys)]


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The RFC 7638 thumbprint of a key: base64url SHA-256 of its required members in order."""
    members = {
        "oct": ("k", "kty"),
        "RSA": ("e", "kty", "n"),
        "EC": ("crv", "kty", "x", "y"),
        "OKP": ("crv", "kty", "x"),
    }
    required = {name: jwk[name] for name in members[jwk["kty"]]}
    text = json.dumps(required, sort_keys=True, separators=(",", ":"))
    return base64_encode(hashlib.sha256(text.encode()).digest()).decode()


def weakness(secret: object) -> str | None:
    """Why a ``SECRET_KEY`` is too weak to sign with (missing, short, or a published one), or None."""
    if not secret:
        return "is not set"
    if not isinstance(secret, (str, bytes)):
        return "is neither text nor bytes"
    text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
    if text in _WELL_KNOWN or text.lower() in _WELL_KNOWN:
        return "is one that everybody knows"
    if len(text) < SHORTEST_SECRET:
        return f"is shorter than {SHORTEST_SECRET} characters"
    if len(set(text)) < 5:
        return "repeats a few characters"
    return None
