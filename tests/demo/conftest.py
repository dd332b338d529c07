"""The demo site on an empty database, and browsers for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from demo_site import create_app

CONFIG: dict[str, Any] = {
    "SECRET_KEY": "0" * 16 + "1" * 16 + "a key for the tests",
    "TESTING": True,
    "CORBADO_SESSION_KEYS_FILE": None,  # HS256: no file beside the tests
}
CREDENTIALS = {"email": "demo@example.com", "password": "correct horse battery"}
PAGE = {"Accept": "text/html"}

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """The site with settings of the test's own; each call opens the same database, which the first one makes."""

    def make(**settings: Any) -> Flask:
        return create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'demo.sqlite'}", **settings})

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
def signed_in(app: Flask) -> FlaskClient:
    """A browser the prepared user signed in with."""
    return sign_in(app.test_client(), remember="1")


def sign_in(client: FlaskClient, **fields: str) -> FlaskClient:
    """Sign the prepared user in, or another one."""
    assert client.post("/sign-in", data={**CREDENTIALS, **fields}).status_code == 303
    return client
