"""A challenge is good once, for ten minutes, for one purpose, one user and one browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from demo_site.extensions import db
from demo_site.passkey_challenges import LIFETIME, SpentChallenge
from tests.demo.conftest import CREDENTIALS, UNLIMITED, MakeApp
from tests.demo.passkeys import code, finish, options, sign_in, sign_up
from tests.support.authenticator import PRESENT, SoftPasskey


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """A site that answers every attempt."""
    return make_app(**UNLIMITED)


def test_an_answer_is_good_once(ada: SoftPasskey, client: FlaskClient) -> None:
    answer = ada.get(options(client, "sign-in"))
    assert finish(client, "sign-in", answer).status_code == 200
    assert code(finish(client, "sign-in", answer)) == "challenge_spent"


def test_an_answer_is_good_once_over_all_processes(make_app: MakeApp) -> None:
    """Each app is a process of its own as far as memory goes; they share the database and the key."""
    first, second = make_app().test_client(), make_app().test_client()
    passkey = sign_up(first)
    answer = passkey.get(options(first, "sign-in"))
    cookie = first.get_cookie("demo_passkey")
    assert cookie is not None
    second.set_cookie("demo_passkey", cookie.value)
    assert finish(second, "sign-in", answer).status_code == 200
    assert code(finish(first, "sign-in", answer)) == "challenge_spent"


def test_a_refused_answer_spends_its_challenge_too(ada: SoftPasskey, client: FlaskClient) -> None:
    asked = options(client, "sign-in")
    assert code(finish(client, "sign-in", ada.get(asked, flags=PRESENT))) == "passkey_unverified"
    assert code(finish(client, "sign-in", ada.get(asked))) == "challenge_spent"


def test_the_challenge_of_another_browser_is_refused(app: Flask, ada: SoftPasskey, client: FlaskClient) -> None:
    """Else somebody could have a browser signed in to an account of their own."""
    answer = ada.get(options(app.test_client(), "sign-in"))
    options(client, "sign-in")
    assert code(finish(client, "sign-in", answer)) == "challenge_unknown"
    assert code(finish(app.test_client(), "sign-in", answer)) == "challenge_unknown"


def test_the_tabs_of_a_browser_do_not_disturb_each_other(ada: SoftPasskey, client: FlaskClient) -> None:
    first, second = options(client, "sign-in"), options(client, "sign-in")
    assert finish(client, "sign-in", ada.get(second)).status_code == 200
    assert finish(client, "sign-in", ada.get(first)).status_code == 200


def test_a_challenge_expires(ada: SoftPasskey, client: FlaskClient) -> None:
    answer = ada.get(options(client, "sign-in"))
    with time_machine.travel(timedelta(seconds=LIFETIME + 2)):
        client.set_cookie("demo_passkey", _cookie(client))  # which a browser would have forgotten by now
        assert code(finish(client, "sign-in", answer)) == "challenge_expired"


def _cookie(client: FlaskClient) -> str:
    cookie = client.get_cookie("demo_passkey")
    assert cookie is not None
    return cookie.value


def test_spent_challenges_are_forgotten_once_they_have_expired(
    app: Flask, ada: SoftPasskey, client: FlaskClient
) -> None:
    sign_in(client, ada)
    with time_machine.travel(timedelta(seconds=LIFETIME + 5)):
        sign_in(app.test_client(), ada)
        with app.app_context():
            assert db.session.query(SpentChallenge).count() == 1


def test_a_challenge_is_good_for_one_purpose(app: Flask, ada: SoftPasskey, client: FlaskClient) -> None:
    sign_in(client, ada)
    for asked_for in ("sign-in", "confirm"):
        for used_for in {"sign-in", "confirm"} - {asked_for}:
            assert code(finish(client, used_for, ada.get(options(client, asked_for)))) == "challenge_unknown"
    asked = options(client, "sign-up", email="grace@example.com")
    assert code(finish(client, "add", SoftPasskey().create(asked))) == "challenge_unknown"


def test_a_challenge_is_good_for_one_user(ada: SoftPasskey, client: FlaskClient) -> None:
    """Somebody else signed in, in the same browser, before the answer came."""
    sign_in(client, ada)
    to_add, to_confirm = options(client, "add"), options(client, "confirm")
    client.post("/sign-in", data=CREDENTIALS)
    assert code(finish(client, "add", SoftPasskey().create(to_add))) == "challenge_unknown"
    assert code(finish(client, "confirm", ada.get(to_confirm))) == "challenge_unknown"


def test_a_challenge_that_the_site_did_not_make_is_refused(ada: SoftPasskey, client: FlaskClient) -> None:
    asked = options(client, "sign-in")
    genuine = base64url_to_bytes(asked["challenge"])
    for forged in (b"", b"x", genuine[:-1], genuine + b"x", b"." + genuine, b"\xff" * 40, genuine.swapcase()):
        answer = ada.get({**asked, "challenge": bytes_to_base64url(forged)})
        assert code(finish(client, "sign-in", answer)) == "challenge_unknown"
    assert finish(client, "sign-in", ada.get(asked)).status_code == 200


def test_the_challenge_of_another_key_is_refused(make_app: MakeApp, ada: SoftPasskey, client: FlaskClient) -> None:
    other = make_app(SECRET_KEY="another key, of another site, for the tests").test_client()
    answer = ada.get(options(other, "sign-in"))
    client.set_cookie("demo_passkey", _cookie(other))
    assert code(finish(client, "sign-in", answer)) == "challenge_unknown"


def test_a_new_secret_key_ends_no_ceremony(make_app: MakeApp, app: Flask, ada: SoftPasskey) -> None:
    before = app.test_client()
    answer = ada.get(options(before, "sign-in"))
    after = make_app(SECRET_KEY="a newer key, of the same site", SECRET_KEY_FALLBACKS=[app.secret_key]).test_client()
    after.set_cookie("demo_passkey", _cookie(before))
    assert finish(after, "sign-in", answer).status_code == 200
