"""The outcome becomes Set-Cookie and caching headers here: the one place that writes any, on the way out.

It wraps ``app.wsgi_app`` since only there nothing comes after it: an ``after_request`` of the app can no longer make an
answer that read an identity cacheable, and it is known whether the answer has begun to leave. A request that never
asked for its session passes through untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Any
from urllib.parse import quote

from werkzeug.http import dump_cookie
from werkzeug.wrappers import Response

from ..binding import headers as binding
from ..model.outcome import Active, Outcome, Refreshed, SignedOut, Started
from ..model.settings import Settings
from ..sessions.parts import AppState
from .client import is_script
from .resume import forgetting_cookies
from .state import RequestState, open_request_state

log = logging.getLogger("flask_corbado_session")

DEVICE_LIFETIME = timedelta(days=400)
"""The longest a browser keeps a cookie (RFC 6265bis §5.5)."""

LONG_COOKIE_DEADLINE = timedelta(seconds=5)
"""A response that leaves later than this after its refresh must not write its long token over a newer one."""

CLEAR_CACHE = ("Clear-Site-Data", '"cache"')
"""For sign-out, unless the setting is False. Chromium keeps the first page after a sign-in for going back, ``no-store``
or not, and would show it after the sign-out. Browsers heed this header over https and on loopback."""

Headers = list[tuple[str, str]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_PLAIN = frozenset({"Content-Type", "Content-Length"})
_CACHING = frozenset(
    {"cache-control", "expires", "surrogate-control", "cdn-cache-control", "cloudflare-cdn-cache-control"}
)


def wrap(application: Application, state: AppState, at_first: Callable[[], None] = lambda: None) -> Application:
    """The app, with its outcome written into the headers of each answer that asked for one.

    ``at_first`` is called before the first request: by then the app is complete.
    """
    pending = [at_first]

    def corbado_session(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if pending:
            for work in tuple(pending):
                work()  # perhaps twice, for two first requests at once
            pending.clear()
        request_state = open_request_state(environ, state)

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            request_state.response_started = True
            outcome, bound_answer = request_state.outcome, request_state.bound_answer
            if bound_answer is not None:
                status, headers = bound_answer.status, list(bound_answer.headers)
            if outcome is not None:
                headers = _private(headers)
                if type(outcome) is not Active or request_state.drops_form or request_state.old_cookies:
                    headers += set_cookies(request_state, environ)
            return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

        body = application(environ, start)
        return body if request_state.bound_answer is None else _replaced(body, request_state.bound_answer)

    return corbado_session


def _replaced(body: Iterable[bytes], answer: Response) -> Iterable[bytes]:
    """The body of an answer that the app may have changed."""
    if hasattr(body, "close"):
        body.close()
    return [answer.get_data()]


def _registration(state: AppState, environ: dict[str, Any], started: Started) -> Headers:
    """Asks the browser to make a key for the session that starts, where it can (``DEVICE_BINDING``)."""
    settings, bound = state.settings, None if state.parts is None else state.parts.bound
    if bound is None or not settings.cookie_secure or settings.url_prefix is None:
        return []
    # as Flask reads it: UTF-8 that WSGI hands on as Latin-1; a proxy's X-Forwarded-Prefix may be "/" alone
    script_root = environ.get("SCRIPT_NAME", "").encode("latin-1").decode(errors="replace").rstrip("/")
    path = bound_path(settings, script_root, "register")
    challenge = bound.registration_challenge(started.short.session_id or "")
    return [(binding.REGISTRATION, binding.registration(path, challenge))]


def bound_path(settings: Settings, script_root: str, name: str) -> str:
    """The path of a route of device binding; never with a host, which a proxy may know better."""
    return f"{quote(script_root)}{settings.url_prefix}/bound/{name}"


def _private(headers: Headers) -> Headers:
    """No cache may keep it (CVE-2023-30861), whatever the view said."""
    for name, _ in headers:
        if name not in _PLAIN:
            break
    else:  # most answers have no other headers
        return [*headers, ("Cache-Control", "no-store"), ("Vary", "Cookie")]
    kept, vary = [], []
    for name, value in headers:
        lowered = name.lower()
        if lowered == "vary":
            vary += [item.strip() for item in value.split(",") if item.strip().lower() != "cookie"]
        elif lowered not in _CACHING:
            kept.append((name, value))
    return [*kept, ("Cache-Control", "no-store"), ("Vary", ", ".join([*vary, "Cookie"]))]


def set_cookies(request_state: RequestState, environ: dict[str, Any]) -> Headers:
    """The Set-Cookie headers of this request, and what a sign-out sends beside them."""
    state, outcome = request_state.app_state, request_state.outcome
    written = _cookies_of(outcome, state.settings, state.clock.now())
    if request_state.drops_form:
        written += forgetting_cookies(state.settings, environ)
    if written and state.settings.cookie_secure:
        _warn_plain_http(state, environ)
    headers = [("Set-Cookie", cookie) for cookie in [*written, *request_state.old_cookies]]
    if isinstance(outcome, SignedOut) and outcome.clears_cookies and state.settings.clear_cache:
        headers.append(CLEAR_CACHE)
    if isinstance(outcome, Started):
        headers += _registration(state, environ, outcome)
    return headers


def _cookies_of(outcome: Outcome | None, settings: Settings, now: datetime) -> list[str]:
    match outcome:
        case Refreshed(short=short, short_token=short_token, long_token=long_token):
            ends = outcome.long_expires_at
            cookies = [_short(settings, short_token, short.expires_at, now, outcome.persistent)]
            if long_token is not None and timedelta(0) <= now - outcome.at <= LONG_COOKIE_DEADLINE:
                cookies.append(_cookie(settings, settings.long_cookie, long_token, _age(ends, now, outcome.persistent)))
            return cookies
        case Started(short=short):
            age = _age(outcome.long_expires_at, now, outcome.persistent)
            return [
                _short(settings, outcome.short_token, short.expires_at, now, outcome.persistent),
                _cookie(settings, settings.long_cookie, outcome.long_token, age),
                _cookie(settings, settings.device_cookie, outcome.device_token, int(DEVICE_LIFETIME.total_seconds())),
            ]
        case SignedOut(clears_cookies=True):
            return [_cookie(settings, name, "", 0) for name in (settings.short_cookie, settings.long_cookie)]
        case _:  # a passive failure deletes nothing
            return []


def _short(settings: Settings, token: str, expires_at: datetime, now: datetime, persistent: bool) -> str:
    return _cookie(settings, settings.short_cookie, token, _age(expires_at, now, persistent))


def expired_short_cookie(settings: Settings) -> str:
    """Takes the short session's cookie away."""
    return _cookie(settings, settings.short_cookie, "", 0)


