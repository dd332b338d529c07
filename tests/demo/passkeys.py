"""What the tests of passkeys do: the two calls of each ceremony, as the script of the page makes them."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.authenticator import JSON, SoftPasskey

CEREMONIES = ["sign-in", "sign-up", "add", "confirm"]

EMAIL = "ada@example.com"


def options(client: FlaskClient, ceremony: str, **body: Any) -> JSON:
    """The options of a ceremony: "sign-in", "sign-up", "add" or "confirm"."""
    answer = client.post(f"/passkeys/{ceremony}/options", json=body)
    assert answer.status_code == 200, answer.text
    found: JSON = answer.get_json()
    return found


def finish(client: FlaskClient, ceremony: str, credential: Any, next: str = "", **body: Any) -> TestResponse:
    """Send the authenticator's answer."""
    query = {"next": next} if next else {}
    return client.post(f"/passkeys/{ceremony}", json={"credential": credential, **body}, query_string=query)


def sign_up(client: FlaskClient, passkey: SoftPasskey | None = None, email: str = EMAIL) -> SoftPasskey:
    """A new account without a password, signed in; its passkey."""
    passkey = passkey or SoftPasskey()
    answer = finish(client, "sign-up", passkey.create(options(client, "sign-up", email=email)))
    assert answer.status_code == 200, answer.text
    return passkey


def add(client: FlaskClient, passkey: SoftPasskey | None = None) -> SoftPasskey:
    """A passkey for whoever is signed in."""
    passkey = passkey or SoftPasskey()
    answer = finish(client, "add", passkey.create(options(client, "add")))
    assert answer.status_code == 200, answer.text
    return passkey


def sign_in(client: FlaskClient, passkey: SoftPasskey, **body: Any) -> TestResponse:
    """Sign in with it; the answer."""
    return finish(client, "sign-in", passkey.get(options(client, "sign-in")), **body)


def confirm(client: FlaskClient, passkey: SoftPasskey, next: str = "") -> TestResponse:
    """Step up with it; the answer."""
    return finish(client, "confirm", passkey.get(options(client, "confirm")), next)


def code(answer: TestResponse) -> str:
    """The code of a refusal, which always has a sentence too."""
    body = answer.get_json()
    assert answer.mimetype == "application/problem+json", answer.text
    assert len(body["detail"]) > 20
    assert body["detail"].endswith((".", "?"))
    return str(body["code"])


def session(client: FlaskClient) -> JSON:
    """What the extension says of the session; empty for nobody."""
    answer = client.get("/session")
    return answer.get_json() if answer.status_code == 200 else {}
