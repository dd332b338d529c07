"""The same app with flask-corbado-session. Users who were signed in stay signed in: see ``move_flask_login``."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, request
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import (
    CorbadoSession,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_corbado_session.migration import move_flask_login

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
    move_flask_login(app, until=config["MOVE_LOGINS_UNTIL"])  # a date; remove the line when it has passed
    app.add_url_rule("/sign-in", view_func=sign_in, methods=["GET", "POST"])
    app.add_url_rule("/sign-out", view_func=sign_out, methods=["POST"])
    app.add_url_rule("/", view_func=home)
    return app


def sign_in() -> Any:
    if request.method == "POST":
        user = db.session.execute(db.select(User).filter_by(name=request.form["name"])).scalar_one()
        login_user(user, remember="remember" in request.form)
        return redirect("/")
    return '<form method="post"><input name="name"><button>Sign in</button></form>'


@login_required
def sign_out() -> Any:
    logout_user()
    return redirect("/sign-in")


@login_required
def home() -> str:
    return f"Hello {current_user.name}"
