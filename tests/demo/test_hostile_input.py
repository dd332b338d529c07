"""What no browser sends: never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.demo.conftest import UNLIMITED, MakeApp


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """A site that answers every attempt."""
    return make_app(**UNLIMITED)


FORMS = ["/sign-in", "/sign-up", "/account/password", "/account/confirm"]
FIELDS = ["email", "password", "remember", "next", "current_password", "new_password", "end_others"]
TEXTS = ["\x00", "a\x00@b.cc", "x" * 60_000, "\ufffd", "\u202e@b.cc", "a@b.cc\r\nSet-Cookie: x=y", "<script>", "'; --"]


def test_any_text_in_any_field_gives_the_form_again(subtests: pytest.Subtests, signed_in: FlaskClient) -> None:
    for path in FORMS:
        for text in TEXTS:
            with subtests.test(text=text, path=path):
                for field in FIELDS:
                    answer = signed_in.post(path, data={field: text})
                    assert answer.status_code == 422
                    assert "<script>" not in answer.text.replace('<script type="module"', "")


BODIES: list[dict[str, Any]] = [
    {"data": b"email=%ff%fe&password=%c3%28", "content_type": "application/x-www-form-urlencoded"},
    {"data": b"\xff\xfe&=&==&email", "content_type": "application/x-www-form-urlencoded"},
    {"data": b"email=a&email=b&password=", "content_type": "application/x-www-form-urlencoded; charset=utf-16"},
    {"data": b"{", "content_type": "application/json"},
    {"json": {"email": {"a": 1}, "password": ["b"]}},
    {"data": b"no boundary", "content_type": "multipart/form-data"},
    {"data": b"--x\r\nbroken", "content_type": "multipart/form-data; boundary=x"},
    {
        "data": b'--x\r\nContent-Disposition: form-data; name="email"; filename="a"\r\n\r\na file\r\n--x--\r\n',
        "content_type": "multipart/form-data; boundary=x",
    },
    {"data": b"", "content_type": "\x00"},
]


def test_any_body_is_answered_with_a_4xx(subtests: pytest.Subtests, signed_in: FlaskClient) -> None:
    for path in FORMS:
        for body in BODIES:
            with subtests.test(body=body, path=path):
                assert 400 <= signed_in.post(path, **body).status_code < 500


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
def test_a_body_that_is_too_large_is_refused_in_the_sites_look(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data={"email": "x" * 2_000_000}, headers={"Accept": "text/html"})
    assert answer.status_code == 413
    assert "Too large" in answer.text


def test_too_many_fields_are_refused(client: FlaskClient) -> None:
    fields = {f"field{number}": "x" for number in range(60)}
    answer = client.post("/sign-in", data=fields, content_type="multipart/form-data")
    assert answer.status_code == 413


def test_any_query_shows_the_page(subtests: pytest.Subtests, signed_in: FlaskClient) -> None:
    rows: list[str] = ["message=%00", "message=%ff", "next=%00", "next=%ff%fe", "next=" + "x" * 5000, "&&="]
    for query in rows:
        with subtests.test(query=query):
            for path in ("/", "/sign-in", "/dashboard"):
                assert signed_in.get(f"{path}?{query}").status_code == 200


def test_a_strange_path_is_not_found(subtests: pytest.Subtests, client: FlaskClient) -> None:
    rows: list[str] = ["/\x00", "/\xff", "/static/../__init__.py", "/static/\x00", "//evil.example", "nowhere"]
    for path in rows:
        with subtests.test(path=path):
            answer = client.get("/", environ_overrides={"PATH_INFO": path}, headers={"Accept": "text/html"})
            assert answer.status_code == 404


def test_a_strange_header_does_no_harm(subtests: pytest.Subtests, client: FlaskClient) -> None:
    rows: list[str] = ["Cookie", "User-Agent", "Accept", "Referer", "Origin", "Accept-Language"]
    for name in rows:
        with subtests.test(name=name):
            for value in ("\x01", "é" * 2000, "<b>", ";;==,"):
                assert client.get("/", headers={name: value}).status_code == 200
