"""docs/errors/: one page for each error code, where the ``type`` of each problem points."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from flask import Flask

from flask_corbado_session import Problem
from flask_corbado_session.model.errors import InvalidCode
from flask_corbado_session.model.records import GoneReason
from flask_corbado_session.operators import api
from flask_corbado_session.web import problems
from tests.support.apps import make_app

FOLDER = Path(__file__).parents[2] / "docs" / "errors"
PAGES = {page.stem: page.read_text() for page in FOLDER.glob("*.md") if page.stem != "index"}
SECTIONS = ["What happened", "What the client should do", "What the developer should do"]
MADE: dict[str, Callable[[], Problem]] = {
    "invalid_token": lambda: problems.InvalidBearer(
        "expired", "it ended at 2026-12-01T12:15:00Z, now is 2026-12-01T12:16:00Z"
    ),
    "insufficient_user_authentication": lambda: problems.InsufficientAuthentication(300),
    "invalid_request": lambda: problems.BadRequestProblem("The field 'name' must be a string.", field="name"),
}
"""Problems that are made of something; the others need nothing."""


def problem_classes(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for kind in base.__subclasses__():
        if kind.__module__ == problems.__name__:
            yield kind
            yield from problem_classes(kind)


def codes_of_the_api() -> set[str]:
    """The codes in the calls of ``ApiError(status, code, …)``."""
    calls = (node for node in ast.walk(ast.parse(Path(api.__file__).read_text())) if isinstance(node, ast.Call))
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "ApiError"]
    return {call.args[1].value for call in made if isinstance(call.args[1], ast.Constant)}  # type: ignore[misc]


def test_each_code_has_a_page_and_each_page_a_code() -> None:
    assert codes_of_the_api() >= {"too_many_requests", "unauthenticated"}
    assert {kind.error_code for kind in problem_classes()} | codes_of_the_api() == set(PAGES)


def test_a_page_says_what_happened_and_what_to_do() -> None:
    for code, page in PAGES.items():
        assert page.startswith(f"# `{code}`\n"), code
        sections = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)[1:]
        assert sections[::2] == SECTIONS, code
        assert all(len(text.split()) >= 5 for text in sections[1::2]), code


def test_a_page_shows_the_problem_as_it_is_answered() -> None:
    for kind in problem_classes():
        page = PAGES[kind.error_code]
        problem = MADE.get(kind.error_code, kind)()
        assert json.loads(problem.get_body()) == shown(page), kind.error_code
        assert f"**{problem.code} · {problem.title}**" in page


def shown(page: str) -> Any:
    block = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert block is not None
    return json.loads(block[1])


@pytest.mark.parametrize(("code", "words"), [
    ("unauthenticated", get_args(GoneReason)),
    ("invalid_token", get_args(InvalidCode)),
])  # fmt: skip
def test_a_page_explains_every_reason(code: str, words: tuple[Any, ...]) -> None:
    reasons = [reason for word in words for reason in (get_args(word) or (word,))]
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGES[code], re.MULTILINE)) == sorted(["reason", *reasons])


def test_the_list_of_the_codes_is_whole() -> None:
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(\1\.md\) \| (\d+) \| (.*?) \|$", (FOLDER / "index.md").read_text(), re.MULTILINE
    )
    assert {code for code, _, _ in rows} == set(PAGES)
    for code, status, title in rows:
        assert f"**{status} · {title}**" in PAGES[code]


def test_the_operator_api_points_at_the_pages_too(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_API_SECRET="x" * 32, CORBADO_SESSION_PROJECT_ID="pro-1")
    answer = app.test_client().get("/v2/sessions")
    assert (answer.status_code, answer.get_json()["type"]) == (
        401,
        "/flask-corbado-session/errors/unauthenticated.html",
    )


def test_an_app_gives_its_own_problem_a_type_of_its_own(sqlite_url: str) -> None:
    class Overdrawn(Problem):
        code = 403
        title, error_code = "Overdrawn", "overdrawn"

        @property
        def type_uri(self) -> str:
            return "https://api.example/overdrawn"

    def pay() -> str:
        raise Overdrawn("There is no money left.")

    app: Flask = make_app(sqlite_url)[0]
    app.add_url_rule("/pay", view_func=pay)
    assert app.test_client().get("/pay").get_json()["type"] == "https://api.example/overdrawn"
