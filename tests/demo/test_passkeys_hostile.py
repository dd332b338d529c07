"""What no browser sends in the place of a passkey's answer: never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from tests.demo.conftest import PAGE, UNLIMITED, MakeApp
from tests.demo.passkeys import CEREMONIES, EMAIL, code, finish, options, session, sign_up
from tests.support.authenticator import JSON, SoftPasskey


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """A site that answers every attempt."""
    return make_app(**UNLIMITED)


VALUES: list[Any] = [None, True, 0, -1, 1.5, "", "x", "\x00", "\ufffd", "x" * 3000, [], ["a"], {}, {"a": {}}]


@pytest.mark.parametrize("ceremony", CEREMONIES)
def test_any_body_is_refused(subtests: pytest.Subtests, ceremony: str, client: FlaskClient) -> None:
    sign_up(client)
    for body in [*VALUES[1:], *({"credential": value} for value in VALUES)]:
        with subtests.test(body=body):
            assert code(client.post(f"/passkeys/{ceremony}", json=body)) == "invalid_answer"
    for data in (b"", b"{", b"\xff\xfe", b"[" * 50_000, b'{"credential":' * 4000):
        with subtests.test(data=data[:20]):
            assert (
                code(client.post(f"/passkeys/{ceremony}", data=data, content_type="application/json"))
                == "invalid_answer"
            )
    form = client.post(f"/passkeys/{ceremony}", data={"credential": "x"}, headers=PAGE)
    assert form.status_code == 422


def test_any_options_body_is_answered(subtests: pytest.Subtests, signed_in: FlaskClient) -> None:
    for ceremony in CEREMONIES:
        for value in VALUES:
            with subtests.test(ceremony=ceremony, value=value):
                body = {"email": value, "conditional": value}
                assert signed_in.post(f"/passkeys/{ceremony}/options", json=body).status_code in (200, 422)
                assert signed_in.post(f"/passkeys/{ceremony}/options", json=value).status_code in (200, 422)


@pytest.mark.parametrize("ceremony", ["sign-in", "add"])
def test_any_part_of_an_answer_may_be_anything(subtests: pytest.Subtests, client: FlaskClient, ceremony: str) -> None:
    passkey = sign_up(client)

    def sound() -> JSON:
        asked = options(client, ceremony)
        return passkey.get(asked) if ceremony == "sign-in" else SoftPasskey().create(asked)

    parts = [(name,) for name in sound()] + [("response", name) for name in sound()["response"]]
    for path in parts:
        for value in VALUES:
            with subtests.test(path=path, value=value):
                answer = sound()
                holder = answer if len(path) == 1 else answer["response"]
                holder[path[-1]] = value
                assert finish(client, ceremony, answer).status_code in (200, 409, 422)
        with subtests.test(path=path, missing=True):
            answer = sound()
            del (answer if len(path) == 1 else answer["response"])[path[-1]]
            assert finish(client, ceremony, answer).status_code in (200, 409, 422)


def test_any_client_data_is_refused(subtests: pytest.Subtests, ada: SoftPasskey, client: FlaskClient) -> None:
    for name in ("type", "challenge", "origin"):
        for value in VALUES:
            with subtests.test(name=name, value=value):
                answer = ada.get(options(client, "sign-in"), **{name: value})
                code(finish(client, "sign-in", answer))
    for text in ("", "[]", "null", "{", "\ud800"):
        with subtests.test(text=text):
            answer = ada.get(options(client, "sign-in"))
            raw = text.encode(errors="surrogatepass")
            answer["response"]["clientDataJSON"] = bytes_to_base64url(raw)
            assert code(finish(client, "sign-in", answer)) == "invalid_answer"
    assert not session(client)


@pytest.mark.parametrize("ceremony", ["sign-in", "add"])
def test_any_bytes_of_an_authenticator_are_refused(
    subtests: pytest.Subtests, client: FlaskClient, ceremony: str
) -> None:
    passkey = sign_up(client)
    part = "authenticatorData" if ceremony == "sign-in" else "attestationObject"
    for cut in (0, 1, 36, 37, 38, 60):
        for tail in (b"", b"\x00", b"\xff" * 40, b"\xbf" * 2000, b"\x9b" + b"\xff" * 8, b"\x81" * 20_000):
            with subtests.test(cut=cut, tail=tail[:4]):
                asked = options(client, ceremony)
                answer = passkey.get(asked) if ceremony == "sign-in" else SoftPasskey().create(asked)
                raw = base64url_to_bytes(answer["response"][part])
                answer["response"][part] = bytes_to_base64url(raw[:cut] + tail)
                if raw != raw[:cut] + tail:
                    assert code(finish(client, ceremony, answer)) == "passkey_refused"


@pytest.mark.parametrize("fmt", ["packed", "tpm", "fido-u2f", "apple", "android-key", "android-safetynet", "", "x"])
def test_an_attestation_that_was_not_asked_for_must_hold(client: FlaskClient, fmt: str) -> None:
    answer = SoftPasskey().create(options(client, "sign-up", email=EMAIL), fmt=fmt)
    assert code(finish(client, "sign-up", answer)) == "passkey_refused"


@pytest.mark.parametrize("length", [0, 1024])
def test_a_credential_id_of_a_wrong_length_is_refused(client: FlaskClient, length: int) -> None:
    passkey = SoftPasskey(credential_id=b"x" * length)
    answer = passkey.create(options(client, "sign-up", email=EMAIL))
    assert code(finish(client, "sign-up", answer)) in ("invalid_answer", "passkey_refused")


@pytest.mark.parametrize("ceremony", CEREMONIES)
def test_a_body_that_is_too_large_is_refused(client: FlaskClient, ceremony: str) -> None:
    sign_up(client)
    answer = client.post(f"/passkeys/{ceremony}", json={"credential": "x" * 70_000})
    assert answer.status_code == 413
    assert code(answer) == "too_large"


@pytest.mark.parametrize("cookie", ["", "x" * 5000, '"', "é", "\x01", "demo_passkey=x"])
def test_any_cookie_gets_a_challenge(ada: SoftPasskey, client: FlaskClient, cookie: str) -> None:
    asked = client.post("/passkeys/sign-in/options", json={}, headers={"Cookie": f"demo_passkey={cookie}"})
    assert asked.status_code == 200
    assert finish(client, "sign-in", ada.get(asked.get_json())).status_code in (200, 422)
