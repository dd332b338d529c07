"""Answers that are not the view's: a page for a person, problem+json for everything else."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from flask_corbado_session.web import problems
from flask_corbado_session.web.problems import Problem
from tests.support.apps import make_app

KINDS: dict[str, tuple[Any, int, str]] = {
    "unauthenticated": (problems.Unauthenticated, 401, "unauthenticated"),
    "bearer": (lambda: problems.InvalidBearer("expired", "it ended"), 401, "invalid_token"),
    "stale": (lambda: problems.InsufficientAuthentication(300), 401, "insufficient_user_authentication"),
    "csrf": (problems.CsrfRejected, 403, "csrf_rejected"),
    "unavailable": (problems.Unavailable, 503, "session_store_unavailable"),
    "logout": (problems.LogoutIncomplete, 503, "logout_incomplete"),
    "not found": (problems.SessionNotFoundProblem, 404, "not_found"),
    "bad request": (lambda: problems.BadRequestProblem("no", field="name"), 400, "invalid_request"),
}


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    app, _, _ = make_app(sqlite_url)

    @app.get("/problem/<name>")
    def problem(name: str) -> str:
        raise KINDS[name][0]()

    return app


def test_a_script_gets_problem_json_with_a_code(subtests: pytest.Subtests, app: Flask) -> None:
    for name in KINDS:
        with subtests.test(name=name):
            _, status, code = KINDS[name]
            answer = app.test_client().get(f"/problem/{name}")
            assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
            said = answer.get_json()
            assert (said["status"], said["code"]) == (status, code)
            assert said["title"]
            assert said["detail"]


def test_a_person_gets_a_page_that_says_the_same(subtests: pytest.Subtests, app: Flask) -> None:
    for name in KINDS:
        with subtests.test(name=name):
            status = KINDS[name][1]
            answer = app.test_client().get(f"/problem/{name}", headers={"Accept": "text/html"})
            assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
            script = app.test_client().get(f"/problem/{name}").get_json()
            said = unescape(answer.text)
            assert script["title"] in said
            assert script["detail"] in said


def test_an_app_puts_its_own_page_in_the_place_of_ours(app: Flask, tmp_path: Any) -> None:
    templates = tmp_path / "corbado_session"
    templates.mkdir()
    (templates / "error.html").write_text("ours: {{ code }} {{ status }}")
    app.jinja_loader.searchpath.insert(0, str(tmp_path))  # type: ignore[union-attr]
    assert app.test_client().get("/problem/csrf", headers={"Accept": "text/html"}).text == "ours: csrf_rejected 403"


def test_the_detail_stands_on_the_page_as_text(app: Flask) -> None:
    app.add_url_rule("/markup", view_func=lambda: _raise(problems.BadRequestProblem("<script>alert(1)</script>")))
    answer = app.test_client().get("/markup", headers={"Accept": "text/html"})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


def _raise(error: Exception) -> str:
    raise error


@pytest.mark.parametrize(("name", "challenge"), [
    ("unauthenticated", 'Bearer realm="session"'),
    ("bearer", 'Bearer error="invalid_token", error_description="it ended"'),
])  # fmt: skip
def test_every_401_has_a_challenge(app: Flask, name: str, challenge: str) -> None:
    assert app.test_client().get(f"/problem/{name}").headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize(
    ("text", "quoted"),
    [('a "b" c', "a 'b' c"), ("a\\b", "ab"), ("ü 例", "? ?"), ("", "")],
)
def test_what_stands_in_a_challenge_cannot_leave_its_quotes(app: Flask, text: str, quoted: str) -> None:
    app.add_url_rule("/bearer", view_func=lambda: _raise(problems.InvalidBearer("malformed", text)))
    answer = app.test_client().get("/bearer")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge == f'Bearer error="invalid_token", error_description="{quoted}"'


@pytest.mark.parametrize("name", ["unavailable", "logout"])
def test_a_503_says_when_to_come_back(app: Flask, name: str) -> None:
    assert app.test_client().get(f"/problem/{name}").headers["Retry-After"] == "2"


def test_an_app_may_catch_them_by_status_or_all_at_once(app: Flask) -> None:
    app.register_error_handler(403, lambda error: (f"mine: {error.error_code}", 403))
    app.register_error_handler(HTTPException, lambda error: (f"all: {error.code}", error.code))
    client = app.test_client()
    assert [client.get(f"/problem/{name}").text for name in ("csrf", "not found")] == [
        "mine: csrf_rejected",
        "all: 404",
    ]


def test_a_problem_is_told_outside_a_request_too() -> None:
    response = problems.SessionNotFoundProblem().get_response()
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")


def test_every_problem_has_a_title_and_a_code_of_its_own(subtests: pytest.Subtests) -> None:
    rows: list[type[Problem]] = [
        each for each in vars(problems).values() if isinstance(each, type) and issubclass(each, Problem)
    ]
    for kind in rows:
        with subtests.test(kind=kind):
            codes = [
                each.error_code
                for each in vars(problems).values()
                if isinstance(each, type) and issubclass(each, Problem)
            ]
            assert codes.count(kind.error_code) == 1
            assert kind is Problem or (kind.title and kind.error_code.isidentifier() and kind.code)
