"""A request of any kind that comes with an expired short session is served, body and all, in that same request."""

from __future__ import annotations

import hashlib
import io
import random
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request, stream_with_context
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from flask_corbado_session import current_session, login_required
from flask_corbado_session.testing import MovingClock, copy_jar, expire_short, signed_in
from tests.support.apps import rows_of, statements
from tests.support.jars import LONG
from tests.support.site import Site

LARGE = random.Random(1).randbytes(400_000)
"""Below the half megabyte from which Werkzeug's test client writes a file, which it leaves open."""


@pytest.fixture
def site(database_url: str) -> Site:
    return Site(database_url)


@pytest.fixture
def alice(app: Flask, clock: MovingClock) -> FlaskClient:
    """Signed in, her short session expired."""
    client = signed_in(app, "alice")
    clock.move(minutes=16)
    return client


def refreshed(response: TestResponse) -> bool:
    return len(response.headers.getlist("Set-Cookie")) == 2


FORM = {"title": "Grüße", "text": "a&b=c\r\n"}
BODIES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("POST", {"data": FORM}, {"form": FORM}),
    ("PUT", {"json": {"a": [1, None, "ü"]}}, {"json": {"a": [1, None, "ü"]}}),
    ("PATCH", {"json": {"a": 1}}, {"json": {"a": 1}}),
    ("DELETE", {"json": {"why": "old"}}, {"json": {"why": "old"}}),
    ("DELETE", {}, {}),
    ("GET", {}, {}),
    ("PUT", {"data": FORM}, {"form": FORM}),
]


@pytest.mark.parametrize(("method", "body", "echo"), BODIES)
def test_the_body_arrives_whole(alice: FlaskClient, method: str, body: Any, echo: Any) -> None:
    response = alice.open("/echo", method=method, **body)
    assert response.status_code == 200
    assert refreshed(response)
    said = response.get_json()
    assert (said["method"], said["user_id"]) == (method, "alice")
    assert {name: said[name] for name in echo} == echo


def test_an_upload_arrives_whole(app: Flask, alice: FlaskClient) -> None:
    @app.post("/upload")
    @login_required
    def upload() -> Response:
        with closing(request.files["file"]) as file:
            digest = hashlib.sha256(file.read()).hexdigest()
            return jsonify(name=file.filename, digest=digest, text=request.form["text"])

    data = {"file": (io.BytesIO(LARGE), "bild.png"), "text": "dazu"}
    response = alice.post("/upload", data=data)
    assert refreshed(response)
    assert response.get_json() == {"name": "bild.png", "digest": hashlib.sha256(LARGE).hexdigest(), "text": "dazu"}


def test_a_body_the_view_reads_as_a_stream_is_left_to_it(app: Flask, alice: FlaskClient) -> None:
    @app.put("/stream")
    @login_required
    def stream() -> str:
        return hashlib.sha256(request.stream.read()).hexdigest()

    response = alice.put("/stream", data=LARGE)
    assert refreshed(response)
    assert response.text == hashlib.sha256(LARGE).hexdigest()


def test_a_redirect_after_post_carries_the_refresh(app: Flask, alice: FlaskClient) -> None:
    @app.post("/save")
    @login_required
    def save() -> tuple[str, int, dict[str, str]]:
        return "", 303, {"Location": "/protected"}

    response = alice.post("/save", data=FORM)
    assert (response.status_code, refreshed(response)) == (303, True)
    assert alice.get("/protected").status_code == 200


def test_a_head_request_is_refreshed_too(alice: FlaskClient) -> None:
    response = alice.head("/protected")
    assert (response.status_code, response.data) == (200, b"")
    assert refreshed(response)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_error_page_carries_the_refresh_too(app: Flask, alice: FlaskClient, status: int) -> None:
    @app.get("/error")
    @login_required
    def error() -> tuple[str, int]:
        return "error", status

    assert refreshed(alice.get("/error"))


