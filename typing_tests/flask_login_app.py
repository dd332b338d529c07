"""A small app with Flask-Login's names that mypy accepts in strict mode."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session.flask_login import (
    AnonymousUserMixin,
    FlaskLoginClient,
    LoginManager,
    UserMixin,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)

app = Flask(__name__)
db = SQLAlchemy()
login = LoginManager(app, db=db)
login.login_view = "sign_in"
login.blueprint_login_views = {"admin": "admin.sign_in"}
login.anonymous_user = AnonymousUserMixin
login.fresh_for = timedelta(hours=1)
app.test_client_class = FlaskLoginClient


class User(UserMixin):
    """Somebody."""

    __slots__ = ("id",)
    id: int


@login.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


@login.unauthorized_handler
def refuse() -> tuple[str, int]:
    return "sign in, please", 401


@app.route("/")
@login_required
def home() -> str:
    return str(current_user.id)


@app.route("/password")
@fresh_login_required
async def password() -> str:
    return "your new password"


def sign_in(user: User) -> bool:
    return login_user(user, remember=True, duration=timedelta(days=7)) and logout_user()


text: str = home()
