"""CorbadoSession: what an app creates and calls. It registers the parts of an app; nothing is decided here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from flask import Blueprint, Flask

from . import assembly
from .cli.entry import group, is_running_command
from .database.engine import Database
from .database.tables import tables_in
from .model.clock import Clock
from .model.records import Device, EndReason, LongSession, Notice
from .model.settings import Settings
from .model.users import UserId
from .sessions.hooks import ClaimsLoader
from .sessions.parts import AppState
from .web import actions, cookies, text, views
from .web.actions import ANY_USER, AnyUser
from .web.app_engine import AppEngine
from .web.csrf_exempt import exempt_from_origin_check
from .web.current import current_session, current_user
from .web.flask_wtf import spare_own_routes
from .web.hooks import FlaskHooks
from .web.own_templates import OwnSyntaxLoader
from .web.problem_handler import answer
from .web.problems import Problem
from .web.request import check_origin
from .web.state import EXTENSION, app_state
from .web.stray import check_places, refuse_name, watch_for_flask_login

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from .operators.pages import Allow
    from .operators.panel import DisplayNames
    from .web.live import GuardedStream
    from .web.watcher import LiveConnection

__all__ = ["ANY_USER", "AnyUser", "CorbadoSession"]

log = logging.getLogger("flask_corbado_session")
UserLoaderT = TypeVar("UserLoaderT", bound=Callable[[str], Any])
ClaimsLoaderT = TypeVar("ClaimsLoaderT", bound=ClaimsLoader)
HandlerT = TypeVar("HandlerT", bound=Callable[[], Any])
FactoryT = TypeVar("FactoryT", bound=Callable[[], Any])
NotifierT = TypeVar("NotifierT", bound=Callable[[Notice], object])
LocatorT = TypeVar("LocatorT", bound=Callable[[str], "str | None"])
T = TypeVar("T")
ViewT = TypeVar("ViewT", bound="Callable[..., Any] | Blueprint")


class CorbadoSession:
    """Two sessions that work together, for any number of apps.

    :param db: the app's Flask-SQLAlchemy. Without one, the app only verifies short sessions.
    :param engine_options: options of SQLAlchemy's ``create_engine`` for the library's own engine, which has those of
        the app's otherwise. They have the last word, but on isolation; ``url`` names another database.
    """

    def __init__(self, db: SQLAlchemy | None = None, *, engine_options: Mapping[str, Any] | None = None) -> None:
        check_places(None, db)
        self._db = db
        self._engine_options = dict(engine_options or {})
        self._hooks = FlaskHooks()
        if db is not None:
            tables_in(db.metadata)

    def init_app(self, app: Flask, db: SQLAlchemy | None = None) -> None:
        """Read and check the settings, and register routes, commands and Jinja globals. Touches no database.

        :param app: the app.
        :param db: the app's Flask-SQLAlchemy, if the constructor was given none.
        :raises SettingsError: names a ``CORBADO_SESSION_*`` setting, or a ``SECRET_KEY``, that can't be used.
        :raises ValueError: when the app has a CorbadoSession already.
        """
        check_places(app, db)
        if EXTENSION in app.extensions:
            raise ValueError(
                'this app has a CorbadoSession already, in app.extensions["corbado_session"]: call init_app once for '
                "each app, and before login_manager.init_app(app) where there is a LoginManager too"
            )
        db = db or self._db
        settings = Settings.from_config(app.config)
        if db is None:
            state = assembly.verifying(settings, app.config, hooks=self._hooks)
        else:
            state = self._on_database(app, db, settings)
        app.extensions[EXTENSION] = state
        watch_for_flask_login(app)
        app.wsgi_app = cookies.wrap(app.wsgi_app, state, lambda: _at_first(app))  # type: ignore[method-assign, assignment]
        app.register_blueprint(_routes(state))
        app.cli.add_command(group)
        app.jinja_env.globals.update(current_session=current_session, current_user=current_user)
        text.add_to(app.jinja_env)
        if app.jinja_env.loader is not None:
            app.jinja_env.loader = OwnSyntaxLoader(app.jinja_env.loader)
        app.error_handler_spec[None][None].setdefault(Problem, answer)
        if state.reads_cookies and not settings.cookie_secure and not app.debug and not app.testing:
            log.warning(
                "CORBADO_SESSION_COOKIE_SECURE is False: cookies travel in the clear; fine for development only"
            )

    if not TYPE_CHECKING:  # a type checker finds these without

        def __setattr__(self, name: str, value: object) -> None:
            refuse_name(name)
            super().__setattr__(name, value)

        def __getattr__(self, name: str) -> NoReturn:
            refuse_name(name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _on_database(self, app: Flask, db: SQLAlchemy, settings: Settings) -> AppState:
        engine = AppEngine(app, db, self._engine_options)
        engine.check()
        clock = Clock()
        secret_keys = assembly.secret_keys(app.config, allow_weak=app.debug or app.testing)
        # a server does not start on a key file that is missing or broken; a command, `keys generate` say, does
        keys = assembly.key_ring(settings, app.instance_path, clock, load=not is_running_command())
        return assembly.on_database(
            settings,
            Database(engine.locate, db.metadata, listeners=engine.listeners, last_word=self._engine_options),
            secret_keys=secret_keys,
            keys=keys,
            hooks=self._hooks,
            clock=clock,
            sender=app,
        )

    # ---- what the app registers

    def user_loader(self, loader: UserLoaderT) -> UserLoaderT:
        """Register the function that loads a user.

        It is asked at each refresh, and when ``current_user`` is first touched in a request. ``login_required`` alone
        does not ask it: whom the loader no longer knows, such a view serves for the rest of their short session, which
        is ``CORBADO_SESSION_SHORT_LIFETIME`` at most.

        :param loader: called with the user id; returns the user. None, or a user whose ``is_active`` is false, ends
            the session as ``user_disabled``. What it raises ends nothing.
        :returns: the loader, so that this works as a decorator.
        """
        self._hooks.user_loader = loader
        return loader

    def claims_loader(self, loader: ClaimsLoaderT) -> ClaimsLoaderT:
        """Register the function that says which claims a user's short sessions hold.

        It is asked before a sign-in writes anything, and at each refresh. If it fails at a refresh, or the claims no
        longer fit in a cookie, the session goes on with the claims of its sign-in, and the log says why.

        :param loader: called with the user id; returns a mapping of JSON values, or None.
        :returns: the loader, so that this works as a decorator.
        """
        self._hooks.claims_loader = loader
        return loader

    def anonymous_user(self, factory: FactoryT) -> FactoryT:
        """Register who ``current_user`` is when nobody is signed in, in the place of :class:`AnonymousUser`.

        :param factory: a class, or a function; called without arguments, once in a request.
        :returns: the factory, so that this works as a decorator.
        """
        self._hooks.anonymous_user = factory
        return factory

    def unauthorized_handler(self, handler: HandlerT) -> HandlerT:
        """Register the function whose return value a protected view answers to an unauthenticated request.

        :param handler: called without arguments; when it returns None the usual response is sent.
        :returns: the handler, so that this works as a decorator.
        """
        self._hooks.unauthorized_handler = handler
        return handler

    def notifier(self, notifier: NotifierT) -> NotifierT:
        """Register the function that mails a :class:`Notice` to its user: a new device, a copied session.

        :param notifier: called with the notice, after the commit. What it raises is logged and undoes nothing.
        :returns: the notifier, so that this works as a decorator.
        """
        self._hooks.notifier = notifier
        return notifier

    def ip_locator(self, locator: LocatorT) -> LocatorT:
        """Register the function that says where an IP address is, for the devices page.

        :param locator: called with the address; returns an approximate place in words, or None.
        :returns: the locator, so that this works as a decorator.
        """
        self._hooks.ip_locator = locator
        return locator

    def csrf_exempt(self, view: ViewT) -> ViewT:
        """Spare a view the origin check, because it verifies an identity provider's answer for itself.

        :param view: the view, the class of one or a method of that, or a blueprint with all its views.
        :returns: what was given, so that this works as a decorator.
        """
        marked: ViewT = exempt_from_origin_check(view)
        return marked

    # ---- sessions and devices

    def devices(self, user_id: UserId | None = None) -> list[Device]:
        """The devices a user is signed in on, each with its live sessions; the current one first.

        :param user_id: whose devices; the signed-in user's by default.
        :returns: the devices; empty for a user who is signed in nowhere.
        :raises Problem: a 401, in a request in which nobody is signed in, when no user is named.
        :raises SessionNotFound: outside a request, when no user is named.
        """
        return actions.list_devices(user_id)

    def history(self, user_id: UserId | None = None, *, limit: int = 200, offset: int = 0) -> list[LongSession]:
        """The ended sessions of a user, the latest first.

        :param user_id: whose sessions; the signed-in user's by default.
        :param limit: how many at most.
        :param offset: how many to skip.
        :returns: the sessions, each with ``ended_at`` and ``end_reason``, for as long as ``CORBADO_SESSION_RETENTION``.
        :raises Problem: a 401, in a request in which nobody is signed in, when no user is named.
        :raises SessionNotFound: outside a request, when no user is named.
        """
        return actions.list_history(user_id, limit=limit, offset=offset)

    def rename_device(self, device_id: str, name: str, *, user_id: UserId | AnyUser | None = None) -> None:
        """Name a device.

        :param device_id: the device.
        :param name: at most 80 characters; an empty one gives the device its label back.
        :param user_id: whose device it must be: the signed-in user's by default, anyone's with ``ANY_USER``.
        :raises SessionNotFound: for a device that is not this user's.
        """
        actions.rename_device(device_id, name, user_id)

    def revoke(self, session_id: str, *, user_id: UserId | AnyUser | None = None) -> None:
        """End one session, everywhere within a second. Does nothing if it has ended already.

        Revoking the current session is signing out.

        :param session_id: the session.
        :param user_id: whose session it must be: the signed-in user's by default, anyone's with ``ANY_USER``.
        :raises SessionNotFound: for a session that is not this user's.
        """
        actions.revoke(session_id, user_id)

    def revoke_device(self, device_id: str, *, user_id: UserId | AnyUser | None = None) -> None:
        """End every session on a device, everywhere within a second.

        :param device_id: the device.
        :param user_id: whose device it must be: the signed-in user's by default, anyone's with ``ANY_USER``.
        :raises SessionNotFound: for a device that is not this user's.
        """
        actions.revoke_device(device_id, user_id)

    def revoke_others(self) -> None:
        """End every session of the signed-in user but this one, everywhere within a second.

        :raises Problem: a 401, when nobody is signed in.
        :raises SessionNotFound: outside a request.
        """
        actions.revoke_others()

    def revoke_user(
        self, user_id: UserId, reason: EndReason = "operator", *, except_session_id: str | None = None
    ) -> None:
        """End every session of a user: disabled, compromised, or asked for by an operator.

        :param user_id: the user.
        :param reason: what the session's history says.
        :param except_session_id: a session that goes on.
        """
        actions.revoke_user(user_id, reason, except_session_id=except_session_id)

    def refresh_claims(self) -> None:
        """Give this browser a short session with the claims of now, in this response; other browsers keep theirs.

        :raises Problem: a 401, when no session came by cookie; a 503, while the database does not respond.
        :raises RuntimeError: outside a request, or once the response has begun to leave.
        """
        actions.refresh_claims()

    def expire_short(self, user_id: UserId, *, except_session_id: str | None = None) -> None:
        """Have every browser of a user get a new short session before it is served again, everywhere within a second.

        For claims that must change now. Nobody is signed out.

        :param user_id: the user.
        :param except_session_id: a session that keeps the short session it has.
        """
        actions.expire_short(user_id, except_session_id=except_session_id)

    def operator_blueprint(self, allow: Allow, *, display_names: DisplayNames | None = None) -> Blueprint:
        """The operator pages, for the app to register: every user, device and session, with search and revocation.

        ::

            operators = sessions.operator_blueprint(allow=lambda user: user.is_admin)
            app.register_blueprint(operators, url_prefix="/operator")

        :param allow: called at each request with ``current_user``; a user for whom it is false gets the app's 404.
        :param display_names: called with the user ids on a page; returns what these people are called. Without it
            they are shown by their ids.
        :returns: the blueprint; a new one at each call.
        """
        from .operators.pages import OperatorPages  # which few apps mount

        return OperatorPages(allow, display_names)

    # ---- live connections

    def end_on_revocation(self, close: Callable[[], object]) -> LiveConnection:
        """End a connection that outlives this request, a socket, within about a second of its session's end.

        ::

            with sessions.end_on_revocation(ws.close):
                while True:
                    ws.send(next_price())

        :param close: called once, in the app's context and in another thread, when the session was ended or has
            expired. A WebSocket that is still open a second later is cut, where the server allows it.
        :returns: a context manager that forgets the connection when it is left; without ``with``, call its
            ``forget()`` once the connection has closed.
        :raises Problem: a 401, when nobody is signed in.
        """
        from .web import live  # which few apps need

        return live.end_on_revocation(close)

    def guard_stream(self, iterable: Iterable[T]) -> GuardedStream[T]:
        """Stream a response (server-sent events, a download) until the session of this request ends.

        ::

            return Response(sessions.guard_stream(prices()), mimetype="text/event-stream")

        :param iterable: what the response is made of. Let a source that waits for news wait no longer than a few
            seconds and then yield a comment; a silent one can only be cut off, where the server allows it.
        :returns: an iterator of the same items, which stops within about a second of the session's end.
        :raises Problem: a 401, when nobody is signed in.
        """
        from .web import live

        return live.guard_stream(iterable)

    # ---- the request

    def check_origin(self) -> None:
        """Reject an unsafe request sent by a page of another origin.

        Signing in, out and revoking check by themselves. A view that writes something *before* it signs someone in, a
        new user say, calls this first.

        :raises Problem: a 403, ``csrf_rejected``.
        """
        check_origin(app_state())

    def next_url(self, default: str = "/") -> str:
        """The ``next`` this request carries, if it stays on this origin.

        :param default: what is returned otherwise.
        :returns: a path of this app; or a URL, for an origin that ``CORS_ORIGINS`` or ``COOKIE_DOMAIN`` allows.
        """
        return actions.next_url(default)


def _at_first(app: Flask) -> None:
    """What waits for the app to be complete."""
    spare_own_routes(app)
    if app_state(app).settings.device_binding:
        from .web import bound  # which few apps switch on

        bound.stand_first(app)


def _routes(state: AppState) -> Blueprint:
    routes = views.blueprint(state)
    if state.settings.api_secret is not None and state.parts is not None:
        from .operators import api  # which few apps mount

        api.add_routes(routes, state)
    return routes
