"""Where a person goes after they have signed in or out: ``next``, made for a sign-in page and read from a request."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import request

from ..model.settings import Settings
from .origin import is_same_host, safe_next

_HYPHENS = str.maketrans("", "", "-_")


def next_of_request(settings: Settings) -> str | None:
    """The ``next`` of this request, if it stays on this origin or goes to one that the settings allow."""
    try:
        value = request.values.get("next")
    except UnicodeDecodeError:  # Werkzeug's, of a query that is not UTF-8
        return None
    return local_next(value, settings)


def local_next(value: object, settings: Settings) -> str | None:
    """A ``next`` that is safe: a path, a URL of this origin (as its path), or one of an allowed origin.

    Allowed are ``CORS_ORIGINS``, and with ``COOKIE_DOMAIN`` the hosts that the session's cookies go to anyway.
    """
    origin = _origin_of(value)
    allowed: Collection[str] = settings.cors_origins
    if origin is None:
        return safe_next(value, allowed)
    if is_same_host(origin, request.host):
        kept = safe_next(value, {origin})
        return None if kept is None else safe_next(kept.removeprefix(origin))
    if settings.cookie_domain is not None and _shares_cookies(origin, settings.cookie_domain):
        allowed = {origin, *allowed}
    return safe_next(value, allowed)


def next_for(login_url: str, path: str | None, settings: Settings) -> str | None:
    """``path`` as ``next`` for a sign-in page, which may be on another host of the domain: then as a whole URL."""
    origin = _origin_of(login_url)
    if path is None or origin is None or is_same_host(origin, request.host):
        return path
    here = f"{request.scheme}://{request.host}"
    is_shared = settings.cookie_domain is not None and _shares_cookies(here, settings.cookie_domain)
    return here + path if is_shared else None  # a path of this host would lead nowhere on that one


def _origin_of(value: object) -> str | None:
    """The origin that an absolute http(s) URL names; :func:`safe_next` looks at the rest of it."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower()


def _shares_cookies(origin: str, domain: str) -> bool:
    """Whether the cookies of ``domain`` go to this origin: a host of the domain, on the scheme and port of this one."""
    domain = domain.removeprefix(".").lower()
    try:
        there, here = urlsplit(origin), urlsplit(f"{request.scheme}://{request.host}")
        is_same_port = there.port == here.port
    except ValueError:
        return False
    host = there.hostname or ""
    is_of_domain = host == domain or host.endswith(f".{domain}")
    return is_of_domain and _is_host_name(host) and is_same_port and there.scheme in (here.scheme, "https")


def _is_host_name(host: str) -> bool:
    """Whether a host is a name of labels: "evil.net%5c.example.com" only ends like one (GHSA-w2j7), and a redirect to a
    label that is empty or over 63 characters can't be encoded."""
    labels = host.split(".")
    return host.isascii() and all(len(label) < 64 and label.translate(_HYPHENS).isalnum() for label in labels)
