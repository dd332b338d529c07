"""Which claims a short session's token must have, of which types, and what they must say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..model.errors import InvalidShortSession
from ..model.frozen import NOTHING, FrozenDict, frozen
from ..model.records import ShortSession

SKEW = 30
"""Seconds by which ``iat`` and ``nbf`` may lie ahead, for clocks that differ."""

RESERVED = frozenset({"iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "auth_time", "amr", "dbsc"})
_REQUIRED = ("iss", "sub", "exp")
_OWN = ("iss", "sub", "exp", "sid", "iat", "nbf", "jti", "auth_time", "amr")
_TEXTS = ("iss", "sub", "sid", "jti")
_TIMES = ("iat", "nbf", "exp", "auth_time")
_LAST_SECOND = 253402300799  # the year 9999, where datetime ends


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
        _check_types(claims)
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


def _check_types(claims: dict[str, Any]) -> None:
    for name in _TEXTS:
        value = claims.get(name, name)
        if type(value) is not str or not value:
            raise _wrong_type(name, "a non-empty string", value)
    for name in _TIMES:
        value = claims.get(name, 0)
        if type(value) is not int or not 0 <= value <= _LAST_SECOND:
            raise _wrong_type(name, "whole seconds since 1970", value)
    methods, audience = claims.get("amr", []), claims.get("aud", "")
    if not _are_strings(methods):
        raise _wrong_type("amr", "a list of strings", methods)
    if type(audience) is not str and not _are_strings(audience):
        raise _wrong_type("aud", "a string or a list of strings", audience)


def _are_strings(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _wrong_type(name: str, expected: str, value: Any) -> InvalidShortSession:
    return InvalidShortSession("claims", f"expected {name!r} to be {expected}, not {shown(value)}")


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
        _of_the_app(claims),
    )


def _of_the_app(claims: dict[str, Any]) -> FrozenDict:
    if claims.keys() <= RESERVED:  # as in most tokens, and soon seen
        return NOTHING
    of_the_app: FrozenDict = frozen({name: value for name, value in claims.items() if name not in RESERVED})
    return of_the_app


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def expired(expires_at: datetime, now: datetime) -> InvalidShortSession:
    """The error about a token whose time is over."""
    return InvalidShortSession("expired", f"it ended at {expires_at:%FT%TZ}, now is {now:%FT%TZ}")


def shown(value: Any) -> str:
    """A value from a token, for a message: printable, short, and never a whole token."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{type(value).__name__} of {len(text)} characters"
