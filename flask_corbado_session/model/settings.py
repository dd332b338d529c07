"""The settings: read from the app's config and checked once, in ``init_app``; frozen from then on."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from .errors import SettingsError

PREFIX = "CORBADO_SESSION_"
DEFAULT_ISSUER = "flask-corbado-session"
HOLD_MARGIN = timedelta(seconds=60)
"""P of PROTOCOL.md: idle and long lifetime must each leave the short one this much room."""

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every ``CORBADO_SESSION_*`` setting under its own name in lower case, in the type it is used in."""

    short_lifetime: timedelta
    long_lifetime: timedelta
    idle_timeout: timedelta | None
    revocation_interval: timedelta
    max_sessions_per_user: int
    keys_file: str | None
    issuer: str
    audience: str | None
    jwks_url: str | None
    revocations_url: str | None
    cookie_secure: bool
    cookie_domain: str | None
    cookie_samesite: Literal["Lax", "Strict", "None"]
    short_cookie: str
    long_cookie: str
    device_cookie: str
    url_prefix: str | None
    login_view: str | None
    reauth_view: str | None
    cors_origins: frozenset[str]
    trusted_origins: frozenset[str]
    store_ip: bool
    store_user_agent: bool
    retention: timedelta
    api_secret: str | None = field(repr=False)
    project_id: str | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read ``config``; a :class:`SettingsError` names the first key that is unknown or wrong."""
        _refuse_unknown(config)
        values = {name: _read(config, name, rule) for name, rule in _RULES.items()}
        prefix = _cookie_prefix(values["cookie_secure"], values["cookie_domain"])
        for name, plain in _COOKIES.items():
            values[name] = values[name] or prefix + plain
        settings = cls(**values)
        _check_together(settings)
        return settings

    @property
    def idle_lifetime(self) -> timedelta:
        """How long a session serves without a refresh: the idle timeout, else the long lifetime."""
        return self.long_lifetime if self.idle_timeout is None else min(self.idle_timeout, self.long_lifetime)


# ---- rules: a value as configured -> the value as used, or ValueError(what it may be)

Rule = tuple[Any, Callable[[Any], Any]]
_COOKIES = {"short_cookie": "cbo_short_session", "long_cookie": "cbo_long_session", "device_cookie": "cbo_device"}


def _lifetime(low: timedelta, high: timedelta) -> Callable[[Any], timedelta]:
    text = f"seconds or a timedelta from {low.total_seconds():g} to {high.total_seconds():g} seconds"

    def read(value: Any) -> timedelta:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 10**10:
            value = timedelta(seconds=value)
        if not isinstance(value, timedelta) or not low <= value <= high:
            raise ValueError(text)
        return value

    return read


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_optional(value: Any) -> Any:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise ValueError(f"{error}, or None") from None

    return read_optional


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False (true or false in the environment)")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10_000:
        raise ValueError("a whole number from 1 to 10000")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a text that is not empty")
    return value


def _cookie_name(value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
        raise ValueError("a cookie name of letters, digits, - and _")
    return value


def _samesite(value: Any) -> str:
    if value not in ("Lax", "Strict", "None"):
        raise ValueError('"Lax", "Strict" or "None"')
    return str(value)


def _url_prefix(value: Any) -> str:
    is_path = isinstance(value, str) and value.startswith("/") and not value.startswith("//") and value.isprintable()
    if not is_path or value.endswith("/") or set(value) & set("<>?#\\ "):
        raise ValueError('a path such as "/session" that begins, and does not end, with a slash')
    return str(value)


def _view(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or "://" in value or value.startswith("//"):
        raise ValueError('an endpoint such as "auth.sign_in", or a path such as "/sign-in"')
    return value


def _url(value: Any) -> str:
    parts = _split_url(value)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("an http or https URL without user name and password")
    return str(value)


def _split_url(value: Any) -> SplitResult | None:
    try:
        return urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
    except ValueError:
        return None


def _domain(value: Any) -> str:
    try:
        name = value.removeprefix(".").encode("idna").decode() if isinstance(value, str) else ""
    except UnicodeError:
        name = ""
    if not name.replace("-", "").replace(".", "").isalnum():
        raise ValueError('a host name such as "example.com", without scheme or port')
    return str(value)


def _origins(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(_is_origin(item) for item in value):
        raise ValueError('a list of origins such as "https://app.example.com", without path or wildcard')
    return frozenset(item.lower() for item in value)


def _is_origin(value: Any) -> bool:
    parts = _split_url(value)
    if parts is None or not value.isascii() or "*" in value or "@" in value or not parts.hostname:
        return False
    if parts.netloc.endswith({"http": ":80", "https": ":443"}.get(parts.scheme, ":")):
        return False  # no browser names the port that its scheme has anyway, so it would never match
    return parts.scheme in ("http", "https") and value.lower() == f"{parts.scheme}://{parts.netloc.lower()}"


_RULES: dict[str, Rule] = {
    "short_lifetime": (15 * _MINUTE, _lifetime(_MINUTE, 60 * _MINUTE)),
    "long_lifetime": (30 * _DAY, _lifetime(5 * _MINUTE, 3653 * _DAY)),
    "idle_timeout": (7 * _DAY, _optional(_lifetime(2 * _MINUTE, 3653 * _DAY))),
    "revocation_interval": (timedelta(seconds=1), _lifetime(timedelta(milliseconds=50), _MINUTE)),
    "max_sessions_per_user": (50, _count),
    "keys_file": (None, _optional(_text)),
    "issuer": (DEFAULT_ISSUER, _text),
    "audience": (None, _optional(_text)),
    "jwks_url": (None, _optional(_url)),
    "revocations_url": (None, _optional(_url)),
    "cookie_secure": (True, _flag),
    "cookie_domain": (None, _optional(_domain)),
    "cookie_samesite": ("Lax", _samesite),
    "short_cookie": (None, _optional(_cookie_name)),
    "long_cookie": (None, _optional(_cookie_name)),
    "device_cookie": (None, _optional(_cookie_name)),
    "url_prefix": ("/session", _optional(_url_prefix)),
    "login_view": (None, _optional(_view)),
    "reauth_view": (None, _optional(_view)),
    "cors_origins": ((), _origins),
    "trusted_origins": ((), _origins),
    "store_ip": (True, _flag),
    "store_user_agent": (True, _flag),
    "retention": (90 * _DAY, _lifetime(timedelta(hours=1), 3653 * _DAY)),
    "api_secret": (None, _optional(_text)),
    "project_id": (None, _optional(_text)),
}
assert list(_RULES) == [each.name for each in fields(Settings)]


def _refuse_unknown(config: Mapping[str, Any]) -> None:
    known = [name.upper() for name in _RULES]
    for key in map(str, config):
        name = key.removeprefix(PREFIX)
        if key.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {PREFIX}{near[0]}?" if near else f"known are {', '.join(PREFIX + n for n in known)}"
            raise SettingsError(f"{key} is no setting of flask-corbado-session; {hint}")


def _read(config: Mapping[str, Any], name: str, rule: Rule) -> Any:
    key = PREFIX + name.upper()
    default, read = rule
    try:
        return read(config.get(key, default))
    except ValueError as error:
        raise SettingsError(f"{key} must be {error}") from None


def _cookie_prefix(secure: bool, domain: str | None) -> str:
    """RFC 6265bis §4.1.3: ``__Host-`` allows no Domain, and neither prefix a cookie that is not Secure."""
    if not secure:
        return ""
    return "__Secure-" if domain else "__Host-"


def _check_together(settings: Settings) -> None:
    """The rules that bind two settings."""
    least = settings.short_lifetime + HOLD_MARGIN
    for key, lifetime in (("LONG_LIFETIME", settings.long_lifetime), ("IDLE_TIMEOUT", settings.idle_timeout)):
        if lifetime is not None and lifetime < least:
            raise SettingsError(
                f"{PREFIX}{key} must be at least CORBADO_SESSION_SHORT_LIFETIME + 60 seconds"
                f" ({least.total_seconds():g} seconds), or parallel requests could be signed out"
            )
    if settings.cookie_samesite == "None" and not settings.cookie_secure:
        raise SettingsError(f'{PREFIX}COOKIE_SAMESITE must be "Lax" or "Strict" while {PREFIX}COOKIE_SECURE is False')
    names = [getattr(settings, name) for name in _COOKIES]
    if len(set(names)) < len(names):
        raise SettingsError(f"{PREFIX}SHORT_COOKIE, LONG_COOKIE and DEVICE_COOKIE must be three different names")
    for key, cookie in zip(_COOKIES, names, strict=True):
        if not settings.cookie_secure and cookie.startswith(("__Host-", "__Secure-")):
            raise SettingsError(f"{PREFIX}{key.upper()} must not have a __ prefix while COOKIE_SECURE is False")
        if settings.cookie_domain and cookie.startswith("__Host-"):
            raise SettingsError(f"{PREFIX}{key.upper()} must not begin with __Host- while COOKIE_DOMAIN is set")
    if settings.api_secret is not None and settings.project_id is None:
        raise SettingsError(f"{PREFIX}PROJECT_ID must be set beside API_SECRET: it is the user name of HTTP Basic")
