"""Answers that do not hold, requests of other sites, and too many of either."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from tests.demo.conftest import UNLIMITED, MakeApp
from tests.demo.passkeys import CEREMONIES, EMAIL, code, confirm, finish, options, session, sign_in, sign_up
from tests.support.authenticator import JSON, PRESENT, VERIFIED, SoftPasskey


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """A site that answers every attempt."""
    return make_app(**UNLIMITED)


def test_a_copied_passkey_is_refused_and_its_owner_is_told(app: Flask, client: FlaskClient) -> None:
    passkey = sign_up(client, SoftPasskey(counts=True, is_synced=False))
    copy = passkey.copy()
    for _ in range(3):
        assert sign_in(app.test_client(), passkey).status_code == 200
    thief = app.test_client()
    assert code(sign_in(thief, copy)) == "passkey_copied"
    assert not session(thief)
    assert "A copy of this passkey seems to exist" in client.get("/account").text
    assert sign_in(app.test_client(), passkey).status_code == 200


@pytest.mark.parametrize("then", [0, 4, 5])
def test_a_counter_that_does_not_grow_is_refused(app: Flask, client: FlaskClient, then: int) -> None:
    passkey = sign_up(client, SoftPasskey(counter=5))
    passkey.counter = then
    assert code(sign_in(app.test_client(), passkey)) == "passkey_copied"


def test_synced_passkeys_do_not_count(app: Flask, ada: SoftPasskey) -> None:
    assert [sign_in(app.test_client(), ada).status_code for _ in range(3)] == [200] * 3
    ada.counter = 2**32 - 1  # one may begin to
    assert sign_in(app.test_client(), ada).status_code == 200


def test_a_passkey_that_was_bound_to_a_device_does_not_become_a_synced_one(app: Flask, client: FlaskClient) -> None:
    passkey = sign_up(client, SoftPasskey(is_synced=False))
    passkey.is_synced = True
    assert code(sign_in(app.test_client(), passkey)) == "passkey_refused"


def _signed_by_another(passkey: SoftPasskey, asked: JSON) -> JSON:
    other = SoftPasskey(credential_id=passkey.credential_id, user_handle=passkey.user_handle)
    return other.get(asked)


def _cut_signature(passkey: SoftPasskey, asked: JSON) -> JSON:
    answer = passkey.get(asked)
    answer["response"]["signature"] = answer["response"]["signature"][:-4]
    return answer


def _of_another_site(passkey: SoftPasskey, asked: JSON) -> JSON:
    other = passkey.copy()
    other.rp_id = "evil.example"
    return other.get(asked)


def _of_nobody(passkey: SoftPasskey, asked: JSON) -> JSON:
    answer = passkey.get(asked)
    del answer["response"]["userHandle"]
    return answer


def _for_somebody_else(passkey: SoftPasskey, asked: JSON) -> JSON:
    answer = passkey.get(asked)
    answer["response"]["userHandle"] = bytes_to_base64url(b"x" * 32)
    return answer


@pytest.mark.parametrize(
    "forge",
    [_signed_by_another, _cut_signature, _of_another_site, _of_nobody, _for_somebody_else],
    ids=lambda forge: forge.__name__,
)
def test_a_forged_answer_signs_nobody_in(ada: SoftPasskey, client: FlaskClient, forge: Any) -> None:
    assert code(finish(client, "sign-in", forge(ada, options(client, "sign-in")))) == "passkey_refused"
    assert not session(client)


def test_an_absent_person_signs_nobody_in(ada: SoftPasskey, client: FlaskClient) -> None:
    assert code(finish(client, "sign-in", ada.get(options(client, "sign-in"), flags=VERIFIED))) == "passkey_refused"


def test_a_person_whom_nobody_verified_does_not_sign_up(client: FlaskClient) -> None:
    answer = SoftPasskey().create(options(client, "sign-up", email=EMAIL), flags=PRESENT)
    assert code(finish(client, "sign-up", answer)) == "passkey_unverified"


@pytest.mark.parametrize(
    "client_data",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "http://localhost:8000/"},
        {"origin": ["http://localhost:8000"]},
        {"origin": None},
        {"crossOrigin": True},
    ],
    ids=str,
)
def test_an_answer_of_another_origin_is_refused(app: Flask, ada: SoftPasskey, client_data: JSON) -> None:
    browser = app.test_client()
    refused = finish(browser, "sign-in", ada.get(options(browser, "sign-in"), **client_data))
    assert code(refused) == "wrong_origin"
    assert "http://localhost:8000" in refused.get_json()["detail"]


def test_the_host_header_makes_no_origin(app: Flask, ada: SoftPasskey) -> None:
    """viur, open-mercato: links and origins made from the header are the attacker's."""
    browser = app.test_client()
    evil = {"base_url": "http://evil.example"}
    asked = browser.post("/passkeys/sign-in/options", json={}, **evil).get_json()
    assert asked["rpId"] == "localhost"
    answer = browser.post(
        "/passkeys/sign-in", json={"credential": ada.get(asked, origin="http://evil.example")}, **evil
    )
    assert code(answer) == "wrong_origin"


