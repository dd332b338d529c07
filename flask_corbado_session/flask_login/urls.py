"""Where somebody is sent to sign in, and with which ``next``."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from flask import current_app, url_for

from ..web.origin import safe_next


def expand_login_view(login_view: str) -> str:
    """The URL of a view.

    :param login_view: an endpoint, a path, or a URL; the last two are returned as they are.
    """
    return login_view if login_view.startswith(("https://", "http://", "/")) else url_for(login_view)


def make_next_param(login_url: str, current_url: str) -> str:
    """A URL as short as the login view understands it: without scheme and host where they are its own.

    :param login_url: the URL of the login view.
    :param current_url: the URL to shorten.
    :returns: the path and the query, or the whole URL for another host.
    """
    login, current = urlsplit(login_url), urlsplit(current_url)
    if login.scheme not in ("", current.scheme) or login.netloc not in ("", current.netloc):
        return current_url
    return urlunsplit(("", "", current.path, current.query, ""))


def login_url(login_view: str, next_url: str | None = None, next_field: str = "next") -> str:
    """The URL of a login view that leads back to a page.

    :param login_view: an endpoint, a path, or a URL.
    :param next_url: the page to lead back to.
    :param next_field: the parameter that holds it.
    :returns: the URL, on the host of ``FORCE_HOST_FOR_REDIRECTS`` if that is set and there is a ``next_url``.
    """
    base = expand_login_view(login_view)
    if next_url is None:
        return base
    parts = urlsplit(base)
    query = parse_qs(parts.query, keep_blank_values=True)
    query[next_field] = [make_next_param(base, next_url)]
    host = current_app.config.get("FORCE_HOST_FOR_REDIRECTS") or parts.netloc
    return urlunsplit(parts._replace(netloc=host, query=urlencode(query, doseq=True)))


def returning_url(login_view: str, requested_url: str) -> str:
    """The URL of a login view that leads back to the page asked for, if a redirect may go there."""
    param = make_next_param(expand_login_view(login_view), requested_url)
    may_return = not param.startswith("/") or safe_next(param) is not None  # "//evil.example" is a path of no page
    return login_url(login_view, requested_url if may_return else None)
