"""The extension's pages in an app whose Jinja environment is not Flask's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import CorbadoSession
from flask_corbado_session.testing import signed_in
from tests.support.apps import SECRET_KEY

PAGE = {"Accept": "text/html"}
BRACKETS = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "[[",
    "variable_end_string": "]]",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
LINES = {"line_statement_prefix": "%", "line_comment_prefix": "##", "trim_blocks": True, "lstrip_blocks": True}
STRICT = {"undefined": jinja2.StrictUndefined}
PAGES = ["/session/devices", "/session/devices?device=nothing", "/ops/", "/ops/sessions", "/ops/users", "/ops/devices",
         "/ops/actions", "/ops/sessions/{session}", "/ops/sessions?q=nonsense:", "/ops/revoke?user=alice"]  # fmt: skip


def make(url: str, folder: Path, options: dict[str, Any], *, late: bool = False) -> Flask:
    app = Flask(__name__, template_folder=str(folder))
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=url)
    if not late:
        app.jinja_options = options
    db = SQLAlchemy(app)
    sessions = CorbadoSession(db)
    sessions.init_app(app)
    for name, value in options.items() if late else ():
        setattr(app.jinja_env, name, value)
    app.register_blueprint(sessions.operator_blueprint(allow=bool), url_prefix="/ops")
    with app.app_context():
        db.create_all()
    return app


def shown(app: Flask) -> dict[str, str]:
    alice = signed_in(app, "alice", user_agent="<b>Agent</b>")
    session_id = alice.get("/session").get_json()["session_id"]
    paths = [path.format(session=session_id) for path in PAGES]
    return {path: alice.get(path, headers=PAGE).text for path in paths}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "options", [BRACKETS, LINES, {"undefined": jinja2.StrictUndefined}], ids=["<%", "lines", "strict"]
)
def test_our_pages_were_shown_as_source_or_not_at_all(
    options: dict[str, Any], late: bool, sqlite_url: str, tmp_path: Path
) -> None:
    for path, page in shown(make(sqlite_url, tmp_path, options, late=late)).items():
        assert page.startswith("<!doctype html>"), path
        assert [source for source in ("{%", "{{", "{#") if source in page] == [], path
        assert "</html>" in page, path


def test_an_app_s_own_template_stays_in_the_app_s_syntax_and_extends_ours(sqlite_url: str, tmp_path: Path) -> None:
    templates = tmp_path / "corbado_session"
    templates.mkdir()
    (templates / "error.html").write_text(
        '<% extends "corbado_session/base.html" %><% block content %>[[ code ]] {{ kept }}<% endblock %>'
    )
    app = make(sqlite_url, tmp_path, BRACKETS)
    page = app.test_client().get("/session", headers=PAGE).text
    assert "unauthenticated {{ kept }}" in page
    assert page.startswith("<!doctype html>")


def test_our_pages_extend_the_app_s_own_base(sqlite_url: str, tmp_path: Path) -> None:
    templates = tmp_path / "corbado_session"
    templates.mkdir()
    (templates / "base.html").write_text(
        "<title><% block title %><% endblock %></title>ours<% block content %><% endblock %>"
    )
    page = make(sqlite_url, tmp_path, BRACKETS).test_client().get("/session", headers=PAGE).text
    assert page.startswith("<title>You are not signed in</title>ours")
    assert "corbado-error" in page


@pytest.mark.parametrize("options", [{}, BRACKETS])
def test_nothing_is_unescaped_where_the_app_escapes_nothing(
    options: dict[str, Any], sqlite_url: str, tmp_path: Path
) -> None:
    """A device's name is whatever its owner typed."""
    app = make(sqlite_url, tmp_path, options)
    app.jinja_env.autoescape = False
    for path, page in shown(app).items():
        assert "<b>Agent" not in page, path
        assert [twice for twice in ("&amp;lt;", "&lt;svg", "&lt;time") if twice in page] == [], path
