"""The password page asks who is there; nothing that was filled in is lost over it."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session.testing import MovingClock, move_clock
from tests.demo.conftest import CREDENTIALS, PAGE, sign_in

CHANGE = {"current_password": CREDENTIALS["password"], "new_password": "another sound one", "end_others": "1"}
CONFIRM = "/account/confirm"
RIGHT = {"password": CREDENTIALS["password"]}


@pytest.fixture
def clock(app: Flask, signed_in: FlaskClient) -> MovingClock:
    """The site's clock, which stands still six minutes after ``signed_in`` signed in."""
    clock = move_clock(app)
    clock.move(minutes=6)
    return clock


def session_id(client: FlaskClient) -> str:
    found: str = client.get("/session").get_json()["session_id"]
    return found


def the_form(client: FlaskClient, path: str) -> tuple[str, dict[str, str]]:
    """Of a page: where it sends, and what."""
    (form,) = BeautifulSoup(client.get(path, headers=PAGE).text, "html5lib").select("main form")
    return str(form["action"]), {str(each["name"]): str(each["value"]) for each in form.select("input")}


@pytest.mark.usefixtures("clock")
def test_the_password_page_asks_first_and_is_there_afterwards(signed_in: FlaskClient) -> None:
    asked = signed_in.get("/account/password", headers=PAGE)
    assert (asked.status_code, asked.location) == (303, f"{CONFIRM}?next=/account/password")
    _, fields = the_form(signed_in, asked.location)
    answer = signed_in.post(CONFIRM, data={**fields, **RIGHT}, headers=PAGE)
    assert answer.location == "/account/password"
    assert signed_in.get(answer.location, headers=PAGE).status_code == 200


def test_a_password_form_that_took_too_long_is_not_lost(app: Flask, signed_in: FlaskClient) -> None:
    other = sign_in(app.test_client())
    move_clock(app).move(minutes=6)
    asked = signed_in.post("/account/password", data=CHANGE, headers=PAGE)
    _, fields = the_form(signed_in, asked.location)
    assert fields["next"] == "/session/resume"
    assert "What you filled in is not lost" in signed_in.get(asked.location).text
    signed_in.post(CONFIRM, data={**fields, **RIGHT}, headers=PAGE)
    path, kept = the_form(signed_in, "/session/resume")
    assert (path, kept) == ("/account/password", CHANGE)
    assert "password-changed" in signed_in.post(path, data=kept, headers=PAGE).location
    assert other.get("/dashboard", headers=PAGE).status_code == 303
    sign_in(app.test_client(), password=CHANGE["new_password"])


@pytest.mark.usefixtures("clock")
def test_a_script_is_told_by_rfc_9470(signed_in: FlaskClient) -> None:
    answer = signed_in.post("/account/password", data=CHANGE)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "insufficient_user_authentication")
    assert 'max_age="300"' in answer.headers["WWW-Authenticate"]


def test_confirming_gives_the_session_a_new_id(signed_in: FlaskClient, clock: MovingClock) -> None:
    before = session_id(signed_in)
    assert signed_in.post(CONFIRM, data=RIGHT).location == "/dashboard"
    assert session_id(signed_in) != before
    assert signed_in.get("/account/password").status_code == 200


def test_a_new_password_gives_the_session_a_new_id_and_ends_the_others(app: Flask, signed_in: FlaskClient) -> None:
    other, before = sign_in(app.test_client()), session_id(signed_in)
    signed_in.post("/account/password", data=CHANGE)
    assert session_id(signed_in) != before
    assert other.get("/dashboard", headers=PAGE).status_code == 303


def test_a_wrong_password_confirms_nothing(signed_in: FlaskClient, clock: MovingClock) -> None:
    before = session_id(signed_in)
    answer = signed_in.post(CONFIRM, data={"password": "wrong", "next": "/account/password"})
    assert answer.status_code == 422
    assert "This is not your password." in answer.text
    assert the_form_has(answer.text, "next", "/account/password")
    assert session_id(signed_in) == before
    assert signed_in.get("/account/password", headers=PAGE).status_code == 303


def the_form_has(page: str, name: str, value: str) -> bool:
    return bool(BeautifulSoup(page, "html5lib").select(f"main input[name='{name}'][value='{value}']"))


def test_guessing_is_limited_over_both_forms_together(signed_in: FlaskClient) -> None:
    guesses = [signed_in.post(CONFIRM, data={"password": str(n)}).status_code for n in range(6)]
    guesses += [
        signed_in.post("/account/password", data={**CHANGE, "current_password": str(n)}).status_code for n in range(5)
    ]
    assert guesses == [422] * 10 + [429]
    assert signed_in.post(CONFIRM, data=RIGHT).status_code == 429


@pytest.mark.parametrize("foreign", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_confirming_leads_nowhere_else(signed_in: FlaskClient, foreign: str) -> None:
    assert signed_in.post(CONFIRM, data={**RIGHT, "next": foreign}).location == "/dashboard"


def test_nobody_can_confirm(client: FlaskClient) -> None:
    assert client.get(CONFIRM, headers=PAGE).location == f"/sign-in?next={CONFIRM}"
    assert client.post(CONFIRM, data=RIGHT).status_code == 401


def test_a_foreign_page_cannot_confirm(signed_in: FlaskClient) -> None:
    assert signed_in.post(CONFIRM, data=RIGHT, headers={"Origin": "https://evil.example"}).status_code == 403


def test_ending_a_device_on_the_devices_page_asks_first_and_is_done_afterwards(
    app: Flask, signed_in: FlaskClient
) -> None:
    other = sign_in(app.test_client())
    clock = move_clock(app)
    clock.move(minutes=16)
    signed_in.delete_cookie("cbo_short_session")
    page = BeautifulSoup(signed_in.get("/session/devices", headers=PAGE).text, "html5lib")
    (form,) = page.select("form[action*='/devices/'][action$='/revoke']")
    sent = {"data": "", "content_type": "application/x-www-form-urlencoded", "headers": PAGE}
    asked = signed_in.post(str(form["action"]), **sent)
    assert asked.location == f"{CONFIRM}?next=/session/resume"
    signed_in.post(CONFIRM, data={**RIGHT, "next": "/session/resume"}, headers=PAGE)
    path, fields = the_form(signed_in, "/session/resume")
    assert (path, fields) == (form["action"], {})
    assert signed_in.post(path, data=fields, headers=PAGE).location == "/session/devices"
    assert other.get("/dashboard", headers=PAGE).status_code == 303