def test_the_settings_name_another_origin(make_app: MakeApp) -> None:
    settings = {
        "DEMO_PASSKEY_RP_ID": "example.com",
        "DEMO_PASSKEY_ORIGINS": "https://example.com, https://www.example.com",
    }
    app = make_app(**settings)
    browser, passkey = app.test_client(), SoftPasskey(rp_id="example.com")
    asked = options(browser, "sign-up", email=EMAIL)
    assert asked["rp"]["id"] == "example.com"
    assert code(finish(browser, "sign-up", passkey.create(asked))) == "wrong_origin"
    asked = options(browser, "sign-up", email=EMAIL)
    assert finish(browser, "sign-up", passkey.create(asked, origin="https://www.example.com")).status_code == 200


def test_with_secure_cookies_the_origin_is_https(make_app: MakeApp) -> None:
    app = make_app(CORBADO_SESSION_COOKIE_SECURE=True)
    browser, https = app.test_client(), {"base_url": "https://localhost:8000"}
    asked = browser.post("/passkeys/sign-up/options", json={"email": EMAIL}, **https)
    assert asked.headers["Set-Cookie"].startswith("__Host-demo_passkey=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {*asked.headers["Set-Cookie"].split("; ")}
    answer = SoftPasskey().create(asked.get_json(), origin="https://localhost:8000")
    assert browser.post("/passkeys/sign-up", json={"credential": answer}, **https).status_code == 200


# ---- who may ask, and how often


@pytest.mark.parametrize("path", [*(f"{each}/options" for each in CEREMONIES), *CEREMONIES, "1/rename", "1/remove"])
def test_a_foreign_page_is_refused(signed_in: FlaskClient, path: str) -> None:
    answer = signed_in.post(f"/passkeys/{path}", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")


@pytest.mark.parametrize("path", ["add/options", "add", "confirm/options", "confirm", "1/rename", "1/remove"])
def test_nobody_adds_or_confirms(client: FlaskClient, path: str) -> None:
    assert client.post(f"/passkeys/{path}", json={}).status_code == 401


@pytest.mark.parametrize("path", [*(f"{each}/options" for each in CEREMONIES), *CEREMONIES])
def test_a_link_does_nothing(signed_in: FlaskClient, path: str) -> None:
    assert signed_in.get(f"/passkeys/{path}").status_code == 405


def test_wrong_passkeys_and_passwords_are_limited_together(make_app: MakeApp) -> None:
    client = make_app().test_client()
    statuses = [client.post("/passkeys/sign-in", json={}).status_code for _ in range(6)]
    statuses += [client.post("/sign-in", data={"email": "x"}).status_code for _ in range(5)]
    assert statuses == [422] * 10 + [429]
    refused = client.post("/passkeys/sign-in", json={})
    assert (refused.status_code, code(refused)) == (429, "too_many_requests")
    assert int(refused.headers["Retry-After"]) >= 1


def test_right_passkeys_are_not_counted(make_app: MakeApp) -> None:
    app = make_app()
    passkey = sign_up(app.test_client())
    assert [sign_in(app.test_client(), passkey).status_code for _ in range(12)] == [200] * 12


def test_confirming_is_limited_like_the_password(make_app: MakeApp) -> None:
    client = make_app().test_client()
    passkey = sign_up(client)
    assert [confirm(client, SoftPasskey()).status_code for _ in range(11)] == [422] * 10 + [429]
    assert confirm(client, passkey).status_code == 429


def test_no_secret_of_an_answer_is_logged(
    ada: SoftPasskey, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    answer = _cut_signature(ada, options(client, "sign-in"))
    finish(client, "sign-in", answer)
    finish(client, "sign-in", {"id": "x"})
    secrets = [
        answer["id"],
        answer["response"]["signature"],
        json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))["challenge"],
    ]
    assert "not accepted" in caplog.text
    assert not any(secret in caplog.text for secret in secrets)
