"""The operator pages in the demo: for the operator role, in the site's look, after a recent sign-in."""

from __future__ import annotations

import html5lib
import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from demo_site import models
from demo_site.extensions import db
from flask_corbado_session.testing import expire_short, move_clock
from flask_corbado_session.testing import signed_in as signed_in_as
from tests.demo.conftest import PAGE, MakeApp

USER, OPERATOR = models.DEMO_ACCOUNTS


def browser_of(app: Flask, email: str) -> FlaskClient:
    """A browser somebody is signed in with; no password is hashed for it."""
    with app.app_context():
        user = models.find_by_email(email)
        assert user is not None
        user_id = user.id
    return signed_in_as(app, user_id, amr=["pwd"])


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    """The prepared operator's browser."""
    return browser_of(app, OPERATOR.email)


def look(client: FlaskClient, path: str) -> BeautifulSoup:
    """A page, which is valid HTML."""
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200
    html5lib.HTMLParser(strict=True).parse(answer.text)
    return BeautifulSoup(answer.text, "html5lib")


def test_the_prepared_operator_signs_in_and_finds_the_link(client: FlaskClient) -> None:
    fields = {"email": OPERATOR.email, "password": OPERATOR.password}
    answer = client.post("/sign-in", data=fields, headers=PAGE)
    page = look(client, answer.location)
    assert [link["href"] for link in page.select("header a") if link.get_text() == "Operator"] == ["/operator/"]
    assert look(client, "/operator/").select("svg[role=img]")


def test_other_users_find_neither_link_nor_page(signed_in: FlaskClient) -> None:
    assert "/operator" not in signed_in.get("/dashboard", headers=PAGE).text
    nothing, nowhere = (signed_in.get(path, headers=PAGE) for path in ("/operator/", "/nowhere"))
    assert (nothing.status_code, nothing.text) == (404, nowhere.text)


def test_a_visitor_is_sent_to_sign_in_and_comes_back(client: FlaskClient) -> None:
    answer = client.get("/operator/users", headers=PAGE)
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/operator/users")


def test_a_role_taken_away_is_gone_at_once(app: Flask, operator: FlaskClient) -> None:
    assert look(operator, "/operator/")
    with app.app_context():
        user = models.find_by_email(OPERATOR.email)
        assert user is not None
        user.role = "user"
        db.session.commit()
    assert operator.get("/operator/", headers=PAGE).status_code == 404


def test_users_are_shown_by_their_email_address(operator: FlaskClient, signed_in: FlaskClient) -> None:
    assert signed_in.get("/dashboard").status_code == 200
    assert USER.email in look(operator, "/operator/users").get_text()
    assert OPERATOR.email in look(operator, "/operator/sessions").get_text()


def test_the_pages_have_the_sites_look_and_load_nothing_that_its_policy_forbids(operator: FlaskClient) -> None:
    page = look(operator, "/operator/")
    assert page.select("header.bar")
    assert not page.select("main script, style, [style]")
    assert [operator.get(str(link["href"]), buffered=True).status_code for link in page.select("main link")] == [200]


def test_a_user_is_signed_out_everywhere(app: Flask, operator: FlaskClient, signed_in: FlaskClient) -> None:
    (link,) = [link for link in look(operator, "/operator/users").select("a.corbado-button") if USER.email in str(link)]
    (form,) = look(operator, str(link["href"])).select("main form[method=post]")
    fields = {str(field["name"]): str(field["value"]) for field in form.select("input")}
    answer = operator.post(str(form["action"]), data=fields, headers=PAGE)
    text = " ".join(look(operator, answer.location).get_text().split())
    assert f"all sessions of the user {USER.email}" in text
    assert signed_in.get("/dashboard", headers=PAGE).status_code == 303


def test_after_a_while_revoking_asks_for_the_password_and_then_continues(make_app: MakeApp) -> None:
    app = make_app()
    clock = move_clock(app)
    operator, user = browser_of(app, OPERATOR.email), browser_of(app, USER.email)
    clock.move(minutes=16)
    expire_short(operator)
    with app.app_context():
        row = models.find_by_email(USER.email)
        assert row is not None
        target = str(row.id)
    challenge = operator.post("/operator/revoke", data={"user": target}, headers=PAGE)
    assert challenge.location.startswith("/account/confirm?next=/session/resume")
    confirmed = operator.post(challenge.location, data={"password": OPERATOR.password}, headers=PAGE)
    assert confirmed.status_code == 303
    (form,) = look(operator, confirmed.location).select("main form[method=post]")
    assert form["action"] == "/operator/revoke"
    assert user.get("/dashboard", headers=PAGE).status_code == 200
    assert operator.post("/operator/revoke", data={"user": target}, headers=PAGE).status_code == 303
    expire_short(user)
    assert user.get("/dashboard", headers=PAGE).status_code == 303


def test_without_prepared_users_there_is_no_operator(tmp_path_factory: pytest.TempPathFactory) -> None:
    from demo_site import create_app
    from tests.demo.conftest import CONFIG

    file = tmp_path_factory.mktemp("bare") / "demo.sqlite"
    app = create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{file}", "DEMO_ACCOUNTS": False})
    with app.app_context():
        assert models.find_by_email(OPERATOR.email) is None
        db.engine.dispose()


@pytest.mark.parametrize("query", ["q=colour:red", "q=user:", "sort=x", "page=x"])
def test_an_invalid_query_is_rejected_in_the_sites_look(operator: FlaskClient, query: str) -> None:
    answer = operator.get(f"/operator/sessions?{query}", headers=PAGE)
    assert answer.status_code == 400
    assert 'class="bar"' in answer.text
