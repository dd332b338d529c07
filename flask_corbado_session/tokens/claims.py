"""Which claims a short session's token must have, of which types, and what they must say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..model.errors import InvalidShortSession
from ..model.frozen import frozen
from ..model.records import ShortSession

SKEW = 30
"""Seconds by which ``iat`` and ``nbf`` may lie ahead, for clocks that differ."""

RESERVED = frozenset({"iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "auth_time", "amr", "dbsc"})
_REQUIRED = ("iss", "sub", "exp")
_OWN = ("iss", "sub", "exp", "sid", "iat", "nbf", "jti", "auth_time", "amr")
_LAST_SECOND = 253402300799  # the year 9999, where datetime ends


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LAST_SECOND


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("iss", "sub", "sid", "jti"), (_is_text, "a non-empty string")),
    **dict.fromkeys(("iat", "nbf", "exp", "auth_time"), (_is_time, "whole seconds since 1970")),
    "amr": (_are_strings, "a list of strings"),
    "aud": (lambda value: isinstance(value, str) or _are_strings(value), "a string or a list of strings"),
}


class ClaimPolicy:
    """The claims of one issuer's tokens. With ``own`` all that our own tokens have are required."""

    def __init__(self, issuer: str, audience: str | None, *, own: bool) -> None:
        self._issuer = issuer
        self._audience = audience
        self._required = _OWN if own else _REQUIRED

    def accept(self, claims: dict[str, Any], now: datetime) -> ShortSession:
        """The short session of these claims, or :class:`InvalidShortSession`."""
        for name in self._required:
            if name not in claims:
                raise InvalidShortSession("claims", f"expected the claim {name!r}, and it is missing")
        for name, (fits, expected) in _TYPES.items():
            if name in claims and not fits(claims[name]):
                raise InvalidShortSession("claims", f"expected {name!r} to be {expected}, not {shown(claims[name])}")
        if claims["iss"] != self._issuer:
            raise InvalidShortSession("issuer", f"expected the issuer {self._issuer!r}, not {shown(claims['iss'])}")
        self._check_audience(claims.get("aud"))
        _check_times(claims, now)
        return _short_session(claims)

    def _check_audience(self, audience: str | list[str] | None) -> None:
        if self._audience is None:
            if audience is not None:
                text = f"expected no audience (none is configured), not {shown(audience)}"
                raise InvalidShortSession("audience", text)
        elif self._audience not in ([audience] if isinstance(audience, str) else audience or []):
            raise InvalidShortSession("audience", f"expected the audience {self._audience!r}, not {shown(audience)}")


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    seconds = now.timestamp()
    for name in ("iat", "nbf"):
        if claims.get(name, 0) > seconds + SKEW:
            text = f"its {name} {_time(claims[name]):%FT%TZ} lies ahead of {now:%FT%TZ}"
            raise InvalidShortSession("not_yet_valid", text)
    if claims["exp"] <= seconds:
        raise expired(_time(claims["exp"]), now)


def _short_session(claims: dict[str, Any]) -> ShortSession:
    expires_at = _time(claims["exp"])
    return ShortSession(
        claims["sub"],
        claims.get("sid"),
        _time(claims["iat"]) if "iat" in claims else expires_at,
        expires_at,
        claims["iss"],
        claims.get("jti"),
        _time(claims["auth_time"]) if "auth_time" in claims else None,
        tuple(claims.get("amr", ())),
        claims.get("dbsc") is True,
        frozen({name: value for name, value in claims.items() if name not in RESERVED}),
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def expired(expires_at: datetime, now: datetime) -> InvalidShortSession:
    """The error about a token whose time is over."""
    return InvalidShortSession("expired", f"it ended at {expires_at:%FT%TZ}, now is {now:%FT%TZ}")


def shown(value: Any) -> str:
    """A value from a token, for a message: printable, short, and never a whole token."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{type(value).__name__} of {len(text)} characters"
