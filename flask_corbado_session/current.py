"""This request's outcome: found when first asked for, kept with the request, read through the proxies."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import quote, urlencode

from flask import current_app, has_request_context, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from .errors import StoreUnavailable, UnknownSession
from .origin import SAFE_METHODS, is_foreign, is_same_host, safe_next
from .problems import CsrfRejected, InvalidBearer, SessionNotFound, Unauthenticated, Unavailable, is_navigation
from .records import (
    Active,
    Anonymous,
    AnonymousUser,
    Device,
    Ended,
    Outcome,
    Refreshed,
    SessionUser,
    ShortSession,
    Started,
)
from .short_sessions import Presented
from .state import EXTENSION, NOT_LOADED, AppState, Exchange, current_exchange

log = logging.getLogger("flask_corbado_session")
_EXEMPT = "_corbado_session_csrf_exempt"
SHARED_ENDPOINTS = frozenset(f"{EXTENSION}.{name}" for name in ("who_am_i", "refresh", "logout"))
"""What a single-page app on another host may call (``CORS_ORIGINS``)."""

_NOBODY = AnonymousUser()
_PATH = "/:@!$&'()*+,;=~"
"""What RFC 3986 §3.3 lets stand in a path unquoted, beside letters, digits, - . and _."""


# ---- the outcome


def find_outcome(exchange: Exchange) -> Outcome:
    """The outcome of this request. Raises a 403 or 503 once; whoever asks again, in an error page say, sees nobody."""
    if exchange.outcome is None:
        exchange.outcome = Anonymous()
        exchange.outcome = _find(exchange)
    return exchange.outcome


def current_short() -> ShortSession | None:
    """The short session of this request, if there is one."""
    outcome = find_outcome(current_exchange())
    return outcome.short if isinstance(outcome, (Active, Refreshed, Started)) else None


def _find(exchange: Exchange) -> Outcome:
    state, environ = exchange.state, exchange.environ
    if "HTTP_AUTHORIZATION" in environ and (bearer := bearer_token()) is not None:
        return state.shorts.bearer(bearer)
    if not state.reads_cookies:
        return Anonymous()
    cookies = request.cookies
    tokens = cookies.getlist(state.settings.short_cookie)
    if not tokens and state.settings.long_cookie not in cookies:
        return Anonymous()
    check_origin(state)
    short = state.shorts.first_valid(tokens)
    return refresh(exchange, presented_tokens(exchange)) if short is None else Active(short)


def refresh(exchange: Exchange, presented: Presented) -> Outcome:
    """What the long tokens amount to; a database that does not answer becomes the 503."""
    rows = exchange.state.rows
    if rows is None or not presented.may_refresh:
        return Anonymous()
    try:
        return rows.lifecycle.refresh(presented)
    except StoreUnavailable as error:
        raise unavailable(error) from error


def unavailable(error: StoreUnavailable) -> Unavailable:
    """The 503 of a database that did not answer; the log says why."""
    log.error("%s", error)
    return Unavailable()


T = TypeVar("T")


def found_or_503(work: Callable[[], T]) -> T:
    """Run work on the database with the answers of HTTP: 404 for what is not there, 503 while it is down."""
    try:
        return work()
    except UnknownSession as error:
        raise SessionNotFound from error
    except StoreUnavailable as error:
        raise unavailable(error) from error


def bearer_token() -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1)."""
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None or header[:6].lower() != "bearer" or header[6:7] not in ("", " "):
        return None
    return cast(str, header[7:].strip(" "))


def presented_tokens(exchange: Exchange) -> Presented:
    """What the request's cookies hold, and where it came from."""
    settings, cookies = exchange.state.settings, request.cookies
    long = cookies.getlist(settings.long_cookie)
    device = cookies.getlist(settings.device_cookie)
    agent = request.environ.get("HTTP_USER_AGENT")
    may_refresh = bool(long) and not exchange.answered and request.method != "OPTIONS" and not _is_static()
    return Presented(cookies.getlist(settings.short_cookie), long, device, request.remote_addr, agent, may_refresh)


def _is_static() -> bool:
    endpoint = request.endpoint
    return endpoint is not None and (endpoint == "static" or endpoint.endswith(".static"))


def check_origin(state: AppState) -> None:
    """Refuse an unsafe request of a foreign page, before anything is read."""
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


# ---- the user


def load_user(user_id: str) -> Any:
    """The app's user, asked for once a request, or None for one it no longer knows."""
    exchange = current_exchange()
    loader = exchange.state.callbacks.user_loader
    if loader is None:
        return SessionUser(user_id)
    if exchange.user is NOT_LOADED:
        user = current_app.ensure_sync(loader)(user_id)
        if user is None:  # not kept: of two cookies of one name the other may be somebody else's
            return None
        exchange.user = user
    return exchange.user


def _current_user() -> Any:
    short = current_short() if has_request_context() else None
    if short is None:
        return _NOBODY
    exchange = current_exchange()
    if exchange.user is not NOT_LOADED:
        return exchange.user
    if exchange.state.callbacks.user_loader is None:
        exchange.user = SessionUser(short.user_id, copy.deepcopy(dict(short.claims)))
        return exchange.user
    user = load_user(short.user_id)
    return _NOBODY if user is None and _turn_away(exchange, short) else user


