"""What ``make fuzz`` has found, one test each."""

from __future__ import annotations

from base64 import b64encode

import pytest
from flask import Flask

from flask_corbado_session.testing import signed_in
from tests.support.operators import operator_app

PROJECT, SECRET = "pro-1", "s" * 32


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    config = {"CORBADO_SESSION_API_SECRET": SECRET, "CORBADO_SESSION_PROJECT_ID": PROJECT}
    return operator_app(sqlite_url, None, **config)[0]


@pytest.mark.parametrize(
    "path", ["/session/revocations", "/session/devices", "/operator/sessions", "/operator/actions", "/operator/revoke"]
)
def test_a_query_that_is_not_utf_8_is_a_400(app: Flask, path: str) -> None:
    """Werkzeug raises UnicodeDecodeError for it: a 500, for everybody on the open routes."""
    operator = signed_in(app, "operator")
    answer = operator.get(path, environ_overrides={"QUERY_STRING": "since=\x80&page=\x80&q=\x80"})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")


def test_a_query_of_the_operator_api_that_is_not_utf_8_is_a_400(app: Flask) -> None:
    answer = app.test_client().get(
        "/v2/sessions", auth=(PROJECT, SECRET), environ_overrides={"QUERY_STRING": "sort=\x80"}
    )
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")


def test_a_next_in_a_query_that_is_not_utf_8_is_none(app: Flask) -> None:
    answer = app.test_client().post(
        "/sign-in", data={"user": "alice"}, environ_overrides={"QUERY_STRING": "next=/\x80"}
    )
    assert answer.get_json() == {"next": "/"}


def test_basic_credentials_that_are_not_ascii_are_a_401(app: Flask) -> None:
    """Werkzeug raises ValueError for them."""
    right = b64encode(f"{PROJECT}:{SECRET}".encode()).decode()
    for value in ("Basic \xff", f"Basic {right}\xff", "Basic \u20ac".encode().decode("latin-1")):
        answer = app.test_client().get("/v2/sessions", environ_overrides={"HTTP_AUTHORIZATION": value})
        assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")


def test_of_a_long_parameter_that_nobody_knows_the_beginning_is_named(app: Flask) -> None:
    answer = app.test_client().get(f"/v2/sessions?{'x' * 5000}=1", auth=(PROJECT, SECRET))
    assert (answer.status_code, answer.get_json()["field"]) == (400, "x" * 60)
    assert len(answer.data) < 2000
