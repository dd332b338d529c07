"""Flask-Login's functions: sign in and out, the decorators, ``current_user``, and its signed cookie values."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha512
from typing import Any, TypeVar

from flask import Blueprint, current_app, has_request_context, request, session
from werkzeug.local import LocalProxy

from ..model.outcome import Refreshed, Started
from ..web import guards, step_up
from ..web.request import current_short, found_or_503
from ..web.state import app_state, current_request_state
from .config import COOKIE_NAME, EXEMPT_METHODS
from .differences import warn
from .loading import keep_user
from .manager import Manager
from .signals import user_logged_in, user_logged_out, user_login_confirmed
from .urls import expand_login_view, login_url, make_next_param

__all__ = [
    "COOKIE_NAME",
    "EXEMPT_METHODS",
    "confirm_login",
    "current_user",
    "decode_cookie",
    "encode_cookie",
    "expand_login_view",
    "fresh_login_required",
    "login_fresh",
    "login_remembered",
    "login_required",
    "login_url",
    "login_user",
    "logout_user",
    "make_next_param",
    "set_login_view",
]

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
_SESSION_KEYS = ("_user_id", "_fresh", "_id")


class _Proxy(LocalProxy[Any]):
    """LocalProxy takes a RuntimeError in ``if current_user:`` for False, "the tables are missing" say."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return bool(self._get_current_object())


current_user: Any = _Proxy(lambda: _get_user())
"""Who is signed in, or who ``LoginManager.anonymous_user`` makes; None outside a request."""


def current_manager() -> Manager:
    """The app's LoginManager; for an app that has a CorbadoSession alone, one with Flask-Login's defaults."""
    manager = getattr(current_app, "login_manager", None)
    if not isinstance(manager, Manager):
        app_state()  # which says what is missing, if that is so
        manager = current_app.login_manager = Manager()  # type: ignore[attr-defined]
    manager.prepare(current_app._get_current_object())  # type: ignore[attr-defined]
    return manager


# ---- signing in and out


def login_user(
    user: Any, remember: bool = False, duration: timedelta | None = None, force: bool = False, fresh: bool = True
) -> bool:
    """Sign a user in: a new session in this browser.

    :param user: the user object.
    :param remember: True for cookies that outlive the browser's own session.
    :param duration: with ``remember``, how long the session lasts at most; ``CORBADO_SESSION_LONG_LIFETIME`` at most.
    :param force: sign in a user whose ``is_active`` is false as well.
    :param fresh: False for a login that ``fresh_login_required`` does not accept.
    :returns: whether the user was signed in: False for one who is not active.
    :raises TypeError: for a duration that is no timedelta.
    """
    manager = current_manager()
    user = user._get_current_object() if isinstance(user, LocalProxy) else user
    if not force and not getattr(user, "is_active", True):
        return False
    get_id = getattr(user, manager.id_attribute, None)
    lifetime = _lifetime(duration) if remember and duration is not None else None
    guards.login_user(
        user if get_id is None else str(get_id()), bool(remember), lifetime=lifetime, fresh=fresh, **_forced()
    )
    keep_user(user)
    user_logged_in.send(_app(), user=user)
    return True


def _lifetime(duration: Any) -> timedelta:
    if not isinstance(duration, timedelta):
        raise TypeError(f"duration must be a datetime.timedelta, instead got: {duration}")
    if duration > app_state().settings.long_lifetime:
        warn(f"duration={duration!r}", "CORBADO_SESSION_LONG_LIFETIME is shorter, and the limit", stacklevel=4)
    return duration


def logout_user() -> bool:
    """Sign out: the session ends everywhere, and its cookies are cleared.

    :returns: True.
    """
    manager = current_manager()
    user = _get_user()
    for key in _SESSION_KEYS:
        session.pop(key, None)
    guards.logout_user()
    keep_user(user)  # whom the receivers still see
    user_logged_out.send(_app(), user=user)
    keep_user(manager.anonymous_user())
    return True


def confirm_login() -> None:
    """The signed-in user has just proved again who they are: their login is fresh. It gets a new session id.

    :raises Unauthenticated: when nobody is signed in.
    """
    current_manager()
    step_up.confirm_login()
    user_login_confirmed.send(_app())


def login_fresh() -> bool:
    """Whether the user has proved who they are lately: within ``LoginManager.fresh_for``, 15 minutes.

    :returns: False also when nobody is signed in.
    """
    manager, short = current_manager(), current_short()
    if short is None or short.auth_time is None:
        return False
    return app_state().clock.now() - short.auth_time <= manager.fresh_for + timedelta(seconds=1)