def test_a_refresh_is_one_statement_however_often_it_is_asked_for(app: Flask, alice: FlaskClient) -> None:
    @app.get("/often")
    @login_required
    def often() -> str:
        return "".join(str(current_session.user_id) for _ in range(10))

    with statements(app) as seen:
        assert alice.get("/often").text == "alice" * 10
    assert seen.verbs == ["UPDATE"]


# ---- where nothing is refreshed


def test_options_refreshes_nothing(app: Flask, alice: FlaskClient) -> None:
    with statements(app) as seen:
        answers = [alice.options(path) for path in ("/protected", "/who", "/public")]
    assert seen == []
    assert [response.headers.getlist("Set-Cookie") for response in answers] == [[], [], []]
    assert refreshed(alice.get("/protected"))


@pytest.mark.parametrize("path", ["/session/static/corbado-session.css", "/static/none.css"])
def test_a_static_file_refreshes_nothing_even_where_every_request_is_asked(
    app: Flask, alice: FlaskClient, path: str
) -> None:
    @app.before_request
    def ask() -> None:
        assert current_session.user_id is None

    with statements(app) as seen, alice.get(path) as response:
        assert response.status_code == (200 if path.startswith("/session") else 404)
    assert seen == []
    app.before_request_funcs.clear()
    assert response.headers.getlist("Set-Cookie") == []
    assert refreshed(alice.get("/protected"))


def test_a_bearer_request_refreshes_nothing(app: Flask, alice: FlaskClient) -> None:
    with statements(app) as seen:
        response = alice.get("/protected", headers={"Authorization": "Bearer x.y.z"})
    assert (response.status_code, seen) == (401, [])
    assert response.headers.getlist("Set-Cookie") == []


def test_a_stream_that_asks_too_late_refreshes_nothing(app: Flask, alice: FlaskClient) -> None:
    @app.get("/late")
    def late() -> Response:
        return Response(stream_with_context(str(current_session.user_id) for _ in range(3)))

    before = alice.get_cookie(LONG)
    with statements(app) as seen, pytest.raises(RuntimeError, match="before you return the response"):
        alice.get("/late")
    assert (seen, alice.get_cookie(LONG)) == ([], before)


# ---- what an app does beside it


def test_a_refresh_neither_commits_nor_undoes_the_apps_rows(app: Flask, alice: FlaskClient) -> None:
    db = app.extensions["sqlalchemy"]
    with app.app_context():
        db.session.execute(text("CREATE TABLE note (body TEXT)"))
        db.session.commit()

    @app.post("/note")
    @login_required
    def note() -> str:
        db.session.execute(text("INSERT INTO note VALUES ('never committed')"))
        db.session.rollback()
        return "gone"

    assert refreshed(alice.post("/note"))
    with app.app_context():
        assert db.session.execute(text("SELECT count(*) FROM note")).scalar() == 0


def test_the_refresh_route_renews_a_session_that_is_still_good(app: Flask, clock: MovingClock) -> None:
    client = signed_in(app, "alice", claims={"plan": "pro"})
    clock.move(minutes=5)
    response = client.post("/session/refresh")
    assert response.status_code == 200
    assert refreshed(response)
    said = response.get_json()
    assert set(said) == {"expires_at", "claims"}
    assert said["claims"]["plan"] == "pro"
    ends = clock.at.replace(microsecond=0) + timedelta(minutes=15)
    assert said["expires_at"] == ends.isoformat().replace("+00:00", "Z")


def test_two_requests_at_once_are_both_served(app: Flask, alice: FlaskClient) -> None:
    """The second one comes with the cookies from before the first one's answer."""
    second = copy_jar(alice)
    assert [alice.get("/protected").status_code, second.get("/protected").status_code] == [200, 200]
    expire_short(second)
    assert second.get("/protected").get_json()["user_id"] == "alice"
    assert rows_of(app).revocation.stats()["live_sessions"] == 1
