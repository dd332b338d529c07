"""Where an unsafe request comes from, and where a redirect may go: the same rule of origins for both.

The check is that of Go's CrossOriginProtection: fetch metadata first, then Origin against the host; a request with
neither header comes from no browser.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit, urlunsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NEXT_LIMIT = 2000
_PORTS = {"http": "80", "https": "443"}


def is_foreign(method: str, fetch_site: str | None, origin: str | None, host: str, trusted: Collection[str]) -> bool:
    """Whether an unsafe request was sent by a page of another origin."""
    if method in SAFE_METHODS or (origin is not None and origin.lower() in trusted):
        return False
    if fetch_site is not None:
        return fetch_site not in ("same-origin", "none")
    return origin is not None and not is_same_host(origin, host)


def is_same_host(url: str, host: str) -> bool:
    """Whether a URL is on this host and port. The scheme is not compared: a proxy may have ended TLS before us."""
    try:
        parts = urlsplit(url)
        port = _PORTS.get(parts.scheme)
    except ValueError:
        return False
    if port is None or not parts.netloc:
        return False
    return parts.netloc.lower().removesuffix(f":{port}") == host.lower().removesuffix(f":{port}")


def safe_next(value: object, allowed_origins: Collection[str] = ()) -> str | None:
    """A ``next`` that stays on this origin (or names an allowed one), rebuilt from its parts; None for any other.

    Taken apart, put together and looked at again, since lists of bad beginnings have failed everywhere
    (CVE-2020-28724, CVE-2021-32618, CVE-2023-49438).
    """
    if not isinstance(value, str) or not 0 < len(value) <= _NEXT_LIMIT or not value.isprintable():
        return None
    if "\\" in value or " " in value:  # browsers read a backslash as a slash
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    if not parts.path.startswith("/") or parts.path.startswith("//") or value.startswith("//"):
        return None
    origin = ""
    if parts.scheme or parts.netloc:
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        if origin not in allowed_origins:
            return None
    if _resolved(parts.path).startswith("//"):
        return None
    rebuilt = origin + urlunsplit(("", "", parts.path, parts.query, parts.fragment))
    return rebuilt if rebuilt.startswith(origin + "/") and not rebuilt.startswith("//") else None


def _resolved(path: str) -> str:
    """The path without its dot segments, as browsers and proxies resolve it: "/.//host" is "//host" by then."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    return "/" + "/".join(kept)
