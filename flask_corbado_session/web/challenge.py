"""The response to an unauthenticated request: the app's own, a redirect to the sign-in page, or the plain 401."""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from flask import current_app, redirect, request, url_for
from markupsafe import escape
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ..model.outcome import Anonymous, Ended
from .client import is_htmx, is_navigation, is_turbo_frame, page_of_htmx
from .next_url import next_for
from .origin import is_same_host, safe_next
from .problems import CHALLENGE, InvalidBearer, Unauthenticated
from .sockets import is_connection
from .state import RequestState, current_request_state
from .text import text

_PATH = "/:@!$&'()*+,;=~"
"""Unquoted in a path by RFC 3986 §3.3, beside letters, digits, - . and _."""


def unauthenticated_response() -> Any:
    """The app's own response, the redirect to the sign-in page, or the 401 (raised)."""
    request_state = current_request_state()
    problem, settings = unauthenticated_problem(request_state), request_state.app_state.settings
    if isinstance(problem, InvalidBearer) or is_connection(request_state):  # nothing is answered to a socket's event
        raise problem
    hooks = request_state.app_state.hooks
    # a handler that forgot its return must not let the view run
    if hooks.unauthorized_handler is not None and (response := hooks.call(hooks.unauthorized_handler)) is not None:
        return response
    if settings.login_view is None:
        raise problem
    if is_navigation():
        return sign_in_response(settings.login_view, return_path())
    if is_htmx():
        problem.redirect_htmx_to = sign_in_url(settings.login_view, return_path())
    raise problem


def sign_in_url(view: str, path: str | None) -> str:
    """The URL of a page to sign in on, which leads back to ``path``."""
    settings = current_request_state().app_state.settings
    return view_url(view, next=next_for(view_url(view), path, settings))


def sign_in_response(view: str, path: str | None) -> Response:
    """The redirect to a page to sign in on. From a frame of Turbo's the whole page goes there."""
    url = sign_in_url(view, path)
    if not is_turbo_frame():
        return redirect(url, 303)
    # Turbo would follow a redirect within the frame, and miss the frame on the page it leads to. Told so by the first
    # meta element, it shows this page in the place of the one around the frame.
    page = _LEAVE_FRAME % {"url": escape(url), "text": escape(text(Unauthenticated.title))}
    headers = [("WWW-Authenticate", CHALLENGE)]
    return current_app.response_class(page, 401, headers, content_type="text/html; charset=utf-8")


_LEAVE_FRAME = """<!doctype html>
<meta charset="utf-8">
<meta name="turbo-visit-control" content="reload">
<meta http-equiv="refresh" content="0;url=%(url)s">
<title>%(text)s</title>
<p><a href="%(url)s">%(text)s</a></p>
"""


def unauthenticated_problem(request_state: RequestState) -> Unauthenticated:
    """The 401 itself, with the reason why a session that came no longer serves.

    Raises what the app's ``user_loader`` raised, if that is why nobody is there: they are still signed in.
    """
    if request_state.loader_error is not None:
        raise request_state.loader_error
    match request_state.outcome:
        case Anonymous(bearer_code=str() as code, bearer_text=text):
            return InvalidBearer(code, text)
        case Ended(reason=reason):
            return Unauthenticated(reason=reason)
    return Unauthenticated()


def abort_unauthenticated() -> NoReturn:
    """Answer an unauthenticated request from the depth of a view."""
    raise HTTPException(response=current_app.make_response(unauthenticated_response()))


def view_url(view: str, **values: Any) -> str:
    """The URL of an endpoint, or of a path."""
    if not view.startswith("/"):
        return url_for(view, **values)
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{view}{'&' if '?' in view else '?'}{query}" if query else view


def requested_path() -> str:
    """The path and query of this request as they were sent: "/a%3Fb" is not "/a?b"."""
    path, query = quote(request.script_root + request.path, _PATH), request.query_string.decode("latin-1")
    return f"{path}?{query}" if query else path


def return_path() -> str | None:
    """The path asked for; a POST can't be repeated and a fragment is no page, so the page it was sent from."""
    if is_htmx() and (page := page_of_htmx()) is not None:
        return page
    is_page = request.method in ("GET", "HEAD")
    if is_page and not is_turbo_frame():
        return safe_next(requested_path())
    referer = request.referrer or ""
    if not is_same_host(referer, request.host):
        return safe_next(requested_path()) if is_page else None
    return safe_next("/" + referer.split("://", 1)[1].partition("/")[2])
