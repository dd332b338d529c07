"""The short session's token (RFC 7519): made here, and verified here, strictly and without a database."""

from __future__ import annotations

import binascii
import hashlib
import json
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..keys.key import Key, KeyRing
from ..model.errors import InvalidShortSession
from ..model.records import ShortSession

SIZE_LIMIT = 4096
"""Bytes; nothing longer is parsed. A browser drops a cookie beyond it without a word."""

COOKIE_LIMIT = 3800
"""Bytes of token and cookie name together; the rest is room for the cookie's attributes."""

SKEW = timedelta(seconds=30)
NOT_BEFORE_MARGIN = 10
"""Seconds ``nbf`` lies before ``iat``, for the clocks of services that only verify."""

RESERVED = frozenset({"iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "auth_time", "amr"})
_LAST_SECOND = 253402300799  # the year 9999, where datetime ends
_DANGEROUS_HEADERS = ("crit", "b64", "jku", "jwk", "x5u", "x5c")
_ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
_CACHE_SIZE = 4096


# ---- making


def mint(short: ShortSession, key: Key, audience: str | None, cookie: str) -> str:
    """Sign ``short``; ValueError names the largest claim when a browser would drop the cookie."""
    payload: dict[str, Any] = {
        **short.claims,
        "iss": short.issuer,
        "sub": short.user_id,
        "sid": short.session_id,
        "iat": _seconds(short.issued_at),
        "nbf": _seconds(short.issued_at) - NOT_BEFORE_MARGIN,
        "exp": _seconds(short.expires_at),
        "jti": short.token_id,
        "auth_time": _seconds(short.auth_time or short.issued_at),
        "amr": list(short.amr),
    }
    if audience is not None:
        payload["aud"] = audience
    signed = _encode({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}) + b"." + _encode(payload)
    implementation = key.implementation
    token = signed + b"." + urlsafe_b64encode(implementation.sign(signed, key.private)).rstrip(b"=")
    if len(token) + len(cookie) > COOKIE_LIMIT:
        largest = max(short.claims, key=lambda name: len(_encode(short.claims[name])), default="amr")
        raise ValueError(
            f"the short session would be {len(token) + len(cookie)} bytes and browsers drop a cookie over 4096: "
            f"its largest claim is {largest!r}; keep the claims below {COOKIE_LIMIT} bytes together"
        )
    return token.decode()


def check_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an app's claims; ValueError or TypeError says which one can't stand in a token."""
    for name in map(str, claims):
        if name in RESERVED:
            raise ValueError(f"the claim {name!r} is not yours to set: it belongs to the session itself")
    copy: dict[str, Any] = json.loads(json.dumps(dict(claims), allow_nan=False))
    return copy


def new_token_id() -> str:
    """A ``jti``."""
    return secrets.token_urlsafe(12)


def _encode(value: Any) -> bytes:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


# ---- verifying


class ShortTokenVerifier:
    """Verifies tokens of one issuer; the ended set is the caller's to ask.

    ``own`` asks for the whole set of claims our own tokens carry; without it ``iss``, ``sub`` and ``exp`` are enough.
    """

    def __init__(self, keys: KeyRing, issuer: str, audience: str | None = None, *, own: bool = True) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._required = ("iss", "sub", "exp", "sid", "iat", "nbf", "jti", "auth_time", "amr") if own else _LEAST
        self._own = own
        self._seen: dict[bytes, ShortSession] = {}
        self._seen_version: object = None
        self._lock = threading.Lock()

    def verify(self, token: str, now: datetime) -> ShortSession:
        """The short session, or :class:`InvalidShortSession`; ``now`` decides on every call, also for a known one."""
        if not token.isascii():
            raise InvalidShortSession("malformed", "expected a token of ASCII characters")
        # keyed by a hash of the whole token: a look-up may take as long as it likes to compare
        digest = hashlib.sha256(token.encode()).digest()
        version = self._keys.version
        short = self._seen.get(digest) if version == self._seen_version else None
        if short is None:
            short = self._read(token, now)
            self._remember(digest, short, version)
        elif short.expires_at <= now:
            raise _expired(short, now)
        return short

    def _remember(self, digest: bytes, short: ShortSession, version: object) -> None:
        with self._lock:
            if version != self._seen_version:
                self._seen, self._seen_version = {}, version
            elif len(self._seen) >= _CACHE_SIZE:
                del self._seen[next(iter(self._seen))]
            self._seen[digest] = short

    def _read(self, token: str, now: datetime) -> ShortSession:
        signed, signature, header, body = _split(token)
        key = self._find_key(header)
        if not key.implementation.verify(signed, key.public, signature):
            raise InvalidShortSession("signature", f"the signature does not match the {key.algorithm} key of its kid")
        claims = _json_object(body, "payload")
        self._check(claims, now)
        return _short_session(claims)

    def _find_key(self, header: dict[str, Any]) -> Key:
        for name in _DANGEROUS_HEADERS:
            if name in header:
                raise InvalidShortSession("malformed", f"expected a header without {name!r}")
        algorithm = header.get("alg")
        if algorithm not in _ALGORITHMS:
            raise InvalidShortSession("algorithm", f"expected one of {', '.join(_ALGORITHMS)}, not {_shown(algorithm)}")
        kind = header.get("typ")
        if kind != "JWT" and (self._own or kind is not None):
            raise InvalidShortSession("malformed", f"expected the type 'JWT', not {_shown(kind)}")
        kid = header.get("kid")
        if not isinstance(kid, str) or not 1 <= len(kid) <= 256:
            raise InvalidShortSession("unknown_key", f"expected a kid of 1 to 256 characters, not {_shown(kid)}")
        key = self._keys.find(kid)
        if key is None:
            raise InvalidShortSession("unknown_key", f"no published key has the kid {_shown(kid)}")
        if key.algorithm != algorithm:
            text = f"the key of that kid is bound to {key.algorithm}, the token came as {algorithm}"
            raise InvalidShortSession("algorithm", text)
        return key

    def _check(self, claims: dict[str, Any], now: datetime) -> None:
        for name in self._required:
            if name not in claims:
                raise InvalidShortSession("claims", f"expected the claim {name!r}, and it is missing")
        for name, value in claims.items():
            _check_type(name, value)
        if claims["iss"] != self._issuer:
            text = f"expected the issuer {self._issuer!r}, not {_shown(claims['iss'])}"
            raise InvalidShortSession("issuer", text)
        self._check_audience(claims.get("aud"))
        for name in ("iat", "nbf"):
            if name in claims and _time(claims[name]) > now + SKEW:
                text = f"its {name} {_time(claims[name]):%FT%TZ} lies ahead of {now:%FT%TZ}"
                raise InvalidShortSession("not_yet_valid", text)
        if _time(claims["exp"]) <= now:
            raise InvalidShortSession("expired", f"it ended at {_time(claims['exp']):%FT%TZ}, now is {now:%FT%TZ}")

    def _check_audience(self, audience: str | list[str] | None) -> None:
        given = [audience] if isinstance(audience, str) else audience or []
        if self._audience is None and audience is not None:
            text = f"expected no audience (none is configured), not {_shown(audience)}"
            raise InvalidShortSession("audience", text)
        if self._audience is not None and self._audience not in given:
            text = f"expected the audience {self._audience!r}, not {_shown(audience)}"
            raise InvalidShortSession("audience", text)


_LEAST = ("iss", "sub", "exp")


def _split(token: str) -> tuple[bytes, bytes, dict[str, Any], bytes]:
    """The compact form and nothing else: exactly two dots, canonical base64url, a JSON object as header."""
    if not token:
        raise InvalidShortSession("empty", "expected a token, and there was none")
    if len(token) > SIZE_LIMIT:
        raise InvalidShortSession("malformed", f"expected at most {SIZE_LIMIT} bytes, not {len(token)}")
    if token.count(".") != 2:
        raise InvalidShortSession("malformed", f"expected three parts between dots, not {token.count('.') + 1}")
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    return signed.encode(), _decode(signature), _json_object(_decode(head), "header"), _decode(body)


def _decode(part: str) -> bytes:
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    # one spelling for one token: no padding, stray bits or foreign characters
    if not raw or urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise InvalidShortSession("malformed", "expected three parts of canonical base64url")
    return raw


def _json_object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidShortSession("malformed", f"expected a JSON object as {where}")
    return value


_TEXTS = frozenset({"iss", "sub", "sid", "jti"})
_TIMES = frozenset({"iat", "nbf", "exp", "auth_time"})


def _check_type(name: str, value: Any) -> None:
    if name in _TEXTS:
        fits, wanted = isinstance(value, str) and value != "", "a text that is not empty"
    elif name in _TIMES:
        fits = type(value) is int and 0 <= value <= _LAST_SECOND
        wanted = "whole seconds since 1970"
    elif name == "amr":
        fits, wanted = _is_texts(value), "a list of texts"
    elif name == "aud":
        fits, wanted = isinstance(value, str) or _is_texts(value), "a text or a list of texts"
    else:
        return
    if not fits:
        raise InvalidShortSession("claims", f"expected {name!r} to be {wanted}, not {_shown(value)}")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _short_session(claims: dict[str, Any]) -> ShortSession:
    expires_at = _time(claims["exp"])
    return ShortSession(
        user_id=claims["sub"],
        session_id=claims.get("sid"),
        issued_at=_time(claims["iat"]) if "iat" in claims else expires_at,
        expires_at=expires_at,
        issuer=claims["iss"],
        token_id=claims.get("jti"),
        auth_time=_time(claims["auth_time"]) if "auth_time" in claims else None,
        amr=tuple(claims.get("amr", ())),
        claims={name: value for name, value in claims.items() if name not in RESERVED},
    )


def _expired(short: ShortSession, now: datetime) -> InvalidShortSession:
    return InvalidShortSession("expired", f"it ended at {short.expires_at:%FT%TZ}, now is {now:%FT%TZ}")


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _shown(value: Any) -> str:
    """What came, short enough for a log line, printable, and never a whole token."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{type(value).__name__} of {len(text)} characters"