def short_cookie_attributes(settings: Settings) -> str:
    """The attributes of the short session's cookie without its age, as a browser compares them."""
    return _cookie(settings, settings.short_cookie, "x", None).partition("; ")[2]


def _age(expires_at: datetime, now: datetime, persistent: bool) -> int | None:
    """Seconds that a cookie lives; None if it ends with the browser's own session."""
    # at least a second: an age of 0 would delete what was just written
    return max(ceil((expires_at - now).total_seconds()), 1) if persistent else None


def _cookie(settings: Settings, name: str, value: str, age: int | None) -> str:
    where = settings.cookie_domain, settings.cookie_secure, settings.cookie_samesite
    if age == 0:
        return dump_cookie(name, "", max_age=0, expires=0, sync_expires=False, **_kinds(*where))
    before, after = _attributes(name, *where, age is not None)
    return f"{name}={value}{before}" if age is None else f"{name}={value}{before}{age}{after}"


@lru_cache(maxsize=64)
def _attributes(name: str, domain: str | None, secure: bool, samesite: str, max_age: bool) -> tuple[str, str]:
    """What Werkzeug writes after a value, and after the number of seconds: it is the same each time.

    Our values are base64url with dots: it would not quote them.
    """
    header = dump_cookie(
        name, "", max_age=1 if max_age else None, sync_expires=False, **_kinds(domain, secure, samesite)
    )
    before, age, after = header.removeprefix(f"{name}=").partition("Max-Age=1")
    return before + age[:-1], after


def _kinds(domain: str | None, secure: bool, samesite: str) -> dict[str, Any]:
    return {"domain": domain, "secure": secure, "httponly": True, "samesite": samesite}


def _warn_plain_http(state: AppState, environ: dict[str, Any]) -> None:
    """A Secure cookie that came over http is dropped without a word, by scripts on loopback too; we say it, once."""
    if environ.get("wsgi.url_scheme") != "http":
        return
    name = environ.get("HTTP_HOST", environ.get("SERVER_NAME", ""))
    host = name if name.endswith("]") else name.rpartition(":")[0] or name
    loopback = host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "[::1]"
    about = _OF_SCRIPTS if loopback else _OF_BROWSERS
    if about in state.logged_once or (loopback and not is_script(environ)):
        return
    state.logged_once.add(about)
    log.warning("Secure cookies were set over plain http, and %s", about)


_OF_BROWSERS = (
    "browsers will drop them: serve https; behind a proxy that does, add werkzeug's ProxyFix; for development over "
    "http set CORBADO_SESSION_COOKIE_SECURE = False"
)
_OF_SCRIPTS = (
    "the client is no browser: browsers send them back to this host, but python-requests, curl and most others do not, "
    "so that it will seem signed out. For scripts over http set CORBADO_SESSION_COOKIE_SECURE = False in development, "
    "or let them send the short session as a bearer token"
)
