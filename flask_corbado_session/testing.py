"""For the tests of apps that use the extension: a client signed in as someone, a clock to move, a jar to copy.

clock = move_clock(app)
alice = signed_in(app, "alice", amr=["pwd"])
expire_short(alice)                # the next request is refreshed
thief = copy_jar(alice)            # a second browser with the same cookies
clock.move(minutes=20)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Cookie

from .sessions.parts import AppState
from .web.cookies import set_cookies
from .web.guards import login_user
from .web.state import EXTENSION, current_request_state


class MovingClock:
    """Stands still until it is moved, forwards or back.

    :param at: where it starts; aware.
    """

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, by: timedelta | None = None, **parts: float) -> datetime:
        """Move by a timedelta, or by its parts: ``clock.move(minutes=20)``.

        :param by: how far; negative moves it back.
        :param parts: the arguments of a timedelta, in the place of one.
        :returns: the new time; aware.
        """
        self.at += by if by is not None else timedelta(**parts)
        return self.at


def move_clock(app: Flask, at: datetime | None = None) -> MovingClock:
    """Put a clock you move in the place of the app's.

    :param app: the app, after ``init_app``.
    :param at: where it starts, an aware datetime; now by default.
    :returns: the clock, which stands still until its ``move()`` is called.
    """
    clock = MovingClock(at or datetime.now(UTC))
    _state(app).clock.read = clock
    return clock


def signed_in(
    app: Flask,
    user: Any,
    *,
    claims: Mapping[str, Any] | None = None,
    amr: Iterable[str] = (),
    remember: bool = True,
    fresh: bool = True,
    age: timedelta = timedelta(0),
    user_agent: str | None = None,
    client: FlaskClient | None = None,
    base_url: str | None = None,
) -> FlaskClient:
    """A test client with the cookies of a session that was started for a user.

    :param app: the app, after ``init_app``.
    :param user: the user, or an id.
    :param claims: as for :func:`login_user`.
    :param amr: as for :func:`login_user`.
    :param remember: as for :func:`login_user`.
    :param fresh: as for :func:`login_user`: with False, step-up asks at once.
    :param age: how long ago the session was started. Beyond the short lifetime the short cookie is gone, as it would be
        from a browser: the first request is refreshed.
    :param user_agent: the browser that signs in.
    :param client: a client that signs in, with the cookies it has; a new one by default.
    :param base_url: the host that the cookies are for, and that the client's requests name, in an app that serves
        several; the host of ``SERVER_NAME`` by default.
    :returns: the client.
    :raises ValueError: for a user whose ``is_active`` is false.
    """
    client = client or app.test_client()
    headers = {"User-Agent": user_agent} if user_agent else None
    if base_url is not None:
        _hosts[client] = urlsplit(base_url).hostname or ""
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in _jar(client))
    # a session starts over https, and its Secure cookies are kept
    environ = {"wsgi.url_scheme": "https", **({"HTTP_COOKIE": cookies} if cookies else {})}
    request = app.test_request_context(base_url=base_url, headers=headers, environ_overrides=environ)
    with request as context, _at_age(app, age):
        if not login_user(user, remember, claims=claims, amr=amr, fresh=fresh):
            raise ValueError("this user's is_active is false, so they can't be signed in")
        for _, header in set_cookies(current_request_state(), context.request.environ):
            _keep(client, header)
    if age >= _state(app).settings.short_lifetime:
        expire_short(client)
    return client


@contextmanager
def _at_age(app: Flask, age: timedelta) -> Iterator[None]:
    clock = _state(app).clock
    now = clock.read
    clock.read = lambda: now() - age
    try:
        yield
    finally:
        clock.read = now


def expire_short(client: FlaskClient) -> None:
    """What a browser does when the short session's cookie runs out: it forgets it.

    :param client: the client; its next request is refreshed.
    """
    name = _state(client.application).settings.short_cookie
    for cookie in _jar(client):
        if cookie.key == name:
            client.delete_cookie(name, domain=cookie.domain)


def copy_jar(client: FlaskClient) -> FlaskClient:
    """A second client with the same cookies, as a thief has who copied them.

    :param client: the client whose cookies are copied.
    :returns: the second client.
    """
    app = client.application
    thief = app.test_client()
    if client in _hosts:
        _hosts[thief] = _hosts[client]
    for cookie in _jar(client):
        thief.set_cookie(cookie.key, cookie.value, domain=cookie.domain, origin_only=cookie.origin_only)
    return thief


_hosts: WeakKeyDictionary[FlaskClient, str] = WeakKeyDictionary()
"""The host that a client was signed in on, where it was told."""


def _keep(client: FlaskClient, header: str) -> None:
    name, _, rest = header.partition("=")
    host, domain = _domains(client)
    shared = bool(domain) and f".{host}".endswith(f".{domain}")
    client.set_cookie(name, rest.partition(";")[0], domain=domain if shared else host, origin_only=not shared)


def _jar(client: FlaskClient) -> list[Cookie]:
    """The session's cookies that a client has."""
    domains = dict.fromkeys((*_domains(client), "localhost"))
    found = (client.get_cookie(name, domain) for name in _names(client.application) for domain in domains if domain)
    return [cookie for cookie in found if cookie is not None]


def _domains(client: FlaskClient) -> tuple[str, str]:
    """The host that a client asks, and the domain that the cookies are shared within, if there is one."""
    app = client.application
    host = _hosts.get(client) or urlsplit(f"//{app.config['SERVER_NAME'] or 'localhost'}").hostname or ""
    return host, (_state(app).settings.cookie_domain or "").removeprefix(".").lower()


def _names(app: Flask) -> tuple[str, str, str]:
    settings = _state(app).settings
    return settings.short_cookie, settings.long_cookie, settings.device_cookie


def _state(app: Flask) -> AppState:
    state: AppState = app.extensions[EXTENSION]
    return state
