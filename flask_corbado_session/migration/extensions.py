"""The extensions an app may come from, each in a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from flask import Flask

from .jwt_cookies import JwtCookies
from .moving import register
from .remember_cookie import RememberCookie
from .source import SessionKeys

_FLASK_LOGIN_KEYS = ("_fresh", "_id", "_remember", "_remember_seconds")
_FLASK_SECURITY_KEYS = ("fs_cc", "fs_paa", "fs_gexp", "identity.id", "identity.auth_type")


def move_flask_login(app: Flask, *, until: date, find_user: Callable[[str], Any] | None = None) -> None:
    """Keep those signed in whom Flask-Login has signed in.

    The session, or the remember cookie, of a browser becomes one of ours when a request first asks who is signed in.
    The old one is taken away in the same response. Flask-Login need not be installed.

    :param app: the app, after ``sessions.init_app(app)`` and under the ``SECRET_KEY`` that Flask-Login used.
    :param until: the day, or the aware datetime, from which nothing is moved any more; at most
        ``CORBADO_SESSION_RETENTION`` ahead.
    :param find_user: called with the user id of Flask-Login; returns the user, or their id of today, or None. By
        default the ids are the same.
    :raises ValueError: for an ``until`` that is too far away.
    :raises NotOnThisApp: before ``init_app``.
    """
    register(
        app,
        lambda state: (SessionKeys("_user_id", _FLASK_LOGIN_KEYS), RememberCookie(state.secret_keys)),
        until,
        find_user,
    )


def move_flask_security_login(app: Flask, *, until: date, find_user: Callable[[str], Any]) -> None:
    """Keep those signed in whom Flask-Security has signed in. Flask-Security need not be installed.

    :param app: the app, after ``sessions.init_app(app)`` and under the same ``SECRET_KEY``.
    :param until: the day, or the aware datetime, from which nothing is moved any more; at most
        ``CORBADO_SESSION_RETENTION`` ahead.
    :param find_user: called with a ``fs_uniquifier``; returns the user, or their id, or None.
    :raises ValueError: for an ``until`` that is too far away.
    :raises NotOnThisApp: before ``init_app``.
    """
    keys = (*_FLASK_LOGIN_KEYS, *_FLASK_SECURITY_KEYS)
    register(app, lambda state: (SessionKeys("_user_id", keys), RememberCookie(state.secret_keys)), until, find_user)


def move_session_login(
    app: Flask, *, until: date, key: str = "user_id", find_user: Callable[[str], Any] | None = None
) -> None:
    """Keep those signed in whose user id the app itself has put into Flask's session, or into Flask-Session's.

    :param app: the app, after ``sessions.init_app(app)``; with Flask-Session, that stays on it meanwhile.
    :param until: the day, or the aware datetime, from which nothing is moved any more; at most
        ``CORBADO_SESSION_RETENTION`` ahead.
    :param key: where in the session the user id stands. It is taken out.
    :param find_user: called with that id as text; returns the user, or their id of today, or None.
    :raises ValueError: for an ``until`` that is too far away.
    :raises NotOnThisApp: before ``init_app``.
    """
    register(app, lambda _: (SessionKeys(key),), until, find_user)


def move_jwt_extended_login(
    app: Flask,
    *,
    until: date,
    find_user: Callable[[str], Any] | None = None,
    is_blocked: Callable[[Mapping[str, Any]], object] | None = None,
) -> None:
    """Keep those signed in who hold cookies of Flask-JWT-Extended, by the app's ``JWT_*`` settings.

    A refresh token is taken first, an access token where there is none. Flask-JWT-Extended need not be installed. A
    token in a header is not moved: it does not come with a page.

    :param app: the app, after ``sessions.init_app(app)``.
    :param until: the day, or the aware datetime, from which nothing is moved any more; at most
        ``CORBADO_SESSION_RETENTION`` ahead.
    :param find_user: called with the token's identity as text; returns the user, or their id of today, or None.
    :param is_blocked: called with a token's claims; true for one on the app's blocklist.
    :raises ValueError: for an ``until`` that is too far away.
    :raises NotOnThisApp: before ``init_app``.
    """
    register(app, lambda state: (JwtCookies(state.clock, is_blocked),), until, find_user)
