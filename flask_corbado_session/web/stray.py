"""What apps that come from Flask-Login write out of habit, and what to write here: said where it would go unheard."""

from __future__ import annotations

from typing import Any, NoReturn

from flask import Flask

from ..model.errors import CorbadoSessionError

_NAMES = {
    "login_view": 'set app.config["CORBADO_SESSION_LOGIN_VIEW"] before sessions.init_app(app)',
    "blueprint_login_views": "register a function with @sessions.unauthorized_handler that looks at request.blueprint",
    "login_message": "flash it in the view of CORBADO_SESSION_LOGIN_VIEW, or in a @sessions.unauthorized_handler",
    "login_message_category": "flash the message yourself, in a @sessions.unauthorized_handler",
    "localize_callback": "translate the message where you flash it, in a @sessions.unauthorized_handler",
    "refresh_view": 'set app.config["CORBADO_SESSION_REAUTH_VIEW"] before sessions.init_app(app)',
    "needs_refresh_message": "flash it in the view of CORBADO_SESSION_REAUTH_VIEW",
    "needs_refresh_message_category": "flash the message yourself, in the view of CORBADO_SESSION_REAUTH_VIEW",
    "needs_refresh_handler": 'set app.config["CORBADO_SESSION_REAUTH_VIEW"]',
    "needs_refresh_callback": 'set app.config["CORBADO_SESSION_REAUTH_VIEW"]',
    "needs_refresh": "decorate the view with @fresh_login_required",
    "unauthorized": "decorate the view with @login_required",
    "unauthorized_callback": "register the function with @sessions.unauthorized_handler",
    "user_loader": "register the function with @sessions.user_loader",
    "unauthorized_handler": "register the function with @sessions.unauthorized_handler",
    "user_callback": "register the function with @sessions.user_loader",
    "request_loader": "send a short session as `Authorization: Bearer`",
    "request_callback": "send a short session as `Authorization: Bearer`",
    "header_loader": "send a short session as `Authorization: Bearer`",
    "anonymous_user": "register the class with @sessions.anonymous_user",
    "session_protection": "nothing: sessions are protected by token rotation",
    "id_attribute": "give the user class a get_id()",
    "setup_app": "call sessions.init_app(app)",
}
"""What belongs to Flask-Login's manager, and what says the same to a CorbadoSession."""

_ALL_OF_THEM = "or use LoginManager of flask_corbado_session.flask_login, which has all of Flask-Login's names"


class FlaskLoginName(CorbadoSessionError, AttributeError):
    """A name of Flask-Login's manager was used on a CorbadoSession; the text says what to write instead."""


def refuse_name(name: str) -> None:
    """Raise for a name of Flask-Login's manager: set on a CorbadoSession it would do nothing, without a word."""
    if name in _NAMES:
        raise FlaskLoginName(
            f"{name} is an attribute of Flask-Login's manager, not of CorbadoSession: {_NAMES[name]}; {_ALL_OF_THEM}"
        )


class StrayFlaskLogin(CorbadoSessionError):
    """Flask-Login itself was used on an app whose sessions are not its own."""

    # no RuntimeError: `if current_user:` would swallow that, and take everybody for anonymous

    def __init__(self) -> None:
        super().__init__(
            "the sessions of this app are those of CorbadoSession, and something uses flask_login, which knows nobody: "
            "import from flask_corbado_session.flask_login (or from flask_corbado_session); for an extension that "
            "imports flask_login, call flask_corbado_session.flask_login.install() in the app's first line"
        )


class NoLoginManager:
    """Stands in ``app.login_manager``, where Flask-Login looks for its manager, and tells whoever asks for a user."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # which copy, inspect and hasattr look for
            raise AttributeError(name)
        raise StrayFlaskLogin


def watch_for_flask_login(app: Flask) -> None:
    """Have Flask-Login's functions fail on this app, unless it has a LoginManager of its own."""
    attributes: dict[str, Any] = app.__dict__
    attributes.setdefault("login_manager", NoLoginManager())


def check_places(app: object, db: object) -> None:
    """Raise TypeError for an app in the place of the database, and the other way round."""
    if isinstance(db, Flask):
        raise TypeError(
            "CorbadoSession takes the app's Flask-SQLAlchemy, not the app: sessions = CorbadoSession(db), then "
            "sessions.init_app(app)"
        )
    if app is not None and not isinstance(app, Flask):
        raise TypeError(
            f"sessions.init_app takes the app, not a {type(app).__name__}: sessions = CorbadoSession(db), then "
            "sessions.init_app(app)"
        )
