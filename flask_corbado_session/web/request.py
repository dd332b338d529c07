"""What a request presents and what its outcome is: found when first asked for, and kept with the request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar, cast

from flask import Request, has_request_context

from ..model.errors import BadData, SessionNotFound, StoreUnavailable
from ..model.outcome import Active, Anonymous, Ended, Outcome, SignedOut, Started, Unproven
from ..model.records import ShortSession
from ..sessions.hooks import UserLoaderFailed
from ..sessions.parts import AppState
from ..sessions.presented import PresentedTokens
from . import proving
from .bearer import bearer_token, has_valid_bearer, raw_bearer, yields_to_cookies
from .csrf_exempt import is_exempt
from .origin import SAFE_METHODS, is_foreign
from .problems import BadRequestProblem, CsrfRejected, SessionNotFoundProblem, Unavailable
from .sockets import is_connection, is_socket
from .state import EXTENSION, RequestState, current_request, current_request_state

log = logging.getLogger("flask_corbado_session")
T = TypeVar("T")
OutcomeT = TypeVar("OutcomeT", bound="Outcome | Unproven")
_NOBODY = Anonymous()
MOST_OF_ONE_NAME = 10
"""Cookies of one name that are looked at. A browser sends the one of the longest path first; more than two are a
mishap, and very many an attack."""
SHARED_ENDPOINTS = frozenset(f"{EXTENSION}.{name}" for name in ("who_am_i", "refresh", "logout"))
"""What a single-page app on another host may call (``CORS_ORIGINS``)."""


def find_outcome(request_state: RequestState) -> Outcome:
    """The outcome of this request. Raises a 403 or 503 once; later calls, in an error page say, give Anonymous."""
    if request_state.outcome is None:
        if request_state.response_started and not _may_ask_late(request_state):
            raise RuntimeError(
                "the session was first asked for when the response had begun to leave (in a streamed body, or in a "
                "teardown function): ask for current_session or current_user before you return the response"
            )
        request_state.outcome = _NOBODY
        if request_state.handshake is None:
            outcome = _find(request_state)
            request_state.outcome = _moved(request_state, outcome) if request_state.app_state.old_logins else outcome
        else:
            request_state.outcome = find_again(request_state)
    return request_state.outcome


def _may_ask_late(request_state: RequestState) -> bool:
    """A socket has no response; a test in ``with client:`` looks at the context of a request that is over."""
    return is_connection(request_state) or "werkzeug.debug.preserve_context" in current_request().environ


def short_of(outcome: Outcome | None) -> ShortSession | None:
    """The short session of an outcome that has one."""
    short: ShortSession | None = getattr(outcome, "short", None)
    return short


def current_short() -> ShortSession | None:
    """The short session of this request, if there is one. A static file is served to nobody in particular.

    It stays cacheable although the app asks who is there before every request; a guard around it does ask.
    """
    request_state = current_request_state()
    if request_state.outcome is None and _is_static(current_request()):
        return None
    return short_of(find_outcome(request_state))


def _find(request_state: RequestState) -> Outcome:
    state, current = request_state.app_state, current_request()
    if "HTTP_AUTHORIZATION" in current.environ and (bearer := raw_bearer()) is not None:
        by_bearer = state.short_sessions.bearer(bearer)
        if not yields_to_cookies(by_bearer, bearer):
            return by_bearer
        by_cookie = _find_by_cookie(request_state, current)
        return by_bearer if isinstance(by_cookie, Anonymous) else by_cookie
    return _find_by_cookie(request_state, current)


def _find_by_cookie(request_state: RequestState, current: Request) -> Outcome:
    state, cookies = request_state.app_state, current.cookies
    tokens = cookies.getlist(state.settings.short_cookie)[:MOST_OF_ONE_NAME]
    if not (state.reads_cookies and (tokens or state.settings.long_cookie in cookies)):
        return _NOBODY
    check_origin(state, current)
    now = state.clock.now()
    short = state.short_sessions.first_valid(tokens, now)
    if short is None:
        return refresh(request_state, presented_tokens(request_state))
    if state.parts is not None and state.parts.refresh_ahead.is_due(short, now) and not is_connection(request_state):
        refreshed = state.parts.refresh_ahead.refresh(short, presented_tokens(request_state))
        if refreshed is not None:
            return refreshed
    return Active(short)


def find_again(request_state: RequestState) -> Outcome:
    """The outcome of a later context on an environ: who its handshake found, if that session serves now.

    No query beside the ended set's, but for one when the short session has run out.
    """
    first = cast(RequestState, request_state.handshake)
    if isinstance(first.outcome, SignedOut):
        return Anonymous()
    if isinstance(first.outcome, Ended):
        return first.outcome
    short = first.identity or short_of(first.outcome)
    # who was nobody is looked for again: the database may not have answered when the first context asked
    outcome = _find(request_state) if short is None else _serves_now(request_state, short)
    first.identity = short_of(outcome) or first.identity
    if isinstance(outcome, Ended):
        first.outcome = outcome
    return outcome


def _serves_now(request_state: RequestState, short: ShortSession) -> Outcome:
    state, is_bearer = request_state.app_state, bearer_token() is not None
    holds = state.short_sessions.holds_still(short)
    if holds:
        return Active(short)
    if holds is False:
        return Ended(short.session_id or "", "revoked")
    if is_bearer:
        return Anonymous("expired", "it has expired")
    parts = state.parts
    return Anonymous() if parts is None else _or_503(request_state, lambda: parts.connected.renew(short))


def _moved(request_state: RequestState, outcome: Outcome) -> Outcome:
    """The outcome, or that of an old login which becomes a session where none came (``migration``)."""
    if not request_state.app_state.old_logins or outcome != Anonymous() or not _may_move(request_state):
        return outcome
    moved = (old_logins.move() for old_logins in request_state.app_state.old_logins)
    return next((found for found in moved if found is not None), outcome)


def refresh(request_state: RequestState, presented: PresentedTokens) -> Outcome:
    """The outcome of the long tokens; a database that does not answer becomes the 503."""
    parts = request_state.app_state.parts
    if parts is None or not presented.may_refresh:
        return Anonymous()
    find = parts.connected.find if is_connection(request_state) else parts.refresh.refresh
    outcome = _or_503(request_state, lambda: find(presented))
    return proving.resolve(request_state, outcome) if isinstance(outcome, Unproven) else outcome


def _or_503(request_state: RequestState, find: Callable[[], OutcomeT]) -> OutcomeT | Anonymous:
    try:
        return find()
    except StoreUnavailable as error:
        raise unavailable(error) from error
    except UserLoaderFailed as failed:
        # still signed in: the next request presents the same token. Who only wants to know whether there is a session
        # sees none; who needs the user gets the error
        request_state.loader_error = cast(Exception, failed.__cause__)
        log.error("the app's user_loader failed at a refresh; nobody is signed out", exc_info=failed.__cause__)
        return Anonymous()


def unavailable(error: StoreUnavailable) -> Unavailable:
    """The 503 of a database that did not answer; the log says why."""
    log.error("%s", error, exc_info=error)
    return Unavailable()


def found_or_503(work: Callable[[], T], not_found: str | None = None) -> T:
    """Run work on the database with the answers of HTTP: 404 for what is not there, 503 while it is down, 400 for a
    value that the database can't hold.

    Outside a request the errors stay what they are: a script is not answered over HTTP.
    """
    if not has_request_context():
        return work()
    try:
        return work()
    except BadData as error:
        raise BadRequestProblem("The database can't hold what was sent: try it without emoji or symbols.") from error
    except SessionNotFound as error:
        raise SessionNotFoundProblem(not_found) from error
    except StoreUnavailable as error:
        raise unavailable(error) from error


def presented_tokens(request_state: RequestState) -> PresentedTokens:
    """What the request's cookies hold, and where it came from."""
    settings, current = request_state.app_state.settings, current_request()
    cookies = current.cookies
    short, long, device = (
        cookies.getlist(name)[:MOST_OF_ONE_NAME] if name in cookies else ()
        for name in (settings.short_cookie, settings.long_cookie, settings.device_cookie)
    )
    outcome = request_state.outcome
    if isinstance(outcome, Started):  # a sign-in in this very request, whose cookies the browser is yet to get
        device = [outcome.device_token]
    user_agent = current.environ.get("HTTP_USER_AGENT")
    may_refresh = bool(long) and _may_write(request_state)
    return PresentedTokens(short, long, device, current.remote_addr, user_agent, may_refresh)


