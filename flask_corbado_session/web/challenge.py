"""The response to an unauthenticated request: the app's own, a redirect to the sign-in page, or the plain 401."""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from flask import current_app, redirect, request, url_for
from werkzeug.exceptions import HTTPException

from ..model.outcome import Anonymous, Ended
from .origin import is_same_host, safe_next
from .problems import InvalidBearer, Unauthenticated, is_navigation
from .sockets import is_connection
from .state import RequestState, current_request_state

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
    if settings.login_view is not None and is_navigation():
        return redirect(view_url(settings.login_view, next=return_path()), 303)
    raise problem


def unauthenticated_problem(request_state: RequestState) -> Unauthenticated:
    """The 401 itself, with the reason why a session that came no longer serves."""
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
    """The path asked for; a POST can't be repeated, so the page it was sent from."""
    if request.method in ("GET", "HEAD"):
        return safe_next(requested_path())
    referer = request.referrer or ""
    if not is_same_host(referer, request.host):
        return None
    return safe_next("/" + referer.split("://", 1)[1].partition("/")[2])
