"""The demo site on an empty database, and browsers for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from demo_site import create_app
from tests.demo.passkeys import sign_up
from tests.support.authenticator import SoftPasskey

CONFIG: dict[str, Any] = {
    "SECRET_KEY": "0" * 16 + "1" * 16 + "a key for the tests",
    "TESTING": True,
    "CORBADO_SESSION_KEYS_FILE": None,  # HS256: no file beside the tests
}
CREDENTIALS = {"email": "demo@example.com", "password": "correct horse battery"}
UNLIMITED = {"DEMO_SIGN_IN_LIMIT": "10000 per minute", "DEMO_SIGN_UP_LIMIT": "10000 per minute"}
"""For a site that answers every attempt: a 429 would hide what it thinks of the input."""
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
def ada(app: Flask) -> SoftPasskey:
    """The passkey of somebody who is signed in elsewhere."""
    return sign_up(app.test_client())


@pytest.fixture
def signed_in(app: Flask) -> FlaskClient:
    """A browser the prepared user signed in with."""
    return sign_in(app.test_client(), remember="1")


def sign_in(client: FlaskClient, **fields: str) -> FlaskClient:
    """Sign the prepared user in, or another one."""
    assert client.post("/sign-in", data={**CREDENTIALS, **fields}).status_code == 303
    return client
