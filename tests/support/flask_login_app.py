"""A small app as Flask-Login's users write them: its database is set up after the login manager."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, get_flashed_messages, jsonify, render_template_string, request, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_corbado_session.flask_login import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_fresh,
    login_remembered,
    login_required,
    login_user,
    logout_user,
)

SECRET_KEY = "k3Zt8yW1pQe6uVb0sXm4"
PAGE = "{% if current_user.is_authenticated %}Hi {{ current_user.name }}{% else %}Hi stranger{% endif %}"


@dataclass
class LoginApp:
    """The app, and what its tests reach for."""

    app: Flask
    db: SQLAlchemy
    manager: LoginManager
    user_class: Any

    def user(self, name: str) -> Any:
        """A user; their id is the place of their name, from 1."""
        return self.db.session.query(self.user_class).filter_by(name=name).one()

    def browser(self, name: str | None = None, **query: Any) -> FlaskClient:
        """A browser, in which somebody signs in."""
        browser = self.app.test_client()
        if name is not None:
            assert browser.get(f"/login/{name}", query_string=query).text == "True"
        return browser


def make_login_app(database_url: str, **config: Any) -> LoginApp:
    """The app with its tables and three users: alice, bob, and carol, who is not active."""
    app = Flask("tests.support.flask_login_app")
    app.config.from_mapping(SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=database_url, TESTING=True)
    app.config.from_mapping(config)
    manager = LoginManager()
    manager.init_app(app)

    class Models(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Models)

    class User(UserMixin, db.Model):  # type: ignore[name-defined, misc]
        __tablename__ = "user"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        is_active: Mapped[bool] = mapped_column(default=True)

    db.init_app(app)
    manager.user_loader(lambda user_id: db.session.get(User, int(user_id)))
    made = LoginApp(app, db, manager, User)
    _add_views(made)
    with app.app_context():
        db.create_all()
        db.session.add_all([User(name="alice"), User(name="bob"), User(name="carol", is_active=False)])
        db.session.commit()
    return made


def _add_views(made: LoginApp) -> None:
    app = made.app

    @app.route("/login/<name>")
    def login(name: str) -> str:
        options: dict[str, Any] = {option: True for option in ("remember", "force") if option in request.args}
        if "hours" in request.args:
            options["duration"] = timedelta(hours=float(request.args["hours"]))
        return str(login_user(made.user(name), fresh="stale" not in request.args, **options))

    @app.route("/logout")
    def logout() -> str:
        return str(logout_user())

    @app.route("/")
    def index() -> str:
        return render_template_string(PAGE)

    @app.route("/static-page")
    def static_page() -> str:
        return render_template_string("the same for everybody")

    @app.route("/secret", methods=["GET", "POST", "OPTIONS"])
    @login_required
    def secret() -> str:
        return f"secret of {current_user.name}"

    @app.route("/async-secret")
    @login_required
    async def async_secret() -> str:
        return f"secret of {current_user.name}"

    @app.route("/very-secret")
    @fresh_login_required
    def very_secret() -> str:
        return "very secret"

    @app.route("/confirm")
    @login_required
    def confirm() -> str:
        confirm_login()
        return str(login_fresh())

    @app.route("/state")
    def state() -> ResponseReturnValue:
        return jsonify(
            id=current_user.get_id(),
            fresh=login_fresh(),
            remembered=login_remembered(),
            flashes=get_flashed_messages(with_categories=True),
            next=session.get("next"),
        )

    @app.route("/sign-in")
    def sign_in() -> str:
        return "|".join(map(str, get_flashed_messages()))

    admin = Blueprint("admin", __name__, url_prefix="/admin")

    @admin.route("/")
    @login_required
    def admin_index() -> str:
        return "admin"

    @admin.route("/sign-in")
    def admin_sign_in() -> str:
        return "admin sign-in"

    app.register_blueprint(admin)
