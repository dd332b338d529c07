"""Static files are served to nobody in particular: they stay cacheable, unless a guard is put around them."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import CorbadoSession, current_session, current_user, login_required
from flask_corbado_session.testing import expire_short, signed_in
from tests.support.apps import SECRET_KEY, statements


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Flask:
    """An app that asks who is there before every request, as many do."""
    (tmp_path / "style.css").write_text("body {}")
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    db = SQLAlchemy(app)
    CorbadoSession(db).init_app(app)

    @app.before_request
    def who() -> None:
        g.name = current_user.id if current_user.is_authenticated else None
        g.session_id = current_session.session_id

    app.add_url_rule("/who", view_func=lambda: str(g.name))
    with app.app_context():
        db.create_all()
    return app


def headers(client: FlaskClient, path: str) -> tuple[int, str | None, str | None]:
    with client.get(path) as response:
        return response.status_code, response.headers.get("Cache-Control"), response.headers.get("Vary")


@pytest.mark.parametrize("path", ["/static/style.css", "/session/static/corbado-session.css"])
def test_a_static_file_was_not_cacheable_since_the_app_asks_before_every_request(app: Flask, path: str) -> None:
    alice = signed_in(app, "alice")
    for client in (alice, app.test_client()):
        assert headers(client, path) == (200, "public, max-age=3600", None)
    assert alice.get("/who").text == "alice"


def test_it_costs_no_statement_and_refreshes_nothing(app: Flask) -> None:
    alice = signed_in(app, "alice")
    expire_short(alice)
    with statements(app) as seen:
        assert headers(alice, "/static/style.css")[0] == 200
    assert seen == []


def test_a_guard_around_static_files_still_asks_and_keeps_them_private(app: Flask) -> None:
    app.view_functions["static"] = login_required(app.view_functions["static"])
    assert headers(signed_in(app, "alice"), "/static/style.css") == (200, "no-store", "Cookie")
    assert headers(app.test_client(), "/static/style.css") == (401, "no-store", "Cookie")


def test_behind_a_guard_a_static_file_knows_who_it_is_for(app: Flask) -> None:
    app.view_functions["static"] = login_required(lambda filename: f"{filename} of {current_user.id}")
    assert signed_in(app, "alice").get("/static/style.css").text == "style.css of alice"
