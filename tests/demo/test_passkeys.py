"""Sign up, sign in and confirm with a passkey; add, rename and remove passkeys."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from demo_site.extensions import db
from demo_site.models import find_by_email
from demo_site.passkey_refusals import MAX_PASSKEYS
from demo_site.passkey_store import Passkey
from flask_corbado_session.testing import move_clock
from tests.demo.conftest import CREDENTIALS, PAGE, MakeApp
from tests.demo.passkeys import EMAIL, add, code, confirm, finish, options, session, sign_in, sign_up
from tests.support.authenticator import SoftPasskey


@pytest.fixture
def ada(client: FlaskClient) -> SoftPasskey:
    """The passkey of somebody without a password, whom ``client`` is signed in as."""
    return sign_up(client)


def listed(client: FlaskClient) -> list[str]:
    """The passkeys on the account page."""
    page = BeautifulSoup(client.get("/account").text, "html5lib")
    return [" ".join(each.get_text(" ").split()) for each in page.select("#passkeys li")]


def passkey_id(client: FlaskClient, action: str = "rename") -> str:
    """The id of the first passkey that the account page offers to rename or remove."""
    found = re.search(rf"/passkeys/(\d+)/{action}", client.get("/account").text)
    assert found is not None
    return found[1]


# ---- sign up and sign in


def test_signing_up_with_a_passkey_signs_in(client: FlaskClient) -> None:
    passkey = SoftPasskey()
    answer = finish(client, "sign-up", passkey.create(options(client, "sign-up", email=" Ada@Example.com ")))
    assert answer.get_json() == {"location": "/dashboard"}
    claims = session(client)["claims"]
    assert (claims["email"], claims["passkey"], claims["first_session"]) == (EMAIL, True, True)
    assert session(client)["amr"] == ["swk", "user"]


def test_the_passkey_signs_in_again(app: Flask, ada: SoftPasskey) -> None:
    browser = app.test_client()
    answer = finish(browser, "sign-in", ada.get(options(browser, "sign-in")), next="/account")
    assert answer.get_json() == {"location": "/account"}
    assert session(browser)["claims"]["email"] == EMAIL


@pytest.mark.parametrize(("is_synced", "amr"), [(True, ["swk", "user"]), (False, ["hwk", "user"])])
def test_a_session_says_what_kind_of_passkey_it_was(app: Flask, is_synced: bool, amr: list[str]) -> None:
    passkey, browser = sign_up(app.test_client(), SoftPasskey(is_synced=is_synced)), app.test_client()
    sign_in(browser, passkey)
    assert session(browser)["amr"] == amr
    assert "with passkey" in browser.get("/session/devices", headers=PAGE).text
    assert ("On one device only" in listed(browser)[0]) is not is_synced


@pytest.mark.parametrize("remember", [True, False])
def test_remember_decides_how_long_the_cookies_last(app: Flask, ada: SoftPasskey, remember: bool) -> None:
    cookies = sign_in(app.test_client(), ada, remember=remember).headers.getlist("Set-Cookie")
    long = next(cookie for cookie in cookies if cookie.startswith("cbo_long_session="))
    assert ("Max-Age=" in long) is remember


@pytest.mark.parametrize("foreign", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_signing_in_leads_nowhere_else(app: Flask, ada: SoftPasskey, foreign: str) -> None:
    browser = app.test_client()
    answer = finish(browser, "sign-in", ada.get(options(browser, "sign-in")), next=foreign)
    assert answer.get_json() == {"location": "/dashboard"}


def test_the_options_of_a_sign_in_name_nobody(app: Flask, ada: SoftPasskey) -> None:
    seen = [options(app.test_client(), "sign-in", email=email) for email in (EMAIL, "nobody@example.com")]
    assert [{key: value for key, value in each.items() if key != "challenge"} for each in seen] == [
        {"rpId": "localhost", "timeout": 60000, "allowCredentials": [], "userVerification": "required"}
    ] * 2


def test_the_user_handle_is_random_and_stays_the_users(app: Flask, client: FlaskClient, signed_in: FlaskClient) -> None:
    handles = [options(client, "sign-up", email=EMAIL)["user"]["id"] for _ in range(2)]
    assert len({*handles}) == 2
    assert all(len(handle) == 43 for handle in handles)  # 32 bytes
    mine = [options(signed_in, "add")["user"]["id"] for _ in range(2)]
    assert len({*mine}) == 1


@pytest.mark.parametrize(("email", "expected"), [("demo@example.com", "email_taken"), ("ada", "invalid_email")])
def test_a_wrong_address_is_named_before_a_passkey_is_made(client: FlaskClient, email: str, expected: str) -> None:
    assert code(client.post("/passkeys/sign-up/options", json={"email": email})) == expected


def test_of_two_sign_ups_for_one_address_one_wins(app: Flask) -> None:
    first, second = app.test_client(), app.test_client()
    both = [(browser, options(browser, "sign-up", email=EMAIL)) for browser in (first, second)]
    answers = [finish(browser, "sign-up", SoftPasskey().create(asked)) for browser, asked in both]
    assert answers[0].status_code == 200
    assert (answers[1].status_code, code(answers[1])) == (409, "email_taken")
    assert not session(second)


def test_no_password_opens_an_account_without_one(app: Flask, ada: SoftPasskey) -> None:
    """The password of the decoy, which unknown users are checked against, is in the source."""
    for password in ("", "the password of nobody"):
        answer = app.test_client().post("/sign-in", data={"email": EMAIL, "password": password})
        assert answer.status_code == 422
        assert "Email or password is wrong." in answer.text


# ---- step up


def test_a_passkey_confirms_in_the_place_of_the_password(app: Flask, signed_in: FlaskClient) -> None:
    passkey, before = add(signed_in), session(signed_in)["session_id"]
    clock = move_clock(app)
    clock.move(minutes=6)
    assert signed_in.get("/account/password", headers=PAGE).location == "/account/confirm?next=/account/password"
    assert confirm(signed_in, passkey, "/account/password").get_json() == {"location": "/account/password"}
    assert session(signed_in)["session_id"] != before
    assert session(signed_in)["amr"] == ["swk", "user"]
    assert 'name="current_password"' not in signed_in.get("/account/password").text


def test_who_used_a_passkey_sets_a_password_without_the_old_one(app: Flask, client: FlaskClient) -> None:
    sign_up(client)
    change = {"new_password": "another sound one", "end_others": "1"}
    assert "password-changed" in client.post("/account/password", data=change).location
    assert session(client)["amr"] == ["swk", "user"]
    credentials = {"email": EMAIL, "password": change["new_password"]}
    assert app.test_client().post("/sign-in", data=credentials).status_code == 303


def test_who_used_a_password_still_needs_the_old_one(signed_in: FlaskClient) -> None:
    add(signed_in)
    answer = signed_in.post("/account/password", data={"new_password": "another sound one"})
    assert answer.status_code == 422
    assert "This is not your password." in answer.text


def test_a_passkey_confirms_the_end_of_another_session(app: Flask, ada: SoftPasskey, client: FlaskClient) -> None:
    other = app.test_client()
    sign_in(other, ada)
    move_clock(app).move(minutes=16)
    sent = {"data": "", "content_type": "application/x-www-form-urlencoded", "headers": PAGE}
    asked = client.post("/session/revoke-others", **sent)
    assert asked.location == "/account/confirm?next=/session/resume"
    assert confirm(client, ada, "/session/resume").get_json() == {"location": "/session/resume"}
    assert client.post("/session/revoke-others", **sent).location == "/session/devices"
    assert other.get("/dashboard", headers=PAGE).status_code == 303


def test_somebody_elses_passkey_confirms_nothing(app: Flask, client: FlaskClient, signed_in: FlaskClient) -> None:
    add(signed_in)
    other, before = sign_up(client), session(signed_in)["session_id"]
    assert code(confirm(signed_in, other)) == "passkey_wrong_account"
    assert code(confirm(signed_in, SoftPasskey())) == "passkey_wrong_account"
    assert session(signed_in)["session_id"] == before


def test_only_the_users_own_passkeys_are_asked_for(app: Flask, ada: SoftPasskey, signed_in: FlaskClient) -> None:
    mine = add(signed_in)
    (allowed,) = options(signed_in, "confirm")["allowCredentials"]
    assert allowed["id"] == mine.get(options(signed_in, "confirm"))["id"]


def test_the_confirm_page_offers_what_the_user_has(client: FlaskClient, signed_in: FlaskClient) -> None:
    assert "data-passkey" not in signed_in.get("/account/confirm").text
    add(signed_in)
    assert all(part in signed_in.get("/account/confirm").text for part in ("data-passkey", 'type="password"'))
    sign_up(client)
    page = client.get("/account/confirm").text
    assert "data-passkey" in page
    assert 'type="password"' not in page


# ---- add, rename and remove


def test_a_passkey_is_offered_after_a_password_and_not_after_a_passkey(app: Flask, signed_in: FlaskClient) -> None:
    assert "Create a passkey" in signed_in.get("/dashboard").text
    passkey = add(signed_in)
    assert "Create a passkey" not in signed_in.get("/dashboard").text
    browser = app.test_client()
    sign_in(browser, passkey)
    assert "Create a passkey" not in browser.get("/dashboard").text


def test_adding_and_removing_need_a_recent_sign_in(app: Flask, signed_in: FlaskClient) -> None:
    add(signed_in)
    which = passkey_id(signed_in)
    move_clock(app).move(minutes=6)
    assert code(signed_in.post("/passkeys/add/options", json={})) == "insufficient_user_authentication"
    assert code(signed_in.post("/passkeys/add", json={})) == "insufficient_user_authentication"
    asked = signed_in.post(f"/passkeys/{which}/remove", content_type="application/x-www-form-urlencoded", headers=PAGE)
    assert asked.location == "/account/confirm?next=/session/resume"
    assert len(listed(signed_in)) == 1


def test_a_passkey_that_the_browser_made_unasked_is_added(signed_in: FlaskClient) -> None:
    """Conditional creation asks nobody, so that nobody is present; only options that say so allow it."""
    quiet = options(signed_in, "add", conditional=True)
    assert quiet["authenticatorSelection"]["userVerification"] == "preferred"
    assert finish(signed_in, "add", SoftPasskey().create(quiet, flags=0)).status_code == 200
    assert code(finish(signed_in, "add", SoftPasskey().create(options(signed_in, "add"), flags=0))) == "passkey_refused"


def test_the_browser_is_told_which_passkeys_exist(signed_in: FlaskClient) -> None:
    first, second = add(signed_in), add(signed_in)
    asked = options(signed_in, "add")
    excluded = [each["id"] for each in asked["excludeCredentials"]]
    page = BeautifulSoup(signed_in.get("/account").text, "html5lib")
    section = page.select("#passkeys")[0]
    assert str(section["data-accepted"]).split() == excluded == [p.create(asked)["id"] for p in (first, second)]
    assert section["data-user"] == asked["user"]["id"]
    assert asked["excludeCredentials"][0]["transports"] == ["internal", "hybrid"]


def test_a_passkey_is_renamed_and_shows_its_last_use(app: Flask, signed_in: FlaskClient) -> None:
    passkey = add(signed_in)
    assert "not used yet" in listed(signed_in)[0]
    answer = signed_in.post(f"/passkeys/{passkey_id(signed_in)}/rename", data={"name": "Kitchen tablet"})
    assert answer.location == "/account?message=passkey-renamed#passkeys"
    sign_in(app.test_client(), passkey)
    assert "Kitchen tablet" in listed(signed_in)[0]
    assert "last used just now" in listed(signed_in)[0]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "two\nlines", "\ufffd", "\x00"])
def test_a_name_that_will_not_do_is_refused(signed_in: FlaskClient, name: str) -> None:
    add(signed_in)
    answer = signed_in.post(f"/passkeys/{passkey_id(signed_in)}/rename", data={"name": name}, headers=PAGE)
    assert answer.status_code == 422
    assert "Give the passkey a name" in answer.text


def test_a_removed_passkey_signs_nobody_in(app: Flask, signed_in: FlaskClient) -> None:
    passkey = add(signed_in)
    answer = signed_in.post(f"/passkeys/{passkey_id(signed_in, 'remove')}/remove", headers=PAGE)
    assert answer.location == "/account?message=passkey-removed#passkeys"
    assert listed(signed_in) == []
    assert 'data-accepted=""' in signed_in.get("/account").text
    browser = app.test_client()
    assert code(sign_in(browser, passkey)) == "passkey_unknown"
    assert not session(browser)
    assert "passkey" not in session(signed_in)["claims"]


def test_the_only_way_to_sign_in_is_not_removed(ada: SoftPasskey, client: FlaskClient) -> None:
    which = passkey_id(client)
    assert f"/passkeys/{which}/remove" not in client.get("/account").text
    answer = client.post(f"/passkeys/{which}/remove", headers=PAGE)
    assert answer.status_code == 409
    assert "your only way to sign in" in answer.text
    add(client)
    assert client.post(f"/passkeys/{which}/remove", headers=PAGE).status_code == 303
    client.post("/account/password", data={"new_password": "another sound one"})
    assert client.post(f"/passkeys/{passkey_id(client)}/remove", headers=PAGE).status_code == 303


@pytest.mark.parametrize("action", ["rename", "remove"])
def test_nobody_touches_the_passkeys_of_others(ada: SoftPasskey, client: FlaskClient, action: str) -> None:
    which, stranger = passkey_id(client), client.application.test_client()
    assert stranger.post("/sign-in", data=CREDENTIALS).status_code == 303
    assert stranger.post(f"/passkeys/{which}/{action}", data={"name": "Mine"}, headers=PAGE).status_code == 404
    assert stranger.post(f"/passkeys/{10**30}/{action}", data={"name": "Mine"}, headers=PAGE).status_code == 404


def test_a_user_has_at_most_twenty_passkeys(signed_in: FlaskClient) -> None:
    for _ in range(MAX_PASSKEYS):
        passkey = SoftPasskey()
        answer = finish(signed_in, "add", passkey.create(options(signed_in, "add")))
        assert answer.status_code == 200
    assert code(finish(signed_in, "add", SoftPasskey().create(options(signed_in, "add")))) == "too_many_passkeys"


def test_one_passkey_belongs_to_one_account(app: Flask, ada: SoftPasskey, signed_in: FlaskClient) -> None:
    answer = finish(signed_in, "add", ada.copy().create(options(signed_in, "add")))
    assert (answer.status_code, code(answer)) == (409, "passkey_exists")


# ---- the site around it


def test_the_demo_accounts_sign_in_as_before(signed_in: FlaskClient) -> None:
    assert session(signed_in)["amr"] == ["pwd"]
    assert session(signed_in)["claims"]["email"] == CREDENTIALS["email"]
    assert "passkey" not in session(signed_in)["claims"]


def test_a_database_from_before_passkeys_gets_their_tables(make_app: MakeApp) -> None:
    app = make_app()
    with app.app_context():
        for table in ("demo_passkey", "demo_user_handle", "demo_spent_challenge"):
            db.metadata.tables[table].drop(db.engine)
    browser = make_app().test_client()
    sign_up(browser)
    assert session(browser)


def test_a_deleted_user_is_not_signed_in(app: Flask, ada: SoftPasskey) -> None:
    with app.app_context():
        db.session.delete(find_by_email(EMAIL))
        db.session.commit()
        assert db.session.query(Passkey).count() == 1  # SQLite leaves it behind
    assert code(sign_in(app.test_client(), ada)) == "passkey_unknown"


def test_a_passkey_costs_the_dashboard_no_query(make_app: MakeApp) -> None:
    client = make_app(CORBADO_SESSION_REVOCATION_INTERVAL=60).test_client()
    sign_up(client)
    assert "<strong>No database query:</strong>" in client.get("/dashboard").text
