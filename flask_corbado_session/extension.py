"""CorbadoSession: wires one app's settings, keys, database, routes and commands together."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from flask import Blueprint, Flask, current_app, has_request_context, request, url_for
from flask_sqlalchemy import SQLAlchemy

from . import assembly as wiring
from .cli import commands as cli
from .database.tables import tables_in
from .model.outcome import Refreshed, SignedOut
from .model.records import Device, EndReason, LongSession, Notice
from .model.settings import Settings
from .sessions.hooks import Callbacks, Loaders
from .sessions.new_device import tell
from .sessions.revocation import Revocation
from .web import cookies, views
from .web import text as words
from .web.current import current_session, current_user, load_user
from .web.guards import logout_user
from .web.origin import safe_next
from .web.problems import SessionNotFoundProblem, Unauthenticated
from .web.request import (
    bearer_token,
    check_origin,
    current_short,
    exempt_from_origin_check,
    found_or_503,
    presented_tokens,
    refresh,
)
from .web.state import EXTENSION, AppState, app_state, current_request_state

log = logging.getLogger("flask_corbado_session")
F = TypeVar("F", bound=Callable[..., Any])


class AnyUser:
    """The type of :data:`ANY_USER`."""

    def __repr__(self) -> str:
        return "ANY_USER"


ANY_USER = AnyUser()
"""Says in so many words that a session or device is to be ended whoever's it is; the reason is then ``operator``."""


