"""What sent a request: a browser that asks for a page, a library in a page that asks for one, or a script."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import redirect, request

from .origin import is_same_host, safe_next

_TURBO_STREAM = "text/vnd.turbo-stream.html"
_BROWSERS = "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST"


def is_navigation() -> bool:
    """Whether a page is asked for, and a redirect to another page will be followed.

    By a person's browser (Fetch metadata; without it, by what is accepted), or by Turbo or Unpoly in its place.
    """
    if is_htmx():
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode == "navigate" or _follows_redirects():
        return True
    return not mode and "text/html" in request.headers.get("Accept", "")


def is_htmx() -> bool:
    """Whether htmx sent it. It shows what a redirect leads to within the page, but obeys ``HX-Redirect``."""
    return request.headers.get("HX-Request") == "true"


def is_turbo_frame() -> bool:
    """Whether it fills a frame of Turbo's, in which a sign-in page would be missing."""
    return "Turbo-Frame" in request.headers


def page_of_htmx() -> str | None:
    """The path of the page that htmx is on, for the fragment it asks for is no page to come back to."""
    if request.headers.get("HX-Boosted") == "true" and request.method == "GET":
        return None  # a whole page: the one it asks for
    url = request.headers.get("HX-Current-URL", "")
    if not is_same_host(url, request.host):
        return None
    parts = urlsplit(url)
    return safe_next(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")


def see_other(url: str) -> Any:
    """Go on to a page, when what was asked for is done; a script just learns that it is."""
    if is_htmx():
        return "", 204, {"HX-Redirect": url}
    return redirect(url, 303) if is_navigation() else ("", 204)


def is_script(environ: dict[str, str]) -> bool:
    """Whether a request was sent by neither a browser, all of which send Fetch metadata, nor a test's client."""
    user_agent = environ.get("HTTP_USER_AGENT", "Werkzeug/")
    return not any(name in environ for name in _BROWSERS) and not user_agent.startswith(("Mozilla/", "Werkzeug/"))


def _follows_redirects() -> bool:
    """Turbo and Unpoly fetch pages in the browser's place, and take a redirect as the browser would."""
    headers = request.headers
    is_turbo = _TURBO_STREAM in headers.get("Accept", "") or "X-Turbo-Request-Id" in headers or is_turbo_frame()
    return is_turbo or "X-Up-Version" in headers
