"""Short sessions, and tokens of them made by hand: well signed, whatever they hold."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from flask_corbado_session.keys.key import Key, SecretKeys
from flask_corbado_session.model.errors import InvalidShortSession
from flask_corbado_session.model.records import ShortSession
from flask_corbado_session.tokens.short import ShortTokenVerifier
from tests.support.rules import NOON, SECRET

ISSUER = "https://auth.example.com"
KEYS = SecretKeys([SECRET])
KEY = KEYS.signing(NOON)
SECONDS = int(NOON.timestamp())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_KEY = Key("rsa", "RS256", RSA.public_key(), RSA)
HEADER: dict[str, Any] = {"alg": "HS256", "kid": KEY.kid, "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "alice",
    "sid": "s" * 30,
    "iat": SECONDS,
    "nbf": SECONDS - 10,
    "exp": SECONDS + 900,
    "jti": "token-1",
    "auth_time": SECONDS - 5,
    "amr": ["pwd"],
    "role": "admin",
}


def a_short_session(at: datetime, lifetime: timedelta = timedelta(minutes=15)) -> ShortSession:
    """Alice's, of the issuer ``tests``."""
    return ShortSession(
        user_id="alice",
        session_id="A" * 30,
        issued_at=at,
        expires_at=at + lifetime,
        issuer="tests",
        token_id="jti",
        auth_time=at,
        amr=("pwd",),
        claims={},
    )


class Ring:
    """Two keys of two kinds, and a version that a test may change."""

    version: object = 0

    def __init__(self) -> None:
        self.keys = {KEY.kid: KEY, "rsa": RSA_KEY}

    def signing(self, now: datetime) -> Key:
        return KEY

    def find(self, kid: str) -> Key | None:
        return self.keys.get(kid)


def encode(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(signed: str, key: bytes = KEY.private, digest: Any = hashlib.sha256) -> str:
    return f"{signed}.{encode(hmac.new(key, signed.encode(), digest).digest())}"


def token(header: Any = None, claims: Any = None) -> str:
    """A token with a right signature, whatever it holds; dicts change single members, None takes one away."""
    head = {**HEADER, **header} if isinstance(header, dict) else HEADER if header is None else header
    body = {**CLAIMS, **claims} if isinstance(claims, dict) else CLAIMS if claims is None else claims
    parts = [
        {k: v for k, v in part.items() if v is not ...} if isinstance(part, dict) else part for part in (head, body)
    ]
    return sign(f"{encode(parts[0])}.{encode(parts[1])}")


GOOD = token()


def verifier(audience: str | None = None, *, own: bool = True) -> ShortTokenVerifier:
    return ShortTokenVerifier(Ring(), ISSUER, audience, own=own)


def refused(value: str, now: datetime = NOON, **how: Any) -> InvalidShortSession:
    with pytest.raises(InvalidShortSession) as caught:
        verifier(**how).verify(value, now)
    return caught.value