class CorbadoSession:
    """Two sessions that work together, for any number of apps.

    ``db`` is the app's Flask-SQLAlchemy; without one, the app only verifies short sessions.
    """

    def __init__(self, db: SQLAlchemy | None = None) -> None:
        self._db = db
        self._callbacks = Callbacks()
        if db is not None:
            tables_in(db.metadata)

    def init_app(self, app: Flask, db: SQLAlchemy | None = None) -> None:
        """Read and check the settings, and wire routes, commands and Jinja globals. Touches no database."""
        db = db or self._db
        settings = Settings.from_config(app.config)
        if db is None:
            state = wiring.verifying(app, settings, self._callbacks, self)
        else:
            loaders = Loaders(self._user_exists, self._claims, self._notify)
            state = wiring.on_database(app, db, settings, self._callbacks, loaders, self)
        app.extensions[EXTENSION] = state
        app.wsgi_app = cookies.wrap(app.wsgi_app, state)  # type: ignore[method-assign, assignment]
        app.register_blueprint(_routes(state))
        app.cli.add_command(cli.group)
        app.jinja_env.globals.update(current_session=current_session, current_user=current_user)
        words.add_to(app.jinja_env)
        if state.reads_cookies and not settings.cookie_secure and not app.debug and not app.testing:
            log.warning(
                "CORBADO_SESSION_COOKIE_SECURE is False: cookies travel in the clear; fine for development only"
            )

    # ---- what the app is asked

    def user_loader(self, loader: F) -> F:
        """Register ``loader(user_id)``; None from it (deleted, disabled) ends the session as ``user_disabled``."""
        self._callbacks.user_loader = loader
        return loader

    def claims_loader(self, loader: F) -> F:
        """Register ``loader(user_id)``, a mapping of JSON claims, asked at start and at each refresh."""
        self._callbacks.claims_loader = loader
        return loader

    def unauthorized_handler(self, handler: F) -> F:
        """Register ``handler()``, whose return value a protected view answers to nobody."""
        self._callbacks.unauthorized_handler = handler
        return handler

    def csrf_exempt(self, view: F) -> F:
        """Spare a view the origin check: one that verifies an identity provider's answer for itself."""
        marked: F = exempt_from_origin_check(view)
        return marked

    def notifier(self, notifier: F) -> F:
        """Register ``notifier(notice)``, which mails a :class:`Notice` to its user: a new device, a copied session."""
        self._callbacks.notifier = notifier
        return notifier

    def ip_locator(self, locator: F) -> F:
        """Register ``locator(ip)``, an approximate place in words or None, for the devices page."""
        self._callbacks.ip_locator = locator
        return locator

    def _notify(self, notice: Notice, link: str | None) -> None:
        if link is not None and app_state().settings.url_prefix is not None:
            notice = replace(notice, report_path=url_for(f"{EXTENSION}.disown", token=link))
        tell(self._callbacks.notifier, notice)

    def _user_exists(self, user_id: str) -> bool:
        return self._callbacks.user_loader is None or load_user(user_id) is not None

    def _claims(self, user_id: str) -> Mapping[str, Any]:
        loader = self._callbacks.claims_loader
        return {} if loader is None else (current_app.ensure_sync(loader)(user_id) or {})

    # ---- overview and revocation

    def devices(self, user_id: str | None = None) -> list[Device]:
        """The devices of the signed-in user (or of ``user_id``), each with its live sessions; the current one first."""
        owner, current = self._owner(user_id), _current_id()
        return found_or_503(lambda: self._overview.devices(owner, current))

    def history(self, user_id: str | None = None, *, limit: int = 200, offset: int = 0) -> list[LongSession]:
        """The ended sessions of the signed-in user (or of ``user_id``), the latest first."""
        owner = self._owner(user_id)
        return found_or_503(lambda: self._overview.history(owner, limit, offset))

    def rename_device(self, device_id: str, name: str, *, user_id: str | AnyUser | None = None) -> None:
        """Name a device of the signed-in user; an empty name gives it its label back."""
        owner = self._acts_on(user_id)
        found_or_503(lambda: self._overview.rename_device(device_id, owner, name))

    def revoke(self, session_id: str, *, user_id: str | AnyUser | None = None) -> None:
        """End one session, everywhere within a second. NotFound unless it is the signed-in user's, or ``ANY_USER``."""
        if session_id == _current_id() and user_id is None:
            logout_user()
            return
        owner = self._acts_on(user_id)
        self._revoked(lambda: self._overview.revoke(session_id, owner, _reason(user_id)))

    def revoke_device(self, device_id: str, *, user_id: str | AnyUser | None = None) -> None:
        """End every session on a device. NotFound unless it is the signed-in user's, or ``ANY_USER``."""
        owner = self._acts_on(user_id)
        self._revoked(lambda: self._overview.revoke_device(device_id, owner, _reason(user_id)))

    def revoke_others(self) -> None:
        """End every session of the signed-in user but this one."""
        owner, current = self._acts_on(None), _current_id()
        self._revoked(lambda: self._overview.revoke_user(owner or "", "revoked", except_session_id=current))

    def revoke_user(self, user_id: str, reason: EndReason = "operator") -> None:
        """End every session of a user: disabled, compromised, or asked for by an operator."""
        self._acts_on(ANY_USER)
        self._revoked(lambda: self._overview.revoke_user(str(user_id), reason))

    @property
    def _overview(self) -> Revocation:
        return app_state().with_database().overview

    def _owner(self, user_id: str | None) -> str:
        if user_id is not None:
            return str(user_id)
        short = current_short() if has_request_context() else None
        if short is None:
            raise SessionNotFoundProblem("Nobody is signed in; name the user with user_id.")
        return short.user_id

    def _acts_on(self, user_id: str | AnyUser | None) -> str | None:
        """Whose sessions may be changed; None is anyone's. A change is refused to pages of another origin."""
        if has_request_context():
            check_origin(app_state())
        return None if isinstance(user_id, AnyUser) else self._owner(user_id)

    def _revoked(self, revoke: Callable[[], list[str]]) -> None:
        ended = found_or_503(revoke)
        if ended and _current_id() in ended:  # revoking the current session is signing out
            current_request_state().outcome = SignedOut()

    def refresh_claims(self) -> None:
        """Give this browser a short session with the claims of now, in this answer; the others keep theirs."""
        request_state = current_request_state()
        if current_short() is None or bearer_token() is not None:
            raise Unauthenticated("There is no session in this browser whose claims could be refreshed.")
        check_origin(request_state.state)
        renewed = refresh(request_state, presented_tokens(request_state))
        if isinstance(renewed, Refreshed):
            request_state.outcome = renewed

    def expire_short(self, user_id: str, *, except_session_id: str | None = None) -> None:
        """Let every browser of a user get a new short session before it is served again: everywhere within a second.

        For claims that must change now. Nobody is signed out; the session whose id is ``but`` keeps what it has.
        """
        found_or_503(lambda: app_state().with_database().lifecycle.expire_short(str(user_id), except_session_id))

    # ---- operators

    def operator_blueprint(
        self,
        allow: Callable[[Any], bool | Awaitable[bool]],
        *,
        display_names: Callable[[Collection[str]], Mapping[str, str]] | None = None,
    ) -> Blueprint:
        """The operator pages, for the app to register: every user, device and session, with search and revocation.

        ``allow(user)`` is called with ``current_user`` at each request; where it is false, the user gets the app's
        404. ``display_names(user_ids)`` is called once a page and returns names by user id; without it the pages show
        the ids::

            operators = sessions.operator_blueprint(allow=lambda user: user.is_admin)
            app.register_blueprint(operators, url_prefix="/operator")
        """
        from .operators.pages import OperatorPages  # imported only where mounted

        return OperatorPages(allow, display_names)

    # ---- the request

    def check_origin(self) -> None:
        """Refuse an unsafe request sent by a page of another origin (403). Signing in, out and revoking ask by
        themselves; a view that writes something *before* it signs somebody in, a new user say, asks first."""
        check_origin(app_state())

    def next_url(self, default: str = "/") -> str:
        """The ``next`` this request carries if it stays on this origin, else ``default``."""
        asked = request.values.get("next")
        return safe_next(asked, app_state().settings.cors_origins) or default


def _routes(state: AppState) -> Blueprint:
    routes = views.blueprint(state)
    if state.settings.api_secret is not None and state.rows is not None:
        from .operators import api  # imported only where mounted

        api.add_routes(routes, state)
    return routes


def _current_id() -> str | None:
    short = current_short() if has_request_context() else None
    return None if short is None else short.session_id


def _reason(user_id: str | AnyUser | None) -> EndReason:
    return "revoked" if user_id is None else "operator"
