"""The settings: read from the app's config and checked once, in ``init_app``; frozen from then on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal

from . import setting_rules as rules
from .errors import SettingsError
from .setting_rules import Rule

PREFIX = "CORBADO_SESSION_"
DEFAULT_ISSUER = "flask-corbado-session"

BURST_WINDOW = timedelta(seconds=10)
"""Constant of PROTOCOL.md: a token used again within this time belongs to the same burst of requests."""
MIN_AGE = timedelta(seconds=60)
"""Constant of PROTOCOL.md: a parent younger than this is not replaced by its child. Idle and long lifetime must each
exceed the short one by it."""
MAX_REOPENS = 8
"""Constant of PROTOCOL.md: how often a token is reopened without a child of it being used."""

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_TEN_YEARS = 3653 * _DAY


def _setting(default: Any, rule: Rule, *, is_secret: bool = False) -> Any:
    return field(default=default, metadata={"rule": rule}, repr=not is_secret)


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """Every ``CORBADO_SESSION_*`` setting under its own name in lower case: its type in use, its default, its rule."""

    short_lifetime: timedelta = _setting(15 * _MINUTE, rules.lifetime(_MINUTE, 60 * _MINUTE))
    long_lifetime: timedelta = _setting(30 * _DAY, rules.lifetime(5 * _MINUTE, _TEN_YEARS))
    idle_timeout: timedelta | None = _setting(7 * _DAY, rules.optional(rules.lifetime(2 * _MINUTE, _TEN_YEARS)))
    revocation_interval: timedelta = _setting(timedelta(seconds=1), rules.lifetime(timedelta(milliseconds=50), _MINUTE))
    max_sessions_per_user: int = _setting(50, rules.count)
    keys_file: str | None = _setting(None, rules.optional(rules.string))
    issuer: str = _setting(DEFAULT_ISSUER, rules.string)
    audience: str | None = _setting(None, rules.optional(rules.string))
    jwks_url: str | None = _setting(None, rules.optional(rules.url))
    revocations_url: str | None = _setting(None, rules.optional(rules.url))
    cookie_secure: bool = _setting(True, rules.flag)
    cookie_domain: str | None = _setting(None, rules.optional(rules.domain))
    cookie_samesite: Literal["Lax", "Strict", "None"] = _setting("Lax", rules.one_of("Lax", "Strict", "None"))
    short_cookie: str = _setting(None, rules.optional(rules.cookie_name))
    long_cookie: str = _setting(None, rules.optional(rules.cookie_name))
    device_cookie: str = _setting(None, rules.optional(rules.cookie_name))
    url_prefix: str | None = _setting("/session", rules.optional(rules.url_prefix))
    login_view: str | None = _setting(None, rules.optional(rules.view))
    reauth_view: str | None = _setting(None, rules.optional(rules.view))
    cors_origins: frozenset[str] = _setting((), rules.origins)
    trusted_origins: frozenset[str] = _setting((), rules.origins)
    clear_cache: bool = _setting(True, rules.flag)
    store_ip: bool = _setting(True, rules.flag)
    store_user_agent: bool = _setting(True, rules.flag)
    refresh_ahead: float | None = _setting(0.6, rules.optional(rules.fraction))
    device_binding: bool = _setting(False, rules.flag)
    retention: timedelta = _setting(90 * _DAY, rules.lifetime(timedelta(hours=1), _TEN_YEARS))
    api_secret: str | None = _setting(None, rules.optional(rules.string), is_secret=True)
    project_id: str | None = _setting(None, rules.optional(rules.string))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read ``config``.

        :param config: the app's config, or any mapping with ``CORBADO_SESSION_*`` keys.
        :raises SettingsError: names the first key that is unknown or wrong, and what it may be.
        """
        _check_names(config)
        values = {setting.name: _read(config, setting) for setting in fields(cls)}
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


_COOKIES = {"short_cookie": "cbo_short_session", "long_cookie": "cbo_long_session", "device_cookie": "cbo_device"}
"""The names of the cookies where none are set, without their prefix."""


def _check_names(config: Mapping[str, Any]) -> None:
    known = [setting.name.upper() for setting in fields(Settings)]
    for key in map(str, config):
        name = key.removeprefix(PREFIX)
        if key.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {PREFIX}{near[0]}?" if near else f"known are {', '.join(PREFIX + n for n in known)}"
            raise SettingsError(f"unknown setting {key}; {hint}")


def _read(config: Mapping[str, Any], setting: Any) -> Any:
    key = PREFIX + setting.name.upper()
    try:
        return setting.metadata["rule"](config.get(key, setting.default))
    except ValueError as error:
        raise SettingsError(f"{key} must be {error}") from None


def _cookie_prefix(secure: bool, domain: str | None) -> str:
    """RFC 6265bis §4.1.3: ``__Host-`` allows no Domain, and neither prefix a cookie that is not Secure."""
    if not secure:
        return ""
    return "__Secure-" if domain else "__Host-"


def _check_together(settings: Settings) -> None:
    """The rules that bind two settings."""
    least = settings.short_lifetime + MIN_AGE
    for key, lifetime in (("LONG_LIFETIME", settings.long_lifetime), ("IDLE_TIMEOUT", settings.idle_timeout)):
        if lifetime is not None and lifetime < least:
            raise SettingsError(
                f"{PREFIX}{key} must be at least CORBADO_SESSION_SHORT_LIFETIME + 60 seconds"
                f" ({least.total_seconds():g} seconds), or parallel requests could be signed out"
            )
    if settings.cookie_samesite == "None" and not settings.cookie_secure:
        raise SettingsError(f'{PREFIX}COOKIE_SAMESITE must be "Lax" or "Strict" while {PREFIX}COOKIE_SECURE is False')
    if settings.device_binding and settings.cookie_domain is not None:
        raise SettingsError(
            f"{PREFIX}DEVICE_BINDING must be False while {PREFIX}COOKIE_DOMAIN is set: a browser binds the cookies of "
            "one host, and requests to the others would come without a proof"
        )
    _check_cookie_names(settings)
    if settings.api_secret is not None and settings.project_id is None:
        raise SettingsError(f"{PREFIX}PROJECT_ID must be set beside API_SECRET: it is the user name of HTTP Basic")


def _check_cookie_names(settings: Settings) -> None:
    names = {setting: getattr(settings, setting) for setting in _COOKIES}
    if len(set(names.values())) < len(names):
        raise SettingsError(f"{PREFIX}SHORT_COOKIE, LONG_COOKIE and DEVICE_COOKIE must be three different names")
    for setting, cookie in names.items():
        if not settings.cookie_secure and cookie.startswith(("__Host-", "__Secure-")):
            raise SettingsError(f"{PREFIX}{setting.upper()} must not have a __ prefix while COOKIE_SECURE is False")
        if settings.cookie_domain and cookie.startswith("__Host-"):
            raise SettingsError(f"{PREFIX}{setting.upper()} must not begin with __Host- while COOKIE_DOMAIN is set")
