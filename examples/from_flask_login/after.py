"""The same app with flask-corbado-session. Users who were signed in stay signed in: see ``keep_users_signed_in``."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, request, session
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import (
    CorbadoSession,
    UserMixin,
    current_session,
    current_user,
    login_required,
    login_user,
    logout_user,
)

db = SQLAlchemy()
sessions = CorbadoSession(db)


class User(UserMixin, db.Model):  # type: ignore[name-defined, misc]
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), unique=True)


@sessions.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


def create_app(config: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    app.config.update(config)
    app.config["CORBADO_SESSION_LOGIN_VIEW"] = "sign_in"
    db.init_app(app)
    sessions.init_app(app)
    app.before_request(keep_users_signed_in)
    app.add_url_rule("/sign-in", view_func=sign_in, methods=["GET", "POST"])
    app.add_url_rule("/sign-out", view_func=sign_out, methods=["POST"])
    app.add_url_rule("/", view_func=home)
    return app


def keep_users_signed_in() -> None:
    """Turn a login of Flask-Login into a session, once per browser.

    Remove this when the last login has expired (after ``REMEMBER_COOKIE_DURATION``, a year by default).
    """
    user_id = session.get("_user_id") or _remembered()
    if user_id is None or current_session:
        return
    sessions.check_origin()
    if load_user(user_id) is not None:
        login_user(user_id, remember="remember_token" in request.cookies)
    for name in ("_user_id", "_fresh", "_id", "_remember"):
        session.pop(name, None)


def _remembered() -> str | None:
    """The user id from Flask-Login's remember-me cookie, which needs that library to be installed."""
    from flask_login import decode_cookie

    value = request.cookies.get("remember_token")
    user_id: str | None = decode_cookie(value) if value and not current_session else None
    return user_id


def sign_in() -> Any:
    if request.method == "POST":
        user = db.session.execute(db.select(User).filter_by(name=request.form["name"])).scalar_one()
        login_user(user, remember="remember" in request.form)
        return redirect("/")
    return '<form method="post"><input name="name"><button>Sign in</button></form>'


@login_required
def sign_out() -> Any:
    logout_user()
    response = redirect("/sign-in")
    response.delete_cookie("remember_token")
    return response


@login_required
def home() -> str:
    return f"Hello {current_user.name}"
