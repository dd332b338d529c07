"""In the apps of API frameworks, which make answers of their own out of errors, ours keep what machines read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import apiflask
import flask_restful
import flask_restx
import flask_smorest
import pytest
from flask import Flask, jsonify
from flask.views import MethodView
from flask_sqlalchemy import SQLAlchemy
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from flask_corbado_session import CorbadoSession, CorbadoSessionError, Problem, fresh_login_required, login_required
from flask_corbado_session.testing import move_clock, signed_in
from tests.support.apps import SECRET_KEY, rows_of
from tests.support.rules import database_down
from tests.support.services import bearer

SPEC = {"API_TITLE": "Notes", "API_VERSION": "1", "OPENAPI_VERSION": "3.0.3"}


@login_required
def notes(*_: Any) -> dict[str, str]:
    return {"notes": "of alice"}


@fresh_login_required
def pay(*_: Any) -> dict[str, str]:
    return {"paid": "by alice"}


VIEWS: dict[str, Callable[..., Any]] = {"/notes": notes, "/pay": pay}


def restx(app: Flask) -> None:
    api = flask_restx.Api(app)
    for path, view in VIEWS.items():
        api.add_resource(type(path[1:].title(), (flask_restx.Resource,), {"get": view}), path)


def restful(app: Flask) -> None:
    api = flask_restful.Api(app)
    for path, view in VIEWS.items():
        api.add_resource(type(path[1:].title(), (flask_restful.Resource,), {"get": view}), path)


def smorest(app: Flask) -> None:
    api = flask_smorest.Api(app)
    blueprint = flask_smorest.Blueprint("notes", "notes")
    for path, view in VIEWS.items():
        blueprint.route(path)(type(path[1:].title(), (MethodView,), {"get": view}))
    api.register_blueprint(blueprint)


def plain(app: Flask) -> None:
    for path, view in VIEWS.items():
        app.add_url_rule(path, view_func=view)


FRAMEWORKS: dict[str, tuple[type[Flask], Callable[[Flask], None]]] = {
    "Flask-RESTX": (Flask, restx),
    "Flask-RESTful": (Flask, restful),
    "flask-smorest": (Flask, smorest),
    "APIFlask": (apiflask.APIFlask, plain),
}


def make(name: str, url: str, *, first: bool = False, **config: Any) -> Flask:
    """The app of a framework; with ``first`` the framework is set up before the session."""
    kind, add_views = FRAMEWORKS[name]
    app = kind(__name__)
    app.config.from_mapping(SPEC, TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=url)
    app.config.from_mapping(config)
    db = SQLAlchemy(app)
    if first:
        add_views(app)
    CorbadoSession(db).init_app(app)
    if not first:
        add_views(app)
    with app.app_context():
        db.create_all()
    return app


@pytest.fixture(params=FRAMEWORKS)
def app(request: pytest.FixtureRequest, sqlite_url: str) -> Flask:
    return make(request.param, sqlite_url)


def told(response: TestResponse) -> tuple[int, Any, Any]:
    """What machines read: the status, ``code`` and ``reason``."""
    body = response.get_json()
    return response.status_code, body.get("code"), body.get("reason")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_nobody_signed_in_was_a_401_without_code_or_challenge(name: str, first: bool, sqlite_url: str) -> None:
    response = make(name, sqlite_url, first=first).test_client().get("/notes")
    assert told(response) == (401, "unauthenticated", None)
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="session"']
    assert len(response.headers.getlist("Content-Type")) == len(response.headers.getlist("Content-Length")) == 1
    assert response.headers["Cache-Control"] == "no-store"


def test_a_bad_bearer_token_keeps_its_reason(app: Flask) -> None:
    response = app.test_client().get("/notes", headers=bearer("x"))
    assert told(response) == (401, "invalid_token", "malformed")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_revoked_session_keeps_its_reason(app: Flask) -> None:
    alice = signed_in(app, "alice")
    with app.app_context():
        app.extensions["corbado_session"].with_database().revocation.revoke_user("alice", "operator", None)
    alice.delete_cookie("__Host-cbo_short_session")
    assert told(alice.get("/notes")) == (401, "unauthenticated", "operator")


def test_a_step_up_keeps_what_the_client_has_to_do(app: Flask) -> None:
    clock = move_clock(app)
    alice = signed_in(app, "alice")
    clock.move(minutes=6)
    response = alice.get("/pay")
    assert told(response)[:2] == (401, "insufficient_user_authentication")
    assert response.get_json()["max_age"] == 300
    assert 'max_age="300"' in response.headers["WWW-Authenticate"]


def test_a_foreign_page_keeps_its_403(app: Flask) -> None:
    response = signed_in(app, "alice").post("/session/revoke-others", headers={"Origin": "https://evil.example"})
    assert told(response) == (403, "csrf_rejected", None)


def test_a_database_that_is_down_keeps_its_503(app: Flask, sqlite_url: str) -> None:
    alice = signed_in(app, "alice")
    alice.delete_cookie("__Host-cbo_short_session")
    with database_down(rows_of(app).database, sqlite_url):
        response = alice.get("/notes")
    assert told(response) == (503, "session_store_unavailable", None)
    assert response.headers["Retry-After"] == "2"


def test_who_is_signed_in_gets_the_answer_of_the_framework(app: Flask) -> None:
    assert signed_in(app, "alice").get("/notes").get_json() == {"notes": "of alice"}


def test_a_person_is_still_led_to_the_sign_in_page(subtests: pytest.Subtests, tmp_path: Any) -> None:
    for name in FRAMEWORKS:
        with subtests.test(name=name):
            app = make(name, f"sqlite:///{tmp_path / name}.sqlite", CORBADO_SESSION_LOGIN_VIEW="/sign-in")
            response = app.test_client().get("/notes", headers={"Accept": "text/html"})
            assert (response.status_code, response.location) == (303, "/sign-in?next=%2Fnotes")


# ---- the app's own handlers come before ours


@pytest.mark.parametrize("kind", [Problem, CorbadoSessionError, HTTPException, Exception])
@pytest.mark.parametrize("first", [True, False])
def test_a_handler_of_the_app_is_asked_as_before(kind: type[Exception], first: bool, sqlite_url: str) -> None:
    """Also one that was there before ``init_app``."""
    app = Flask(__name__)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    sessions = CorbadoSession(SQLAlchemy(app))
    if not first:
        sessions.init_app(app)

    @app.errorhandler(kind)
    def mine(error: Any) -> Any:
        return jsonify(mine=error.error_code), 401

    if first:
        sessions.init_app(app)
    plain(app)
    assert app.test_client().get("/notes").get_json() == {"mine": "unauthenticated"}


def test_the_shape_that_an_app_gives_all_errors_of_apiflask_is_kept(sqlite_url: str) -> None:
    app = make("APIFlask", sqlite_url)
    assert isinstance(app, apiflask.APIFlask)

    @app.error_processor
    def shape(error: Any) -> Any:
        return {"ours": error.message}, error.status_code, error.headers

    response = app.test_client().get("/notes")
    assert response.get_json() == {"ours": "Unauthorized"}
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="session"'


def test_an_api_of_flask_smorest_with_a_handler_of_its_own_keeps_it(sqlite_url: str) -> None:
    class Api(flask_smorest.Api):  # type: ignore[misc]
        def handle_http_exception(self, error: Any) -> Any:
            return {"ours": error.code, "says": error.data["message"]}, error.code

    app = Flask(__name__)
    app.config.from_mapping(SPEC, TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    CorbadoSession(SQLAlchemy(app)).init_app(app)
    Api(app)
    plain(app)
    body = app.test_client().get("/notes").get_json()
    assert (body["ours"], body["says"][:10]) == (401, "This needs")


def test_flask_restful_takes_the_app_s_own_texts_by_the_name_of_the_error(sqlite_url: str) -> None:
    app = Flask(__name__)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    CorbadoSession(SQLAlchemy(app)).init_app(app)
    api = flask_restful.Api(app, errors={"Unauthenticated": {"message": "Please sign in.", "status": 401}})
    api.add_resource(type("Notes", (flask_restful.Resource,), {"get": notes}), "/notes")
    body = app.test_client().get("/notes").get_json()
    assert (body["message"], body["code"]) == ("Please sign in.", "unauthenticated")


@pytest.mark.parametrize("framework", [flask_restx, flask_restful])
def test_a_guard_around_the_whole_resource_answers_before_anything_is_marshalled(
    framework: Any, sqlite_url: str
) -> None:
    """``marshal_with`` makes fields out of whatever the view returns, a redirect too: an empty 200."""
    app = Flask(__name__)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    app.config["CORBADO_SESSION_LOGIN_VIEW"] = "/sign-in"
    CorbadoSession(SQLAlchemy(app)).init_app(app)
    fields = import_module(f"{framework.__name__}.fields")
    get = framework.marshal_with({"notes": fields.String})(lambda _: {"notes": "of alice"})
    resource = type("Notes", (framework.Resource,), {"get": get, "method_decorators": [login_required]})
    framework.Api(app).add_resource(resource, "/notes")
    response = app.test_client().get("/notes", headers={"Accept": "text/html"})
    assert (response.status_code, response.location) == (303, "/sign-in?next=%2Fnotes")
