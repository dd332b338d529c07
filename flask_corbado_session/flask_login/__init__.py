"""Flask-Login's names on the sessions of this package: ``from flask_corbado_session.flask_login import LoginManager``.

:func:`install` puts this package in the place of ``flask_login``, for extensions that import that. docs/flask-login.md
says of every name what it does here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NoReturn

from .__about__ import __version__
from .config import (
    AUTH_HEADER_NAME,
    COOKIE_DURATION,
    COOKIE_HTTPONLY,
    COOKIE_NAME,
    COOKIE_SECURE,
    ID_ATTRIBUTE,
    LOGIN_MESSAGE,
    LOGIN_MESSAGE_CATEGORY,
    REFRESH_MESSAGE,
    REFRESH_MESSAGE_CATEGORY,
)
from .differences import HasNoEffect
from .login_manager import LoginManager
from .mixins import AnonymousUserMixin, UserMixin
from .signals import (
    session_protected,
    user_accessed,
    user_loaded_from_cookie,
    user_loaded_from_request,
    user_logged_in,
    user_logged_out,
    user_login_confirmed,
    user_needs_refresh,
    user_unauthorized,
)
from .test_client import FlaskLoginClient
from .utils import (
    confirm_login,
    current_user,
    decode_cookie,
    encode_cookie,
    fresh_login_required,
    login_fresh,
    login_remembered,
    login_required,
    login_url,
    login_user,
    logout_user,
    make_next_param,
    set_login_view,
)

__all__ = [
    "AUTH_HEADER_NAME",
    "COOKIE_DURATION",
    "COOKIE_HTTPONLY",
    "COOKIE_NAME",
    "COOKIE_SECURE",
    "ID_ATTRIBUTE",
    "LOGIN_MESSAGE",
    "LOGIN_MESSAGE_CATEGORY",
    "REFRESH_MESSAGE",
    "REFRESH_MESSAGE_CATEGORY",
    "AnonymousUserMixin",
    "FlaskLoginClient",
    "HasNoEffect",
    "LoginManager",
    "UserMixin",
    "__version__",
    "confirm_login",
    "current_user",
    "decode_cookie",
    "encode_cookie",
    "fresh_login_required",
    "install",
    "login_fresh",
    "login_remembered",
    "login_required",
    "login_url",
    "login_user",
    "logout_user",
    "make_next_param",
    "session_protected",
    "set_login_view",
    "user_accessed",
    "user_loaded_from_cookie",
    "user_loaded_from_request",
    "user_logged_in",
    "user_logged_out",
    "user_login_confirmed",
    "user_needs_refresh",
    "user_unauthorized",
]

_MODULES = ("__about__", "config", "login_manager", "mixins", "signals", "test_client", "utils")


def install() -> None:
    """Put this package in the place of ``flask_login``, as PyMySQL does for MySQLdb: in the app's first line.

    Whatever imports ``flask_login`` after that, an extension or the app, gets this.

    :raises RuntimeError: when something has imported Flask-Login already, and would go on with it.
    """
    installed = sys.modules.get("flask_login")
    if installed is not None and installed is not sys.modules[__name__]:
        raise RuntimeError(
            "flask_login has been imported already, and whoever did that keeps it: "
            "call flask_corbado_session.flask_login.install() before any import that leads to flask_login"
        )
    sys.modules["flask_login"] = sys.modules[__name__]
    for name in _MODULES:
        sys.modules[f"flask_login.{name}"] = import_module(f".{name}", __name__)


def __getattr__(name: str) -> NoReturn:
    if name == "user_loaded_from_header":
        raise AttributeError("user_loaded_from_header was deprecated by Flask-Login: use user_loaded_from_request")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
