"""htmx, Turbo and Unpoly fetch pages and parts of pages by script: what they get can be followed by them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session import fresh_login_required
from flask_corbado_session.testing import move_clock, signed_in
from tests.support.apps import make_app

FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
HTML = "text/html, application/xhtml+xml"
HTMX = {**FETCH, "HX-Request": "true", "HX-Current-URL": "http://localhost/page?a=b", "Accept": "*/*"}
TURBO = {**FETCH, "X-Turbo-Request-Id": "1b4c", "Accept": HTML}
STREAM = {**FETCH, "Accept": f"text/vnd.turbo-stream.html, {HTML}", "Referer": "http://localhost/page"}
FRAME = {**TURBO, "Turbo-Frame": "inbox"}
UNPOLY = {**FETCH, "X-Up-Version": "3.10.2", "X-Up-Target": "main", "Accept": "*/*"}


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in")
    app.add_url_rule("/pay", view_func=fresh_login_required(lambda: "paid"), methods=["GET", "POST"])
    return app


def asked(app: Flask, headers: dict[str, str], method: str = "GET", path: str = "/protected") -> Any:
    return app.test_client().open(path, method=method, headers=headers)


def test_htmx_got_a_401_that_it_ignores(app: Flask) -> None:
    answer = asked(app, HTMX)
    assert answer.status_code == 401
    assert unquote(answer.headers["HX-Redirect"]) == "/sign-in?next=/page?a=b"
    assert answer.get_json()["code"] == "unauthenticated"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="session"'


def test_a_fragment_that_htmx_asks_for_is_no_page_to_come_back_to(subtests: pytest.Subtests, app: Flask) -> None:
    rows = [
        ({}, "GET", "/page?a=b"),
        ({}, "POST", "/page?a=b"),
        ({"HX-Current-URL": "http://localhost"}, "GET", "/"),
        ({"HX-Boosted": "true"}, "GET", "/protected"),
        ({"HX-Boosted": "true"}, "POST", "/page?a=b"),
        ({"HX-Current-URL": "https://evil.example/page"}, "GET", "/protected"),
        ({"HX-Current-URL": "http://localhost//evil.example"}, "GET", "/protected"),
        ({"HX-Current-URL": ""}, "GET", "/protected"),
    ]
    for headers, method, back in rows:
        with subtests.test(headers=headers, method=method):
            answer = asked(app, HTMX | headers, method)
            assert unquote(answer.headers["HX-Redirect"]) == f"/sign-in?next={back}"


def test_turbo_and_unpoly_got_a_401_in_the_place_of_a_page(subtests: pytest.Subtests, app: Flask) -> None:
    rows = [(TURBO, "GET", "/protected"), (UNPOLY, "GET", "/protected"), (STREAM, "POST", "/page")]
    for headers, method, back in rows:
        with subtests.test(headers=headers):
            answer = asked(app, headers, method)
            assert (answer.status_code, unquote(answer.location)) == (303, f"/sign-in?next={back}")


def test_in_a_frame_of_turbo_s_the_whole_page_goes_to_sign_in(app: Flask) -> None:
    """The frame would be missing in the page that a redirect leads to."""
    answer = asked(app, FRAME)
    assert (answer.status_code, answer.mimetype, answer.location) == (401, "text/html", None)
    assert '<meta name="turbo-visit-control" content="reload">' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    for method in ("GET", "POST"):
        answer = asked(app, FRAME | {"Referer": "http://localhost/page?a=%22&b"}, method)
        url = "/sign-in?next=%2Fpage%3Fa%3D%2522%26b"
        assert f'<meta http-equiv="refresh" content="0;url={url}">' in answer.text
        assert f'<a href="{url}">You are not signed in</a>' in answer.text


def test_a_script_of_the_page_s_own_still_gets_the_problem(app: Flask) -> None:
    answer = asked(app, {**FETCH, "Accept": HTML})
    assert (answer.status_code, answer.mimetype, "HX-Redirect" in answer.headers) == (
        401, "application/problem+json", False
    )  # fmt: skip


def test_without_a_sign_in_page_nobody_is_sent_anywhere(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    assert "HX-Redirect" not in asked(app, HTMX).headers
    assert (asked(app, TURBO).status_code, asked(app, TURBO).mimetype) == (401, "text/html")


def test_a_bad_bearer_token_is_no_reason_to_go_to_sign_in(app: Flask) -> None:
    answer = asked(app, HTMX | {"Authorization": "Bearer x"})
    assert (answer.status_code, "HX-Redirect" in answer.headers) == (401, False)


# ---- step-up


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    clock = move_clock(app)
    alice = signed_in(app, "alice")
    clock.move(minutes=6)
    return alice


def test_step_up_leads_them_to_where_one_confirms(alice: FlaskClient) -> None:
    htmx = alice.post("/pay", data={"a": "1"}, headers=HTMX)
    assert (htmx.status_code, htmx.get_json()["code"]) == (401, "insufficient_user_authentication")
    assert unquote(htmx.headers["HX-Redirect"]) == "/sign-in?next=/page?a=b"
    turbo = alice.post("/pay", data={"a": "1"}, headers=STREAM)
    assert (turbo.status_code, unquote(turbo.location)) == (303, "/sign-in?next=/session/resume")
    frame = alice.get("/pay", headers=FRAME)
    assert (frame.status_code, "turbo-visit-control" in frame.text) == (401, True)
    sent = alice.post("/pay", data={"a": "1"}, headers=FRAME)
    assert "next=%2Fsession%2Fresume" in sent.text
    assert sent.headers["Set-Cookie"].startswith("cbo_resume=")


# ---- our own buttons


@pytest.mark.parametrize(
    ("headers", "status", "header"), [(HTMX, 204, "HX-Redirect"), (TURBO, 303, "Location"), (UNPOLY, 303, "Location")]
)
def test_signing_out_leads_them_on(app: Flask, headers: dict[str, str], status: int, header: str) -> None:
    alice = signed_in(app, "alice")
    answer = alice.post("/session/revoke-others", headers=headers)
    assert (answer.status_code, answer.headers[header]) == (status, "/session/devices")
    answer = alice.post("/session/logout?next=/bye", headers=headers)
    assert (answer.status_code, answer.headers[header]) == (status, "/bye")
