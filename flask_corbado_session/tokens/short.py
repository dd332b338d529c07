"""The short session's token, a JWT (RFC 7519): signed here, and verified here, strictly and without a database.

PyJWT makes and opens the envelope (``tokens/jws``). Which headers and claims are accepted is decided here, before it
and after it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from itsdangerous import BadData
from itsdangerous.encoding import base64_decode
from jwt.exceptions import InvalidSignatureError, PyJWTError

from ..keys.key import ALGORITHM_OF_ALG, Key, KeyRing
from ..model.errors import InvalidShortSession
from ..model.process import ProcessLock
from ..model.records import ShortSession
from .claims import RESERVED, ClaimPolicy, expired, shown
from .jws import sign, verified

SIZE_LIMIT = 4096
"""Bytes. Nothing longer is parsed, and browsers silently drop a longer cookie."""

COOKIE_LIMIT = 3800
"""Bytes of token and cookie name together; the rest is for the cookie's attributes."""

NOT_BEFORE_MARGIN = 10
"""Seconds by which ``nbf`` precedes ``iat``, for services whose clocks are slow."""

_DANGEROUS_HEADERS = ("crit", "b64", "jku", "jwk", "x5u", "x5c")
_CACHE_SIZE = 4096


# ---- making


class ClaimsTooLarge(ValueError):
    """The token would be longer than a browser keeps."""


def mint(short: ShortSession, key: Key, audience: str | None, cookie: str) -> str:
    """The signed token of ``short``; ValueError names the largest claim if a browser would drop the cookie."""
    issued_at = _seconds(short.issued_at)
    payload: dict[str, Any] = {
        **short.claims,
        "iss": short.issuer,
        "sub": short.user_id,
        "sid": short.session_id,
        "iat": issued_at,
        "nbf": issued_at - NOT_BEFORE_MARGIN,
        "exp": _seconds(short.expires_at),
        "jti": short.token_id,
        "auth_time": issued_at if short.auth_time is None else _seconds(short.auth_time),
        "amr": list(short.amr),
    }
    if audience is not None:
        payload["aud"] = audience
    if short.bound:
        payload["dbsc"] = True
    token = sign(payload, key)
    if len(token) + len(cookie) > COOKIE_LIMIT:
        largest = max(short.claims, key=lambda name: len(json.dumps(short.claims[name])), default="amr")
        raise ClaimsTooLarge(
            f"the short session would be {len(token) + len(cookie)} bytes and browsers drop a cookie over 4096: "
            f"its largest claim is {largest!r}; keep the claims below {COOKIE_LIMIT} bytes together"
        )
    return token