def login_remembered() -> bool:
    """Whether the session outlives the browser's own; one statement, except right after a sign-in or refresh.

    :returns: False also when nobody is signed in.
    """
    current_manager()
    short, outcome = current_short(), current_request_state().outcome
    if short is None or short.session_id is None:
        return False
    if isinstance(outcome, (Started, Refreshed)):
        return outcome.persistent
    session_id, sign_in = short.session_id, app_state().with_database().sign_in
    carried_over = found_or_503(lambda: sign_in.carried_over(session_id))
    return carried_over is not None and carried_over.persistent


# ---- decorators


def login_required(func: ViewT) -> ViewT:
    """Let a view run for a signed-in user only; ``LoginManager.unauthorized()`` answers anyone else.

    ``OPTIONS`` passes, and so does everything where ``LOGIN_DISABLED`` is set, as tests do.

    :param func: the view, sync or async.
    :returns: the view, guarded.
    """

    @functools.wraps(func)
    def decorated_view(*args: Any, **kwargs: Any) -> Any:
        if not _is_exempt() and not current_user.is_authenticated:
            return current_manager().unauthorized()
        return current_app.ensure_sync(func)(*args, **kwargs)

    return decorated_view  # type: ignore[return-value]


def fresh_login_required(func: ViewT) -> ViewT:
    """Let a view run for a user with a fresh login only (``login_fresh()``).

    ``LoginManager.needs_refresh()`` answers those whose login is older, ``unauthorized()`` anyone else.

    :param func: the view, sync or async.
    :returns: the view, guarded.
    """

    @functools.wraps(func)
    def decorated_view(*args: Any, **kwargs: Any) -> Any:
        if not _is_exempt():
            if not current_user.is_authenticated:
                return current_manager().unauthorized()
            if not login_fresh():
                return current_manager().needs_refresh()
        return current_app.ensure_sync(func)(*args, **kwargs)

    return decorated_view  # type: ignore[return-value]


def _is_exempt() -> bool:
    return request.method in EXEMPT_METHODS or bool(current_app.config.get("LOGIN_DISABLED"))


def set_login_view(login_view: str, blueprint: Blueprint | None = None) -> None:
    """Set the login view of the app, or of a blueprint.

    :param login_view: an endpoint, a path, or a URL.
    :param blueprint: the blueprint whose views lead there; the app's other views keep theirs.
    """
    manager = current_manager()
    if blueprint is None:
        manager.login_view = login_view
    else:
        manager.blueprint_login_views[blueprint.name] = login_view


# ---- the values of Flask-Login's remember cookie, for apps that move them


def encode_cookie(payload: str, key: str | bytes | None = None) -> str:
    """A value with Flask-Login's signature.

    :param payload: the value.
    :param key: what signs it; ``SECRET_KEY`` by default.
    :returns: value and signature, with a ``|`` between them.
    """
    return f"{payload}|{_cookie_digest(payload, key)}"


def decode_cookie(cookie: str, key: str | bytes | None = None) -> str | None:
    """The value that ``encode_cookie`` signed, or None.

    :param cookie: value and signature.
    :param key: what signed it; ``SECRET_KEY`` by default.
    :returns: the value; None if the signature is not by that key.
    """
    payload, separator, digest = cookie.rpartition("|")
    if not separator or not digest.isascii():
        return None
    return payload if hmac.compare_digest(_cookie_digest(payload, key), digest) else None


def _cookie_digest(payload: str, key: str | bytes | None = None) -> str:
    return hmac.new(_secret_key(key), payload.encode(), sha512).hexdigest()


def _secret_key(key: str | bytes | None = None) -> bytes:
    secret: str | bytes = current_app.config["SECRET_KEY"] if key is None else key
    return secret.encode("latin-1") if isinstance(secret, str) else secret


# ---- what tests and extensions take from here, though its names begin with an underscore


def _get_user() -> Any:
    return current_manager().current_user if has_request_context() else None


def _user_context_processor() -> dict[str, Any]:
    return {"current_user": current_user}  # the proxy: a template that does not show it, loads nobody


def _app() -> Any:
    return current_app._get_current_object()  # type: ignore[attr-defined]


def _forced() -> dict[str, Any]:
    """The core refuses inactive users by itself; here it has been asked already."""
    return {"force": True} if "force" in guards.login_user.__annotations__ else {}
