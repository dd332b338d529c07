"""Sign in, sign up, sign out."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash

from demo_site import models
from demo_site.extensions import client_network, db
from demo_site.models import User, normalise_email
from tests.demo.conftest import CREDENTIALS, PAGE, MakeApp, sign_in

NEW = {"email": "ada@example.com", "password": "a sound password"}


def field(page: str, name: str) -> dict[str, str]:
    """The attributes of an input."""
    found = BeautifulSoup(page, "html5lib").find("input", attrs={"name": name})
    return {} if found is None else {key: str(value) for key, value in found.attrs.items()}


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/session").status_code == 200


# ---- sign in


def test_the_prepared_user_signs_in_and_sees_the_dashboard(client: FlaskClient) -> None:
    answer = client.post("/sign-in", data=CREDENTIALS, follow_redirects=True)
    assert answer.request.path == "/dashboard"
    assert "demo@example.com" in answer.text


def test_the_sign_in_page_names_the_prepared_user_only_where_there_is_one(make_app: MakeApp) -> None:
    assert CREDENTIALS["password"] in make_app().test_client().get("/sign-in").text
    bare = make_app(DEMO_ACCOUNTS=False).test_client()
    assert CREDENTIALS["password"] not in bare.get("/sign-in").text


def test_an_address_is_the_same_in_capitals_and_with_spaces_around(client: FlaskClient) -> None:
    sign_in(client, email="  Demo@Example.COM ")
    assert is_signed_in(client)


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"email": "nobody@example.com"}, {"email": ""}, {"password": ""}, {"email": "x"}]
)
def test_whatever_was_wrong_the_answer_is_the_same(client: FlaskClient, wrong: dict[str, str]) -> None:
    answer = client.post("/sign-in", data={**CREDENTIALS, **wrong})
    assert answer.status_code == 422
    assert "Email or password is wrong." in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_form_comes_back_with_the_address_and_without_the_password(client: FlaskClient) -> None:
    page = client.post("/sign-in", data={"email": "a@b.cc", "password": "secret"}).text
    assert field(page, "email")["value"] == "a@b.cc"
    assert field(page, "password")["value"] == ""
    assert "checked" not in field(page, "remember")


def test_an_unknown_user_costs_a_hash_too(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """AppBuilder CVE-2021-29621: time told who had an account."""
    checked: list[str] = []

    def check(stored: str, password: str) -> bool:
        checked.append(stored)
        return check_password_hash(stored, password)

    monkeypatch.setattr("demo_site.models.check_password_hash", check)
    app = make_app(DEMO_PASSWORD_HASH="scrypt")
    for email in ("nobody@example.com", "no address", CREDENTIALS["email"]):
        app.test_client().post("/sign-in", data={"email": email, "password": "wrong"})
    assert [stored.split("$")[0] for stored in checked] == ["scrypt:32768:8:1"] * 3


@pytest.mark.parametrize(("fields", "lasting"), [({"remember": "1"}, True), ({}, False)])
def test_without_remember_the_session_ends_with_the_browser(
    client: FlaskClient, fields: dict[str, str], lasting: bool
) -> None:
    cookies = client.post("/sign-in", data={**CREDENTIALS, **fields}).headers.getlist("Set-Cookie")
    long = next(cookie for cookie in cookies if cookie.startswith("cbo_long_session="))
    assert ("Expires=" in long or "Max-Age=" in long) is lasting


def test_next_is_kept_through_the_form(client: FlaskClient) -> None:
    page = client.get("/sign-in?next=/account/password").text
    answer = client.post("/sign-in", data={**CREDENTIALS, "next": field(page, "next")["value"]})
    assert answer.location == "/account/password"
    wrong = client.post("/sign-in", data={"email": "x", "next": "/account"}).text
    assert field(wrong, "next")["value"] == "/account"


@pytest.mark.parametrize("foreign", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1"])
def test_a_foreign_next_is_forgotten(client: FlaskClient, foreign: str) -> None:
    assert field(client.get("/sign-in", query_string={"next": foreign}).text, "next") == {}
    assert client.post("/sign-in", data={**CREDENTIALS, "next": foreign}).location == "/dashboard"


def test_somebody_signed_in_is_told_so(signed_in: FlaskClient) -> None:
    assert "You are signed in as demo@example.com" in signed_in.get("/sign-in").text
    assert "You are signed in as demo@example.com" in signed_in.get("/sign-up").text


def test_a_foreign_page_cannot_sign_anybody_in(client: FlaskClient) -> None:
    answer = client.post("/sign-in", data=CREDENTIALS, headers={"Sec-Fetch-Site": "cross-site", **PAGE})
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert not is_signed_in(client)


# ---- the rate limit


def test_after_ten_wrong_tries_one_has_to_wait(client: FlaskClient) -> None:
    statuses = [client.post("/sign-in", data={"email": "x"}).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    answer = client.post("/sign-in", data=CREDENTIALS, headers=PAGE)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert "Too many attempts" in answer.text


def test_right_passwords_are_not_counted(client: FlaskClient) -> None:
    for _ in range(12):
        sign_in(client)


def test_the_limit_counts_each_address_by_itself(client: FlaskClient) -> None:
    for _ in range(11):
        client.post("/sign-in", data={"email": "x"})
    other = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.post("/sign-in", data=CREDENTIALS, environ_base=other).status_code == 303


def test_guessing_at_the_current_password_is_limited_too(signed_in: FlaskClient) -> None:
    guess = {"current_password": "wrong", "new_password": "a sound password"}
    statuses = [signed_in.post("/account/password", data=guess).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:0:0:0:1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_neighbourhood_counts_as_one(app: Flask, address: str, counted: str) -> None:
    """better-auth CVE-2026-45364: each spelling of an address had a limit of its own."""
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert client_network() == counted


# ---- sign up


def test_signing_up_signs_in(client: FlaskClient) -> None:
    answer = client.post("/sign-up", data={**NEW, "next": "/account"})
    assert answer.location == "/account"
    assert client.get("/session").get_json()["claims"]["email"] == "ada@example.com"


def test_whoever_signed_up_can_sign_in_again(client: FlaskClient) -> None:
    client.post("/sign-up", data=NEW)
    client.post("/sign-out")
    sign_in(client, **NEW)


@pytest.mark.parametrize("email", ["demo@example.com", "DEMO@example.com"])
def test_an_address_has_one_account(client: FlaskClient, email: str) -> None:
    answer = client.post("/sign-up", data={**NEW, "email": email})
    assert answer.status_code == 422
    assert "There is already an account with this address." in answer.text
    assert not is_signed_in(client)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 257, "a password\x00", "a pass\ufffdword", "tab\tpassword"])
def test_a_password_that_will_not_do_is_named_and_nobody_is_added(app: Flask, password: str) -> None:
    answer = app.test_client().post("/sign-up", data={**NEW, "password": password})
    assert answer.status_code == 422
    assert field(answer.text, "password")["aria-invalid"] == "true"
    with app.app_context():
        assert models.find_by_email(NEW["email"]) is None


def test_a_bad_address_and_a_bad_password_are_both_named(client: FlaskClient) -> None:
    page = client.post("/sign-up", data={"email": "x", "password": "y"}).text
    assert field(page, "email")["aria-invalid"] == field(page, "password")["aria-invalid"] == "true"


def test_a_foreign_page_cannot_sign_anybody_up(app: Flask) -> None:
    headers = {"Origin": "https://evil.example"}
    assert app.test_client().post("/sign-up", data=NEW, headers=headers).status_code == 403
    with app.app_context():
        assert models.find_by_email(NEW["email"]) is None


def test_passwords_are_kept_as_scrypt_hashes(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLASK_DEMO_PASSWORD_HASH")
    with make_app().app_context():
        hashes = db.session.scalars(db.select(User.password_hash)).all()
    assert [each.partition(":")[0] for each in hashes] == ["scrypt"] * len(models.DEMO_ACCOUNTS)


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("Ada@Example.com", "ada@example.com"),
        (" ada@example.com\n", "ada@example.com"),
        ("ADÄ@example.com", "adä@example.com"),
        ("ada@localhost", None),
        ("ada@example..com", None),
        ("ada @example.com", None),
        ("ada@ex\x00ample.com", None),
        ("ada@exam\u202eple.com", None),
        ("a@b@example.com", None),
        ("a" * 250 + "@b.cc", None),
    ],
)
def test_addresses_are_normalised_or_refused(text: str, email: str | None) -> None:
    assert normalise_email(text) == email


# ---- sign out


def test_signing_out_ends_the_session_and_says_so(signed_in: FlaskClient) -> None:
    answer = signed_in.post("/sign-out", follow_redirects=True)
    assert "You are signed out." in answer.text
    assert not is_signed_in(signed_in)


def test_a_foreign_page_cannot_sign_anybody_out(signed_in: FlaskClient) -> None:
    assert signed_in.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert is_signed_in(signed_in)
