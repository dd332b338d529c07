"""An app that comes from Flask-Login: one import changes, and nobody has to sign in again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.from_flask_login import after, before
from flask_corbado_session.testing import copy_jar, expire_short


@pytest.fixture
def config(sqlite_url: str) -> dict[str, Any]:
    return {
        "SECRET_KEY": "examples: 0f6d1c9e5a",
        "SQLALCHEMY_DATABASE_URI": sqlite_url,
        "MOVE_LOGINS_UNTIL": datetime.now(UTC) + timedelta(days=60),
    }


@pytest.fixture
def old(config: dict[str, Any]) -> Flask:
    app = before.create_app(config)
    with app.app_context():
        before.db.create_all()
        before.db.session.add(before.User(id=7, name="alice"))
        before.db.session.commit()
    return app


@pytest.fixture
def new(config: dict[str, Any], old: Flask) -> Flask:
    app = after.create_app(config)
    with app.app_context():
        after.db.create_all()
    return app


def browser_of(client: FlaskClient, app: Flask, *names: str) -> FlaskClient:
    """The same browser, once the new app is deployed."""
    moved = app.test_client()
    for name in names:
        cookie = client.get_cookie(name)
        assert cookie is not None
        moved.set_cookie(name, cookie.value)
    return moved


def test_a_live_login_is_kept_and_becomes_a_session(old: Flask, new: Flask) -> None:
    client = old.test_client()
    client.post("/sign-in", data={"name": "alice"})
    browser = browser_of(client, new, "session")
    answer = browser.get("/")
    assert answer.text == "Hello alice"
    assert sum("cbo_" in header for header in answer.headers.getlist("Set-Cookie")) == 3
    assert browser.get("/session").json["user_id"] == "7"  # type: ignore[index]


def test_a_remembered_login_is_kept_too(old: Flask, new: Flask) -> None:
    client = old.test_client()
    client.post("/sign-in", data={"name": "alice", "remember": "on"})
    assert browser_of(client, new, "remember_token").get("/").text == "Hello alice"


def test_a_forged_remember_cookie_is_not(new: Flask) -> None:
    browser = new.test_client()
    browser.set_cookie("remember_token", "7|" + "0" * 128)
    assert browser.get("/").status_code == 401


def test_the_upgrade_happens_once(old: Flask, new: Flask) -> None:
    client = old.test_client()
    client.post("/sign-in", data={"name": "alice"})
    browser = browser_of(client, new, "session")
    first = browser.get("/session").json
    expire_short(browser)
    second = browser.get("/session").json
    assert first is not None
    assert second is not None
    assert first["session_id"] == second["session_id"]


def test_a_foreign_page_can_neither_use_nor_lose_the_old_login(old: Flask, new: Flask) -> None:
    client = old.test_client()
    client.post("/sign-in", data={"name": "alice"})
    browser = browser_of(client, new, "session")
    assert browser.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.get("/").text == "Hello alice"


def test_a_copy_no_longer_works_after_signing_out(old: Flask, new: Flask) -> None:
    browser = new.test_client()
    browser.post("/sign-in", data={"name": "alice"})
    thief = copy_jar(browser)
    assert thief.get("/").status_code == 200
    browser.post("/sign-out")
    assert thief.get("/").status_code == 401
