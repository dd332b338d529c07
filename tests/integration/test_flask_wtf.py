"""Flask-WTF's CSRFProtect beside the extension: our own pages work under it, and stay protected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from flask_corbado_session import CorbadoSession, login_user
from flask_corbado_session.testing import signed_in
from tests.support.apps import SECRET_KEY

SECURE = {"base_url": "https://localhost"}
OURS, THEIRS = {"Origin": "https://localhost"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def before(app: Flask, sessions: CorbadoSession) -> None:
    CSRFProtect(app)
    sessions.init_app(app)


def after(app: Flask, sessions: CorbadoSession) -> None:
    sessions.init_app(app)
    CSRFProtect(app)


def after_all_else(app: Flask, sessions: CorbadoSession) -> None:
    sessions.init_app(app)
    app.register_blueprint(sessions.operator_blueprint(allow=bool), url_prefix="/ops")
    CSRFProtect(app)


@pytest.fixture(params=[before, after, after_all_else])
def app(request: pytest.FixtureRequest, sqlite_url: str) -> Flask:
    order: Callable[[Flask, CorbadoSession], None] = request.param
    app = Flask(__name__)
    app.config.from_mapping(
        TESTING=True,
        SECRET_KEY=SECRET_KEY,
        SQLALCHEMY_DATABASE_URI=sqlite_url,
        CORBADO_SESSION_API_SECRET="a secret of the API",
        CORBADO_SESSION_PROJECT_ID="pro-1",
    )
    db = SQLAlchemy(app)
    sessions = CorbadoSession(db)
    order(app, sessions)
    if "corbado_operator" not in app.blueprints:
        app.register_blueprint(sessions.operator_blueprint(allow=bool), url_prefix="/ops")

    @app.post("/sign-in")
    def sign_in() -> str:
        login_user("alice")
        return "in"

    with app.app_context():
        db.create_all()
    return app


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    return signed_in(app, "alice")


def status(client: FlaskClient, path: str, headers: dict[str, str] = OURS, **how: Any) -> int:
    return client.post(path, headers=headers, **SECURE, **how).status_code


def test_each_button_of_the_devices_page_was_refused_with_400(app: Flask, alice: FlaskClient) -> None:
    device = alice.get("/session/devices", headers={"Accept": "application/json"}, **SECURE).get_json()["devices"][0]
    session_id = signed_in(app, "alice").get("/session").get_json()["session_id"]
    assert status(alice, f"/session/devices/{device['id']}/name", data={"name": "Desk"}) == 204
    assert status(alice, f"/session/{session_id}/revoke") == 204
    assert status(alice, "/session/revoke-others") == 204
    assert status(alice, "/session/refresh") == 200
    assert status(alice, "/session/logout") == 204


def test_the_buttons_of_the_operator_pages_work_too(alice: FlaskClient) -> None:
    answer = alice.post("/ops/revoke", data={"kind": "user", "id": "bob"}, headers=OURS, **SECURE)
    assert "CSRF" not in answer.text


def test_so_does_the_operator_api_which_proves_itself_by_its_secret(app: Flask) -> None:
    answer = app.test_client().post("/v2/sessions/x/revoke", auth=("pro-1", "a secret of the API"), **SECURE)
    assert (answer.status_code, "CSRF" in answer.text) == (404, False)


def test_a_foreign_page_is_still_refused_there(alice: FlaskClient) -> None:
    for path in ("/session/logout", "/session/refresh", "/session/revoke-others", "/ops/revoke"):
        assert status(alice, path, THEIRS) == 403


def test_the_app_s_own_forms_stay_under_its_protection(app: Flask) -> None:
    assert status(app.test_client(), "/sign-in") == 400
    app.extensions["csrf"].exempt(app.view_functions["sign_in"])
    assert status(app.test_client(), "/sign-in") == 200


def test_another_extension_of_the_name_csrf_is_left_alone(sqlite_url: str) -> None:
    app = Flask(__name__)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    app.extensions["csrf"] = object()
    CorbadoSession(SQLAlchemy(app)).init_app(app)
    assert app.test_client().get("/session").status_code == 401
