"""Dashboard, account, password, and the database queries of requests."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from demo_site.durations import time_left
from demo_site.extensions import db
from demo_site.models import find_by_email
from demo_site.query_log import LoggedRequest, RecentRequests
from tests.demo.conftest import CREDENTIALS, PAGE, MakeApp, sign_in

CHANGE = {"current_password": CREDENTIALS["password"], "new_password": "another sound one"}


def facts(page: str) -> dict[str, str]:
    """The terms and descriptions of a page, their spaces made one."""
    soup = BeautifulSoup(page, "html5lib")
    text = [" ".join(tag.get_text(" ").split()) for tag in soup.select(".facts dt, .facts dd")]
    return dict(zip(text[::2], text[1::2], strict=True))


@pytest.fixture
def unhurried(make_app: MakeApp) -> FlaskClient:
    """Signed in, on a site that asks for ended sessions once a minute, so that no statement comes by chance."""
    client = sign_in(make_app(CORBADO_SESSION_REVOCATION_INTERVAL=60).test_client())
    client.get("/dashboard")
    return client


# ---- database queries


def test_the_dashboard_costs_no_statement(unhurried: FlaskClient) -> None:
    assert "<strong>No database query:</strong> the short session was enough." in unhurried.get("/dashboard").text
    assert facts(unhurried.get("/account").text)["Previous request, GET /dashboard"] == "no queries"


def test_a_refresh_costs_its_statements_once(unhurried: FlaskClient) -> None:
    unhurried.delete_cookie("cbo_short_session")
    assert "No database query:" not in unhurried.get("/dashboard").text
    assert "No database query:" in unhurried.get("/dashboard").text


def test_the_account_page_tells_its_own_cost_and_that_of_the_request_before(unhurried: FlaskClient) -> None:
    unhurried.get("/")
    shown = facts(unhurried.get("/account").text)
    assert shown["This request, to identify you"] == "no queries"
    assert shown["This request, to show your long session"] == "1 query"
    assert shown["Previous request, GET /"] == "no queries"


def test_the_statements_are_shown_without_values(signed_in: FlaskClient) -> None:
    signed_in.get("/account")
    page = BeautifulSoup(signed_in.get("/account").text, "html5lib")
    statements = [tag.get_text() for tag in page.select(".queries code")]
    assert any("FROM corbado_session" in statement for statement in statements)
    assert not any(CREDENTIALS["email"] in statement for statement in statements)


def test_nobody_sees_the_cost_of_another_session(app: Flask, signed_in: FlaskClient) -> None:
    other = sign_in(app.test_client())
    signed_in.get("/account/password")
    other.get("/dashboard")
    assert "Previous request, GET /account/password" in facts(signed_in.get("/account").text)


def test_only_the_busiest_sessions_are_remembered() -> None:
    recent = RecentRequests()
    for number in range(1001):
        recent.keep(number, LoggedRequest("GET", "/", ()))
    assert recent.get(0) is None
    assert recent.get(1) is not None


# ---- lifetimes


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "expired"),
        (0.4, "expired"),
        (59.9, "59 s"),
        (872, "14 min 32 s"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (2591990, "29 d 23 h"),
    ],
)
def test_what_is_left_is_told_in_two_units(seconds: float, words: str) -> None:
    assert time_left(seconds) == words


def test_both_lifetimes_stand_on_the_account_page(signed_in: FlaskClient) -> None:
    page = BeautifulSoup(signed_in.get("/account").text, "html5lib")
    left = [tag.get_text() for tag in page.select("[data-left]")]
    assert re.fullmatch(r"\d+ min \d+ s", left[0])
    assert left[1] == "29 d 23 h"
    assert [int(float(str(bar["max"]))) for bar in page.select("progress")] == [900, 30 * 86400]


def test_the_claims_stand_on_the_account_page(signed_in: FlaskClient) -> None:
    shown = facts(signed_in.get("/account").text)
    who = signed_in.get("/session").get_json()
    assert shown["Long session sid"] == who["session_id"]
    assert shown["App claim email"] == CREDENTIALS["email"]


# ---- the password


def test_a_new_password_replaces_the_old_one(app: Flask, signed_in: FlaskClient) -> None:
    answer = signed_in.post("/account/password", data=CHANGE, follow_redirects=True)
    assert "Your password has been changed." in answer.text
    assert app.test_client().post("/sign-in", data=CREDENTIALS).status_code == 422
    sign_in(app.test_client(), password=CHANGE["new_password"])


def test_with_the_password_every_other_session_ends(app: Flask, signed_in: FlaskClient) -> None:
    other = sign_in(app.test_client())
    signed_in.post("/account/password", data={**CHANGE, "end_others": "1"})
    assert other.get("/dashboard", headers=PAGE).status_code == 303
    assert signed_in.get("/dashboard").status_code == 200


def test_ending_the_others_is_ticked_and_may_be_unticked(app: Flask, signed_in: FlaskClient) -> None:
    page = BeautifulSoup(signed_in.get("/account/password").text, "html5lib")
    assert page.select("input[name=end_others][checked]")
    other = sign_in(app.test_client())
    signed_in.post("/account/password", data=CHANGE)
    assert other.get("/dashboard").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"current_password": "wrong"}, "This is not your password."),
        ({"current_password": ""}, "This is not your password."),
        ({"new_password": "short"}, "Use 8 to 256 characters."),
        ({"new_password": "with a \x00 inside"}, "characters that cannot be typed"),
    ],
)
def test_a_wrong_field_changes_nothing_and_ends_nothing(
    app: Flask, signed_in: FlaskClient, wrong: dict[str, str], said: str
) -> None:
    other = sign_in(app.test_client())
    answer = signed_in.post("/account/password", data={**CHANGE, "end_others": "1", **wrong})
    assert answer.status_code == 422
    assert said in answer.text
    assert other.get("/dashboard").status_code == 200
    sign_in(app.test_client())


def test_a_deleted_user_is_out_at_the_next_refresh(app: Flask, signed_in: FlaskClient) -> None:
    with app.app_context():
        db.session.delete(find_by_email(CREDENTIALS["email"]))
        db.session.commit()
    signed_in.delete_cookie("cbo_short_session")
    assert signed_in.get("/dashboard", headers=PAGE).location == "/sign-in?next=/dashboard"
