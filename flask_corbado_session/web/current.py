"""``current_session`` and ``current_user``."""

from __future__ import annotations

import copy
import logging
from datetime import datetime
from typing import Any, cast

from flask import current_app, has_app_context, has_request_context
from werkzeug.local import LocalProxy

from ..model.errors import StoreUnavailable
from ..model.outcome import Ended
from ..model.records import Device, ShortSession
from ..model.users import AnonymousUser, SessionUser
from .challenge import abort_unauthenticated
from .hooks import load_user
from .kept_user import NOT_LOADED, keep_user, kept_user
from .request import current_short, unavailable
from .state import EXTENSION, RequestState, app_state, current_request_state

log = logging.getLogger("flask_corbado_session")
_NOBODY = AnonymousUser()


def _current_user() -> Any:
    short = current_short() if has_request_context() else None
    if short is None:
        return _nobody()
    user = kept_user(short.user_id)
    if user is not NOT_LOADED:
        return user
    request_state = current_request_state()
    if request_state.app_state.hooks.user_loader is None:
        user = SessionUser(short.user_id, copy.deepcopy(dict(short.claims)))
        keep_user(short.user_id, user)
        return user
    user = load_user(short.user_id)
    if user is None:
        end_disabled(request_state, short)
        return _nobody()
    return user


def _nobody() -> Any:
    """Who ``current_user`` is when nobody is signed in: what the app made for that, one object a request context."""
    if has_request_context():
        error = current_request_state().loader_error
        if error is not None:
            raise error
    hooks = app_state().hooks if has_app_context() and EXTENSION in current_app.extensions else None
    if hooks is None or hooks.anonymous_user is None:
        return _NOBODY
    if not has_request_context():
        return hooks.anonymous_user()
    user = kept_user(None)
    if user is NOT_LOADED:
        user = hooks.anonymous_user()
        keep_user(None, user)
    return user


def end_disabled(request_state: RequestState, short: ShortSession) -> None:
    """The app no longer knows this user: end the session. A protected view answers as if nobody had signed in."""
    request_state.outcome = Ended(short.session_id or "", "user_disabled")
    if request_state.app_state.parts is not None and short.session_id is not None:
        try:
            request_state.app_state.parts.ending.end_disabled(short.session_id, short.user_id)
        except StoreUnavailable as error:
            log.warning("the session of a disabled user could not be ended, the next request tries again: %s", error)
    if request_state.is_protected:
        abort_unauthenticated()


class CurrentSession:
    """The session of this request, as its short session proves it. Falsy, and empty throughout, without one."""

    __slots__ = ("_short",)

    def __init__(self, short: ShortSession | None) -> None:
        self._short = short

    def __bool__(self) -> bool:
        return self._short is not None

    def __repr__(self) -> str:
        if self._short is None:
            return "<no session>"
        return f"<CurrentSession {self.session_id} of user {self.user_id!r}>"

    @property
    def user_id(self) -> str | None:
        """Whose it is (``sub``)."""
        return None if self._short is None else self._short.user_id

    @property
    def session_id(self) -> str | None:
        """The long session's public id (``sid``)."""
        return None if self._short is None else self._short.session_id

    @property
    def claims(self) -> dict[str, Any]:
        """The app's own claims; a copy, since the verified ones serve other requests too."""
        return {} if self._short is None else copy.deepcopy(dict(self._short.claims))

    @property
    def issued_at(self) -> datetime | None:
        """When the short session was made; aware, UTC."""
        return None if self._short is None else self._short.issued_at

    @property
    def expires_at(self) -> datetime | None:
        """When the short session ends; the long one then gives the next. Aware, UTC."""
        return None if self._short is None else self._short.expires_at

    @property
    def auth_time(self) -> datetime | None:
        """When the person last proved who they are; aware, UTC."""
        return None if self._short is None else self._short.auth_time

    @property
    def amr(self) -> tuple[str, ...]:
        """By which methods they did (RFC 8176)."""
        return () if self._short is None else self._short.amr

    @property
    def bound(self) -> bool:
        """Whether the browser proved for it that it holds the key its session is bound to (``DEVICE_BINDING``)."""
        return self._short is not None and self._short.bound

    @property
    def device(self) -> Device | None:
        """The device it runs on; one statement."""
        if self._short is None or self._short.session_id is None:
            return None
        revocation = current_request_state().app_state.with_database().revocation
        try:
            device = revocation.device_of(self._short.session_id)
        except StoreUnavailable as error:
            raise unavailable(error) from error
        return device


_NO_SESSION = CurrentSession(None)


class _Proxy(LocalProxy[Any]):
    """LocalProxy.__bool__ swallows RuntimeError ("the tables are missing", say); this one propagates it."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return bool(self._get_current_object())


def _current_session() -> CurrentSession:
    short = current_short() if has_request_context() else None
    return _NO_SESSION if short is None else CurrentSession(short)


current_session: CurrentSession = cast(CurrentSession, _Proxy(_current_session))
"""The session of this request; falsy when there is none. Its fields are None, or empty, without a session."""

current_user: Any = _Proxy(_current_user)
"""Who is signed in: what ``user_loader`` returned, else a :class:`SessionUser`; an :class:`AnonymousUser` otherwise."""
