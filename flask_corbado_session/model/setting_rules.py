"""How a setting is read: a rule takes the value as configured and returns it as used, or says what it may be."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

Rule = Callable[[Any], Any]
"""Raises ValueError with what the setting may be, to follow "must be"."""


def lifetime(shortest: timedelta, longest: timedelta) -> Rule:
    """Seconds or a timedelta, as a timedelta."""
    expected = f"seconds or a timedelta from {shortest.total_seconds():g} to {longest.total_seconds():g} seconds"

    def read(value: Any) -> timedelta:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 10**10:
            value = timedelta(seconds=value)
        if not isinstance(value, timedelta) or not shortest <= value <= longest:
            raise ValueError(expected)
        return value

    return read


def optional(rule: Rule) -> Rule:
    """The rule, or None."""

    def read(value: Any) -> Any:
        try:
            return None if value is None else rule(value)
        except ValueError as error:
            raise ValueError(f"{error}, or None") from None

    return read


def one_of(*choices: str) -> Rule:
    """One of these strings."""

    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(", ".join(f'"{choice}"' for choice in choices[:-1]) + f' or "{choices[-1]}"')
        return str(value)

    return read


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError("True or False (true or false in the environment)")
    return value


def count(value: Any) -> int:
    """A positive integer."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10_000:
        raise ValueError("an integer from 1 to 10000")
    return value


def fraction(value: Any) -> float:
    """A part of a whole, neither none of it nor all."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1:
        raise ValueError("a number between 0 and 1")
    return float(value)


def string(value: Any) -> str:
    """A printable string that is not empty."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # from_prefixed_env reads FLASK_…=4711 as JSON
        raise ValueError("a non-empty string (digits in the environment are read as a number: quote them, '\"4711\"')")
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a non-empty string")
    return value


def cookie_name(value: Any) -> str:
    """A cookie's name."""
    if not isinstance(value, str) or not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
        raise ValueError("a cookie name of letters, digits, - and _")
    return value


def url_prefix(value: Any) -> str:
    """The path before all routes."""
    is_path = isinstance(value, str) and value.startswith("/") and not value.startswith("//") and value.isprintable()
    if not is_path or value.endswith("/") or set(value) & set("<>?#\\ "):
        raise ValueError('a path such as "/session" that begins, and does not end, with a slash')
    return str(value)


def view(value: Any) -> str:
    """An endpoint or a path of the app."""
    if not isinstance(value, str) or not value or not value.isprintable() or "://" in value or value.startswith("//"):
        raise ValueError('an endpoint such as "auth.sign_in", or a path such as "/sign-in"')
    return value


def url(value: Any) -> str:
    """An absolute URL."""
    parts = _split_url(value)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("an http or https URL without user name and password")
    return str(value)


def domain(value: Any) -> str:
    """The Domain attribute of the cookies."""
    try:
        name = value.removeprefix(".").encode("idna").decode() if isinstance(value, str) else ""
    except UnicodeError:
        name = ""
    if not name.replace("-", "").replace(".", "").isalnum():
        raise ValueError('a host name such as "example.com", without scheme or port')
    return str(value)


def origins(value: Any) -> frozenset[str]:
    """Origins as browsers send them; a string is split at commas and spaces."""
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
        return False  # browsers leave out the port that belongs to the scheme, so this would never match
    return _is_scheme_of_pages(parts.scheme) and value.lower() == f"{parts.scheme}://{parts.netloc.lower()}"


_NO_PAGES = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "mailto", "vbscript", "ws", "wss"})
"""Schemes from which no page with an origin of its own is loaded."""


def _is_scheme_of_pages(scheme: str) -> bool:
    """http and https, and what native shells and browser extensions serve their pages by: each names its own.

    ``capacitor``, ``ionic``, ``tauri``, ``app``, ``chrome-extension``. A misspelt https is none of them.
    """
    return scheme in ("http", "https") or not (scheme in _NO_PAGES or difflib.get_close_matches(scheme, ["https"]))


def _split_url(value: Any) -> SplitResult | None:
    try:
        return urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
    except ValueError:
        return None
