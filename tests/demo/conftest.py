"""The demo site on an empty database, and browsers for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient

from demo_site import create_app
from demo_site.extensions import db

CONFIG: dict[str, Any] = {
    "SECRET_KEY": "0" * 16 + "1" * 16 + "a key for the tests",
    "TESTING": True,
    "CORBADO_SESSION_KEYS_FILE": None,  # HS256: no file beside the tests
}
CREDENTIALS = {"email": "demo@example.com", "password": "correct horse battery"}
PAGE = {"Accept": "text/html"}

MakeApp = Callable[..., Flask]


FRESH = 200
"""Seconds for which a first run serves: the password page asks for a sign-in within 300."""


class FirstRun(NamedTuple):
    """What is made seldom, because the hash of a password takes its time."""

    file: Path
    cookies: dict[str, str]
    made_at: float


_first_runs: list[FirstRun] = []


@pytest.fixture
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """The database a first run makes, the prepared user signed in with one browser not long ago."""
    if not _first_runs or time.monotonic() - _first_runs[-1].made_at > FRESH:
        _first_runs.append(make_first_run(tmp_path_factory.mktemp("demo") / "demo.sqlite"))
    return _first_runs[-1]


def make_first_run(file: Path) -> FirstRun:
    """A site on a new database in ``file``, and its cookies."""
    made_at = time.monotonic()
    app = create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{file}"})
    client = sign_in(app.test_client(), remember="1")
    cookies = {name: client.get_cookie(name) for name in ("cbo_short_session", "cbo_long_session", "cbo_device")}
    with app.app_context():
        db.engine.dispose()
    return FirstRun(file, {name: cookie.value for name, cookie in cookies.items() if cookie}, made_at)


@pytest.fixture
def make_app(tmp_path: Path, first_run: FirstRun) -> MakeApp:
    """The site with settings of the test's own; each call opens the same database."""
    file = tmp_path / "demo.sqlite"
    with closing(sqlite3.connect(first_run.file)) as source, closing(sqlite3.connect(file)) as copy:
        source.backup(copy)

    def make(**settings: Any) -> Flask:
        return create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{file}", **settings})

    return make


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """The site as it is without settings."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser that nobody signed in with."""
    return app.test_client()


@pytest.fixture
def signed_in(app: Flask, first_run: FirstRun) -> FlaskClient:
    """A browser the prepared user signed in with."""
    client = app.test_client()
    for name, value in first_run.cookies.items():
        client.set_cookie(name, value)
    return client


def sign_in(client: FlaskClient, **fields: str) -> FlaskClient:
    """Sign the prepared user in, or another one."""
    assert client.post("/sign-in", data={**CREDENTIALS, **fields}).status_code == 303
    return client