def _turn_away(exchange: Exchange, short: ShortSession) -> bool:
    """The app no longer knows this user: end the session; a protected view answers as if nobody had signed in."""
    exchange.outcome = Ended(short.session_id or "", "user_disabled")
    if exchange.state.rows is not None and short.session_id is not None:
        try:
            exchange.state.rows.lifecycle.end_disabled(short.session_id, short.user_id)
        except StoreUnavailable as error:
            log.warning("the session of a disabled user could not be ended, the next request tries again: %s", error)
    if exchange.required:
        refuse()
    return True


# ---- the answer to nobody


def unauthenticated() -> Any:
    """What a protected view answers to nobody: the app's own handler, the sign-in page, or the 401 (raised)."""
    exchange = current_exchange()
    problem, settings = refusal_of(exchange), exchange.state.settings
    if isinstance(problem, InvalidBearer):
        raise problem
    handler = exchange.state.callbacks.unauthorized_handler
    # a handler that forgot its return must not let the view run
    if handler is not None and (answer := current_app.ensure_sync(handler)()) is not None:
        return answer
    if settings.login_view is not None and is_navigation():
        return redirect(view_url(settings.login_view, next=way_back()), 303)
    raise problem


def refusal_of(exchange: Exchange) -> Unauthenticated:
    """The 401 itself, with the reason why a session that came no longer serves."""
    match exchange.outcome:
        case Anonymous(bearer_code=str() as code, bearer_text=text):
            return InvalidBearer(code, text)
        case Ended(reason=reason):
            return Unauthenticated(reason=reason)
    return Unauthenticated()


def refuse() -> NoReturn:
    """Raise what :func:`unauthenticated` answers, from the depth of a view."""
    raise HTTPException(response=current_app.make_response(unauthenticated()))


def view_url(view: str, **values: Any) -> str:
    """The URL of an endpoint, or of a path."""
    if not view.startswith("/"):
        return url_for(view, **values)
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{view}{'&' if '?' in view else '?'}{query}" if query else view


def way_back() -> str | None:
    """The path asked for; a POST can't be repeated, so the page it was sent from."""
    if request.method in ("GET", "HEAD"):
        path = quote(request.script_root + request.path, _PATH)  # as it was sent: "/a%3Fb" is not "/a?b"
        query = request.query_string.decode("latin-1")
        return safe_next(f"{path}?{query}" if query else path)
    referer = request.referrer or ""
    if not is_same_host(referer, request.host):
        return None
    return safe_next("/" + referer.split("://", 1)[1].partition("/")[2])


# ---- the proxies


class CurrentSession:
    """The session of this request, as the short one proves it."""

    __slots__ = ("_short",)

    def __init__(self, short: ShortSession) -> None:
        self._short = short

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<CurrentSession {self.session_id} of user {self.user_id!r}>"

    @property
    def user_id(self) -> str:
        """Whose it is (``sub``)."""
        return self._short.user_id

    @property
    def session_id(self) -> str | None:
        """The long session's public id (``sid``)."""
        return self._short.session_id

    @property
    def claims(self) -> dict[str, Any]:
        """The app's own claims; a copy, since the verified ones serve other requests too."""
        return copy.deepcopy(dict(self._short.claims))

    @property
    def issued_at(self) -> datetime:
        """When the short session was made."""
        return self._short.issued_at

    @property
    def expires_at(self) -> datetime:
        """When the short session ends; the long one then gives the next."""
        return self._short.expires_at

    @property
    def auth_time(self) -> datetime | None:
        """When the person last proved who he is."""
        return self._short.auth_time

    @property
    def amr(self) -> tuple[str, ...]:
        """How he did (RFC 8176)."""
        return self._short.amr

    @property
    def device(self) -> Device | None:
        """The device it runs on; one statement."""
        rows = current_exchange().state.with_rows()
        try:
            found = rows.overview.devices(self.user_id, self.session_id)
        except StoreUnavailable as error:
            raise unavailable(error) from error
        return next((device for device in found if device.is_current), None)


class NoSession:
    """What ``current_session`` is without one: falsy, and empty throughout, so that templates may ask it anything."""

    __slots__ = ()
    user_id = session_id = issued_at = expires_at = auth_time = device = None
    amr: tuple[str, ...] = ()

    @property
    def claims(self) -> dict[str, Any]:
        """None."""
        return {}

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<no session>"


_NO_SESSION = NoSession()


class _Proxy(LocalProxy[Any]):
    """Werkzeug's takes a RuntimeError, "the tables do not exist" say, for False; this one lets it be seen."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return bool(self._get_current_object())


def _current_session() -> CurrentSession | NoSession:
    short = current_short() if has_request_context() else None
    return _NO_SESSION if short is None else CurrentSession(short)


current_session: CurrentSession = cast(CurrentSession, _Proxy(_current_session))
"""The session of this request; falsy when there is none."""

current_user: Any = _Proxy(_current_user)
"""Who is signed in: what ``user_loader`` returned, else a ``SessionUser``; anonymous otherwise."""
