"""Flask-Migrate sees the tables: its whole cycle, on each database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect, text

from flask_corbado_session import CorbadoSession, login_required
from flask_corbado_session.testing import expire_short, signed_in

OURS = {"corbado_session", "corbado_device", "corbado_operator_action"}
BINDING = ("binding_key", "binding_generation", "challenge_used", "challenge_used_before")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Alembic's env.py configures logging for a command of its own, and silences every other logger by it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    enabled = [
        each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger) and not each.disabled
    ]
    levels = [(each, each.level, each.propagate, each.handlers[:]) for each in enabled]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for each, its_level, propagate, its_handlers in levels:
        each.disabled, each.propagate, each.handlers = False, propagate, its_handlers
        each.setLevel(its_level)


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    db = SQLAlchemy()
    app = Flask(__name__)
    app.config.update(SECRET_KEY="migrations: 5f0c7f6f3d", SQLALCHEMY_DATABASE_URI=database_url)
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    flask_migrate.Migrate(app, db)
    app.add_url_rule("/", view_func=login_required(lambda: "in"), endpoint="home")
    with app.app_context():
        yield app


def tables(app: Flask) -> set[str]:
    with app.extensions["sqlalchemy"].engine.connect() as connection:
        return set(inspect(connection).get_table_names()) & OURS


# the env.py that Flask-Migrate writes asks Flask-SQLAlchemy for its engine in the old way
@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
def test_migrate_upgrade_check_downgrade(app: Flask, tmp_path: Path) -> None:
    folder = str(tmp_path / "migrations")
    flask_migrate.init(folder)
    flask_migrate.migrate(folder, message="long sessions")
    assert tables(app) == set()
    flask_migrate.upgrade(folder)
    assert tables(app) == OURS
    assert signed_in(app, "alice").get("/").text == "in"
    flask_migrate.Migrate(app, app.extensions["sqlalchemy"])  # as in a new process: it keeps hooks of the last command
    flask_migrate.check(folder)  # nothing is left to migrate
    flask_migrate.downgrade(folder, revision="base")
    assert tables(app) == set()


@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
def test_a_table_from_before_device_binding_gets_its_columns(app: Flask, tmp_path: Path) -> None:
    db = app.extensions["sqlalchemy"]
    db.create_all()
    alice = signed_in(app, "alice")
    with db.engine.begin() as connection:
        for column in BINDING:
            connection.execute(text(f"ALTER TABLE corbado_session DROP COLUMN {column}"))
    folder = str(tmp_path / "migrations")
    flask_migrate.init(folder)
    flask_migrate.stamp(folder)
    flask_migrate.migrate(folder, message="device binding")
    flask_migrate.upgrade(folder)
    with db.engine.connect() as connection:
        columns = {column["name"]: column for column in inspect(connection).get_columns("corbado_session")}
    assert all(columns[name]["nullable"] for name in BINDING)
    expire_short(alice)
    assert alice.get("/").text == "in"  # a session of before is refreshed
