"""The app that the tests sign in to: one view for each way a view may use a session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import DeclarativeBase

from flask_corbado_session import CorbadoSession, current_session, current_user, login_required, login_user, logout_user
from flask_corbado_session.sessions.parts import AppState, DatabaseParts

SECRET_KEY = "wJ2o9qUk3vYx7ZbTfR5mHd8sLcN4pGeA"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def make_app(database_url: str, **config: Any) -> tuple[Flask, SQLAlchemy, CorbadoSession]:
    """The app, its tables made, on this database; ``config`` wins."""
    app, db, sessions = unprepared_app(database_url, **config)
    with app.app_context():
        db.create_all()
    return app, db, sessions


def unprepared_app(database_url: str, **config: Any) -> tuple[Flask, SQLAlchemy, CorbadoSession]:
    """The same without tables, for a database that is not there or was prepared by another process."""
    app = Flask("tests.support.apps")
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=database_url)
    app.config["CORBADO_SESSION_REFRESH_AHEAD"] = None  # tests/integration/test_refresh_ahead.py sets it
    app.config.from_mapping(config)

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)
    db.init_app(app)
    sessions = CorbadoSession(db)
    sessions.init_app(app)
    _add_views(app, sessions)
    return app, db, sessions


def _add_views(app: Flask, sessions: CorbadoSession) -> None:
    @app.post("/sign-in")
    def sign_in() -> Response:
        """Fields: user, and as JSON remember, claims, amr."""
        given = request.get_json() if request.is_json else request.form.to_dict()
        given.pop("next", None)
        login_user(given.pop("user"), **given)
        return jsonify(next=sessions.next_url("/"))

    @app.post("/sign-out")
    def sign_out() -> Response:
        logout_user()
        return jsonify(signed_out=True)

    @app.route("/public", methods=METHODS)
    def public() -> str:
        return "anybody"

    @app.route("/who", methods=METHODS)
    def who() -> Response:
        return jsonify(user_id=current_session.user_id, id=current_user.get_id())

    @app.route("/protected", methods=METHODS)
    @login_required
    def protected() -> Response:
        return _echo()

    @app.route("/recheck", methods=METHODS)
    @login_required(recheck=True)
    def recheck() -> Response:
        return _echo()

    @app.route("/echo", methods=METHODS)
    @login_required
    def echo() -> Response:
        return _echo()


def _echo() -> Response:
    """Who sent what: the body as Flask understands it."""
    files = {name: [file.filename, file.read().decode("latin-1")] for name, file in request.files.items()}
    return jsonify(
        user_id=current_session.user_id,
        session_id=current_session.session_id,
        method=request.method,
        form=request.form.to_dict(),
        files=files,
        json=request.get_json(silent=True),
    )


def state_of(app: Flask) -> AppState:
    """What the extension keeps for the app."""
    state: AppState = app.extensions["corbado_session"]
    return state


def rows_of(app: Flask) -> DatabaseParts:
    """Its side of the database."""
    return state_of(app).with_database()


class Statements(list[str]):
    """What an engine was asked to run."""

    @property
    def verbs(self) -> list[str]:
        """The first word of each."""
        return [each.split()[0] for each in self]


def _says_what_ends(statement: str) -> bool:
    is_of_ids = statement.startswith("SELECT corbado_session.id FROM corbado_session")
    return is_of_ids and statement.endswith("ended_at IS NULL")


def statements(app: Flask) -> AbstractContextManager[Statements]:
    """Every statement the library's own engine runs meanwhile, from any thread. Connecting is not counted."""
    return statements_of(rows_of(app).database.engine)


@contextmanager
def statements_of(engine: Engine) -> Iterator[Statements]:
    """Every statement of this engine meanwhile.

    MariaDB and MySQL have no UPDATE … RETURNING: there the SELECT that stands for the RETURNING, before the UPDATE or
    after it, is counted together with it.
    """
    seen, lock = Statements(), threading.Lock()
    has_returning = engine.dialect.update_returning

    def remember(connection: Connection, _k: Any, statement: str, *_: Any) -> None:
        text = " ".join(statement.split())
        other_half = connection.info.pop("other half", None)
        if other_half:
            assert text.startswith(f"{other_half} "), text
            return
        with lock:
            seen.append(f"UPDATE by {text}" if not has_returning and _says_what_ends(text) else text)

    def expect(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        text = " ".join(statement.split())
        if has_returning or cursor.rowcount <= 0:
            return
        if _says_what_ends(text):
            connection.info["other half"] = "UPDATE"
        elif text.startswith("UPDATE corbado_session SET reopened"):
            connection.info["other half"] = "SELECT"

    listeners = {"before_cursor_execute": remember, "after_cursor_execute": expect}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
