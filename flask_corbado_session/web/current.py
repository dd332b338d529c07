"""Who is signed in: the user, as the app knows him, and the proxies a view reads both through."""

from __future__ import annotations

import copy
import logging
from datetime import datetime
from typing import Any, cast

from flask import current_app, has_request_context
from werkzeug.local import LocalProxy

from ..model.errors import StoreUnavailable
from ..model.outcome import Ended
from ..model.records import Device, ShortSession
from ..model.users import AnonymousUser, SessionUser
from .challenge import abort_unauthenticated
from .request import current_short, unavailable
from .state import NOT_LOADED, RequestState, current_request_state

log = logging.getLogger("flask_corbado_session")
_NOBODY = AnonymousUser()


# ---- the user


def load_user(user_id: str) -> Any:
    """The app's user, asked for once a request, or None for one it no longer knows."""
    request_state = current_request_state()
    loader = request_state.state.callbacks.user_loader
    if loader is None:
        return SessionUser(user_id)
    if request_state.user is NOT_LOADED:
        user = current_app.ensure_sync(loader)(user_id)
        if user is None:  # not kept: of two cookies of one name the other may be somebody else's
            return None
        request_state.user = user
    return request_state.user


def _current_user() -> Any:
    short = current_short() if has_request_context() else None
    if short is None:
        return _NOBODY
    request_state = current_request_state()
    if request_state.user is not NOT_LOADED:
        return request_state.user
    if request_state.state.callbacks.user_loader is None:
        request_state.user = SessionUser(short.user_id, copy.deepcopy(dict(short.claims)))
        return request_state.user
    user = load_user(short.user_id)
    return _NOBODY if user is None and _turn_away(request_state, short) else user


def _turn_away(request_state: RequestState, short: ShortSession) -> bool:
    """The app no longer knows this user: end the session; a protected view answers as if nobody had signed in."""
    request_state.outcome = Ended(short.session_id or "", "user_disabled")
    if request_state.state.rows is not None and short.session_id is not None:
        try:
            request_state.state.rows.lifecycle.end_disabled(short.session_id, short.user_id)
        except StoreUnavailable as error:
            log.warning("the session of a disabled user could not be ended, the next request tries again: %s", error)
    if request_state.required:
        abort_unauthenticated()
    return True


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
        rows = current_request_state().state.with_database()
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