def check_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an app's claims; ValueError or TypeError says which one a token can't hold."""
    if not claims:
        return {}
    for name in map(str, claims):
        if name in RESERVED:
            raise ValueError(f"the claim {name!r} is not yours to set: it belongs to the session itself")
    copy: dict[str, Any] = json.loads(json.dumps(dict(claims), allow_nan=False))
    return copy


def new_token_id() -> str:
    """A ``jti``."""
    return secrets.token_urlsafe(12)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


# ---- verifying


class ShortTokenVerifier:
    """Verifies the tokens of one issuer. Whether the session has been ended is for the caller to check.

    With ``own`` a token must have every claim that :func:`mint` writes; without it ``iss``, ``sub`` and ``exp`` are
    enough.
    """

    def __init__(self, keys: KeyRing, issuer: str, audience: str | None = None, *, own: bool = True) -> None:
        self._keys = keys
        self._policy = ClaimPolicy(issuer, audience, own=own)
        self._own = own
        self._seen: tuple[object, dict[str, tuple[bytes, ShortSession]]] = (None, {})
        """The keys' version and what they verified: by what was signed, with a hash of the signature. So no token that
        serves stays in memory."""
        self._lock = ProcessLock()

    def verify(self, token: str, now: datetime) -> ShortSession:
        """The short session, or :class:`InvalidShortSession`. A known token is checked for expiry each time too."""
        if not token.isascii():
            raise InvalidShortSession("malformed", "expected a token of ASCII characters")
        signed, _, signature = token.rpartition(".")
        version, digest = self._keys.version, _digest(signature)
        known, tokens = self._seen
        seen = tokens.get(signed) if version == known else None
        if seen is None or seen[0] != digest:
            short = self._read(token, now)
            self._remember(signed, digest, short, version)
            return short
        short = seen[1]
        if short.expires_at <= now:
            raise expired(short.expires_at, now)
        return short

    def remember(self, token: str, short: ShortSession, version: object) -> None:
        """Take a token that this process has just signed for verified; ``version`` is that of the keys before that."""
        signed, _, signature = token.rpartition(".")
        self._remember(signed, _digest(signature), short, version)

    def _remember(self, signed: str, digest: bytes, short: ShortSession, version: object) -> None:
        with self._lock:
            known, tokens = self._seen
            if version != known:
                tokens = {}
                self._seen = version, tokens
            elif len(tokens) >= _CACHE_SIZE:
                del tokens[next(iter(tokens))]
            tokens[signed] = digest, short

    def _read(self, token: str, now: datetime) -> ShortSession:
        algorithm, kid = _read_header(_header_of(token), self._own)
        key = self._find_key(algorithm, kid)
        try:
            content = verified(token, key, algorithm)
        except InvalidSignatureError:
            text = f"the signature does not match the {key.algorithm} key of its kid"
            raise InvalidShortSession("signature", text) from None
        except PyJWTError:
            raise _not_base64url() from None
        return self._policy.accept(_json_object(content, "payload"), now)

    def _find_key(self, algorithm: str, kid: str) -> Key:
        key = self._keys.find(kid)
        if key is None:
            raise InvalidShortSession("unknown_key", f"no published key has the kid {shown(kid)}")
        if key.algorithm != ALGORITHM_OF_ALG[algorithm]:
            text = f"the key of that kid is bound to {key.algorithm}, the token came as {algorithm}"
            raise InvalidShortSession("algorithm", text)
        return key


def _digest(signature: str) -> bytes:
    # BLAKE2b, which is in Python itself, takes half of what OpenSSL's SHA-256 does for so short a text
    return blake2b(signature.encode()).digest()


def _header_of(token: str) -> str:
    """The first of exactly three parts, none of them empty or padded, of a token that is not too long to be parsed."""
    if not token:
        raise InvalidShortSession("empty", "expected a token, and there was none")
    if len(token) > SIZE_LIMIT:
        raise InvalidShortSession("malformed", f"expected at most {SIZE_LIMIT} bytes, not {len(token)}")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidShortSession("malformed", f"expected three parts between dots, not {len(parts)}")
    if not all(parts) or "=" in token:
        raise _not_base64url()
    return parts[0]


@lru_cache(maxsize=64)
def _read_header(part: str, own: bool) -> tuple[str, str]:
    """``alg`` and ``kid`` of a header that may be trusted so far. Remembered: all tokens of a key have the same one."""
    try:
        header = _json_object(base64_decode(part), "header")
    except BadData:
        raise _not_base64url() from None
    for name in _DANGEROUS_HEADERS:
        if name in header:
            raise InvalidShortSession("malformed", f"expected a header without {name!r}")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHM_OF_ALG:
        text = f"expected one of {', '.join(ALGORITHM_OF_ALG)}, not {shown(algorithm)}"
        raise InvalidShortSession("algorithm", text)
    kind = header.get("typ")
    if kind != "JWT" and (own or kind is not None):
        raise InvalidShortSession("malformed", f"expected the type 'JWT', not {shown(kind)}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 1 <= len(kid) <= 256:
        raise InvalidShortSession("unknown_key", f"expected a kid of 1 to 256 characters, not {shown(kid)}")
    return algorithm, kid


def _not_base64url() -> InvalidShortSession:
    return InvalidShortSession("malformed", "expected three parts of canonical base64url")


def _json_object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode())  # which is UTF-8 alone (RFC 7519 §7.2), and quicker
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidShortSession("malformed", f"expected a JSON object as {where}")
    return value
