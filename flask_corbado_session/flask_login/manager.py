"""What is set on a ``LoginManager``, and what it answers to a request that may not go on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from flask import Flask, current_app, flash, redirect, request, session
from werkzeug.wrappers import Response as BaseResponse

from ..web.challenge import unauthenticated_response
from ..web.problems import InsufficientAuthentication
from ..web.request import find_outcome
from ..web.state import current_request_state
from ..web.step_up import RECENT
from ..web.stray import StrayFlaskLogin
from . import config, signals
from .differences import PROTECTION, warn
from .loading import find_user, keep_user
from .mixins import AnonymousUserMixin
from .urls import expand_login_view, login_url, make_next_param, returning_url

HandlerT = TypeVar("HandlerT", bound=Callable[[], Any])
RequestLoaderT = TypeVar("RequestLoaderT", bound=Callable[[Any], Any])


class Manager:
    """Flask-Login's settings, with its defaults, for an app that has a ``CorbadoSession``."""

    def __init__(self) -> None:
        self.anonymous_user: Callable[[], Any] = AnonymousUserMixin
        self.login_view: str | None = None
        self.blueprint_login_views: dict[str | None, str | None] = {}
        self.login_message: Any = config.LOGIN_MESSAGE
        self.login_message_category = config.LOGIN_MESSAGE_CATEGORY
        self.refresh_view: str | None = None
        self.needs_refresh_message: Any = config.REFRESH_MESSAGE
        self.needs_refresh_message_category = config.REFRESH_MESSAGE_CATEGORY
        self.localize_callback: Callable[[Any], Any] | None = None
        self.unauthorized_callback: Callable[[], Any] | None = None
        self.needs_refresh_callback: Callable[[], Any] | None = None
        self.id_attribute = config.ID_ATTRIBUTE
        self.fresh_for: timedelta = RECENT
        """How long after somebody proved who they are their login is fresh; not of Flask-Login."""
        self._request_callback: Callable[[Any], Any] | None = None
        self._session_protection: str | None = None

    @property
    def session_protection(self) -> str | None:
        """Has no effect; setting it warns."""
        return self._session_protection

    @session_protection.setter
    def session_protection(self, mode: str | None) -> None:
        if mode:
            warn("session_protection", PROTECTION)
        self._session_protection = mode

    # ---- what the app registers

    def request_loader(self, callback: RequestLoaderT) -> RequestLoaderT:
        """Register the function that finds a user in a request in which nobody is signed in, by an API key say.

        :param callback: called with the request; returns the user, or None.
        :returns: the callback, so that this works as a decorator.
        """
        self._request_callback = callback
        return callback

    @property
    def request_callback(self) -> Callable[[Any], Any] | None:
        """What ``request_loader`` registered."""
        return self._request_callback

    def unauthorized_handler(self, callback: HandlerT) -> HandlerT:
        """Register the function that answers when a view needs a login and there is none.

        :param callback: called without arguments; returns the response.
        :returns: the callback, so that this works as a decorator.
        """
        self.unauthorized_callback = callback
        return callback

    def needs_refresh_handler(self, callback: HandlerT) -> HandlerT:
        """Register the function that answers when a view needs a fresh login and there is an older one.

        :param callback: called without arguments; returns the response.
        :returns: the callback, so that this works as a decorator.
        """
        self.needs_refresh_callback = callback
        return callback

    def header_loader(self, callback: Any) -> NoReturn:
        """Flask-Login's deprecated loader.

        :raises NotImplementedError: names ``request_loader``.
        """
        raise NotImplementedError(
            "header_loader was deprecated by Flask-Login: use @login_manager.request_loader, "
            'and read request.headers["Authorization"] in it'
        )

    # ---- who it is

    @property
    def reads_sessions(self) -> bool:
        """Whether sessions name users."""
        return True

    @property
    def current_user(self) -> Any:
        """The user of the current request, or an anonymous one."""
        return find_user(self)

    def prepare(self, app: Flask) -> None:
        """Make sure that the app has a CorbadoSession."""

    def check_loaders(self) -> None:
        """Raise if no user could ever be loaded."""

    def load_from_request(self, request: Any) -> Any:
        """Whom the ``request_loader`` finds in a request, or None."""
        return None if self._request_callback is None else current_app.ensure_sync(self._request_callback)(request)

    def load_by_id(self, user_id: str) -> Any:
        """Whom the app's loader finds by an id, or None."""
        hooks = current_request_state().app_state.hooks
        return user_id if hooks.user_loader is None else hooks.call(hooks.user_loader, user_id)

    def _update_request_context_with_user(self, user: Any = None) -> None:
        """Flask-Login's inner function, which extensions call."""
        keep_user(self.anonymous_user() if user is None else user)

    def _load_user(self) -> None:
        """Flask-Login's inner function, which extensions call, and Flask-Login itself where an import was forgotten."""
        theirs = sys.modules.get("flask_login")
        if theirs is not None and theirs.__name__ != __package__:
            raise StrayFlaskLogin
        self.check_loaders()
        find_user(self)

    @property
    def _session_identifier_generator(self) -> NoReturn:
        """What Flask-Login itself asks for at a sign-in."""
        raise StrayFlaskLogin

    # ---- what it answers

    def unauthorized(self) -> Any:
        """The response to a request that needs a login; for a view, or a ``before_request``, to return.

        :returns: what the ``unauthorized_handler`` returns; else a redirect to the login view, with a flash message.
        :raises Unauthorized: a 401, when no login view is set.
        """
        signals.user_unauthorized.send(current_app._get_current_object())  # type: ignore[attr-defined]
        if self.unauthorized_callback is not None:
            return current_app.ensure_sync(self.unauthorized_callback)()
        view = self.login_view_here()
        if view is None:
            find_outcome(current_request_state())
            return unauthenticated_response()
        self._flash(self.login_message, self.login_message_category)
        return self._redirect(view)

    def needs_refresh(self) -> Any:
        """The response to a request that needs a fresh login; for a view, or a ``before_request``, to return.

        :returns: what the ``needs_refresh_handler`` returns; else a redirect to ``refresh_view``, with a flash message.
        :raises Unauthorized: a 401, when no ``refresh_view`` is set.
        """
        signals.user_needs_refresh.send(current_app._get_current_object())  # type: ignore[attr-defined]
        if self.needs_refresh_callback is not None:
            return current_app.ensure_sync(self.needs_refresh_callback)()
        if not self.refresh_view:
            raise InsufficientAuthentication(self.fresh_for.total_seconds())
        self._flash(self.needs_refresh_message, self.needs_refresh_message_category)
        return self._redirect(self.refresh_view)

    def login_view_here(self) -> str | None:
        """The login view of the blueprint that serves this request, else of the app."""
        return self.blueprint_login_views.get(request.blueprint) or self.login_view or None

    def _flash(self, message: Any, category: str) -> None:
        if message:
            flash(message if self.localize_callback is None else self.localize_callback(message), category=category)

    def _redirect(self, view: str) -> BaseResponse:
        if not current_app.config.get("USE_SESSION_FOR_NEXT", config.USE_SESSION_FOR_NEXT):
            return redirect(returning_url(view, request.url))
        session["next"] = make_next_param(expand_login_view(view), request.url)
        return redirect(login_url(view))
