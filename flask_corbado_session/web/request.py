"""What a request presents and what its outcome is: found when first asked for, and kept with the request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import current_app, request

from ..model.errors import BadData, SessionNotFound, StoreUnavailable
from ..model.outcome import Active, Anonymous, Outcome, Refreshed, Started
from ..model.records import ShortSession
from ..sessions.parts import AppState
from ..sessions.presented import PresentedTokens
from .origin import SAFE_METHODS, is_foreign
from .problems import BadRequestProblem, CsrfRejected, SessionNotFoundProblem, Unavailable
from .state import EXTENSION, RequestState, current_request_state

log = logging.getLogger("flask_corbado_session")
T = TypeVar("T")
_EXEMPT = "_corbado_session_csrf_exempt"
SHARED_ENDPOINTS = frozenset(f"{EXTENSION}.{name}" for name in ("who_am_i", "refresh", "logout"))
"""What a single-page app on another host may call (``CORS_ORIGINS``)."""


def find_outcome(request_state: RequestState) -> Outcome:
    """The outcome of this request. Raises a 403 or 503 once; later calls, in an error page say, give Anonymous."""
    if request_state.outcome is None:
        request_state.outcome = Anonymous()
        request_state.outcome = _find(request_state)
    return request_state.outcome


def short_of(outcome: Outcome | None) -> ShortSession | None:
    """The short session of an outcome that has one."""
    return outcome.short if isinstance(outcome, (Active, Refreshed, Started)) else None


def current_short() -> ShortSession | None:
    """The short session of this request, if there is one."""
    return short_of(find_outcome(current_request_state()))


def _find(request_state: RequestState) -> Outcome:
    state, environ = request_state.app_state, request_state.environ
    if "HTTP_AUTHORIZATION" in environ and (bearer := bearer_token()) is not None:
        return state.short_sessions.bearer(bearer)
    if not state.reads_cookies:
        return Anonymous()
    cookies = request.cookies
    tokens = cookies.getlist(state.settings.short_cookie)
    if not tokens and state.settings.long_cookie not in cookies:
        return Anonymous()
    check_origin(state)
    short = state.short_sessions.first_valid(tokens)
    return refresh(request_state, presented_tokens(request_state)) if short is None else Active(short)


def refresh(request_state: RequestState, presented: PresentedTokens) -> Outcome:
    """The outcome of the long tokens; a database that does not answer becomes the 503."""
    parts = request_state.app_state.parts
    if parts is None or not presented.may_refresh:
        return Anonymous()
    try:
        return parts.refresh.refresh(presented)
    except StoreUnavailable as error:
        raise unavailable(error) from error


def unavailable(error: StoreUnavailable) -> Unavailable:
    """The 503 of a database that did not answer; the log says why."""
    log.error("%s", error, exc_info=error)
    return Unavailable()


def found_or_503(work: Callable[[], T], not_found: str | None = None) -> T:
    """Run work on the database with the answers of HTTP: 404 for what is not there, 503 while it is down, 400 for a
    value that the database can't hold."""
    try:
        return work()
    except BadData as error:
        raise BadRequestProblem("The database can't hold what was sent: try it without emoji or symbols.") from error
    except SessionNotFound as error:
        raise SessionNotFoundProblem(not_found) from error
    except StoreUnavailable as error:
        raise unavailable(error) from error


def bearer_token() -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1)."""
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None or header[:6].lower() != "bearer" or header[6:7] not in ("", " "):
        return None
    return cast(str, header[7:].strip(" "))


def presented_tokens(request_state: RequestState) -> PresentedTokens:
    """What the request's cookies hold, and where it came from."""
    settings, cookies = request_state.app_state.settings, request.cookies
    long = cookies.getlist(settings.long_cookie)
    device = cookies.getlist(settings.device_cookie)
    user_agent = request.environ.get("HTTP_USER_AGENT")
    may_refresh = bool(long) and not request_state.response_started and request.method != "OPTIONS" and not _is_static()
    short = cookies.getlist(settings.short_cookie)
    return PresentedTokens(short, long, device, request.remote_addr, user_agent, may_refresh)


def _is_static() -> bool:
    endpoint = request.endpoint
    return endpoint is not None and (endpoint == "static" or endpoint.endswith(".static"))


def check_origin(state: AppState) -> None:
    """Reject an unsafe request of a foreign page, before anything is read."""
    method = request.method
    if method in SAFE_METHODS or bearer_token() is not None:
        return
    headers, trusted = request.headers, state.settings.trusted_origins
    if request.endpoint in SHARED_ENDPOINTS:
        trusted |= state.settings.cors_origins
    if not is_foreign(method, headers.get("Sec-Fetch-Site"), headers.get("Origin"), request.host, trusted):
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if not getattr(view, _EXEMPT, False):
        raise CsrfRejected


def exempt_from_origin_check(view: Any) -> Any:
    """Mark a view that checks for itself who sends to it; functools.wraps carries the mark outwards."""
    setattr(view, _EXEMPT, True)
    return view