def _may_write(request_state: RequestState) -> bool:
    """Whether this request may be given new tokens."""
    is_late = request_state.response_started and not is_connection(request_state)
    current = current_request()
    return not is_late and current.method != "OPTIONS" and not _is_static(current)


def _may_move(request_state: RequestState) -> bool:
    """Whether the response can carry cookies: that to a socket's handshake, or an event of a socket, can't."""
    return _may_write(request_state) and not is_connection(request_state) and current_request().endpoint is not None


def _is_static(current: Request) -> bool:
    endpoint = current.endpoint
    return endpoint is not None and (endpoint == "static" or endpoint.endswith(".static"))


def check_origin(state: AppState, current: Request | None = None) -> None:
    """Reject an unsafe request of a foreign page, before anything is read."""
    current = current or current_request()
    method = current.method
    if method in SAFE_METHODS:
        if not is_socket(current):
            return
        method = "CONNECT"  # as good as a POST: no browser keeps a page of another origin from opening a socket
    if has_valid_bearer(state):
        return
    headers, trusted = current.headers, state.settings.trusted_origins
    if current.endpoint in SHARED_ENDPOINTS:
        trusted |= state.settings.cors_origins
    if not is_foreign(method, headers.get("Sec-Fetch-Site"), headers.get("Origin"), current.host, trusted):
        return
    if not is_exempt():
        raise CsrfRejected
