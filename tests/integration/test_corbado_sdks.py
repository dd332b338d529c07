"""Corbado itself: its published SDKs, unmodified, accept our short sessions, and our verifier accepts Corbado's.

The SDKs fetch our JWKS over https from a server process. Each test skips, with a reason, where its SDK is not there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_corbado_session import InvalidShortSession, ShortSessionVerifier
from flask_corbado_session.testing import move_clock, signed_in
from tests.conftest import do_without
from tests.support.apps import make_app, state_of
from tests.support.certificates import certificate
from tests.support.databases import engines_disposed
from tests.support.issuers import Issuer, public, signed
from tests.support.key_files import a_jwk, key_file
from tests.support.services import ServiceProcess, bearer, make_service
from tests.support.short_tokens import encode
from tests.support.site import cookie_of

PROJECT = "pro-1234567890"
CLOUD = f"https://{PROJECT}.frontendapi.cloud.corbado.io"
CNAME = "https://auth.acme.example"
NODE_FILES = Path(__file__).parents[1] / "corbado_node"
NPM_MAY_TAKE = 90.0
"""Seconds; 10 with the network and the machine to itself."""


class Host:
    """A session host that signs with RS256 and shows its keys over https, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = a_jwk("RS256")
        self._file = key_file(folder / "keys.json", a_jwk("ES256"), self.key)  # the last one signs
        self.url = f"sqlite:///{folder / 'host.sqlite'}"
        with engines_disposed():
            make_app(self.url)
        self.trusted, secret = certificate(folder)
        self._server = ServiceProcess(
            self.url, certificate=(self.trusted, secret), CORBADO_SESSION_KEYS_FILE=str(self._file)
        )
        self.origin = f"https://localhost:{self._server.port}"

    def app(self, issuer: str, **config: Any) -> Flask:
        """An app on the same database and keys, whose sessions name that issuer."""
        given = {"CORBADO_SESSION_KEYS_FILE": str(self._file), "CORBADO_SESSION_ISSUER": issuer, **config}
        return make_app(self.url, **given)[0]

    def token(self, issuer: str = CLOUD, *, minutes_ago: int = 0, **config: Any) -> str:
        """Alice's short token, as her browser got it so many minutes ago."""
        app = self.app(issuer, **config)
        move_clock(app, datetime.now(UTC) - timedelta(minutes=minutes_ago))
        cookie = cookie_of(signed_in(app, "alice", claims={"name": "Alice Liddell"}))
        return cookie

    def stop(self) -> None:
        """End the process."""
        self._server.stop()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("host"))
    yield host
    host.stop()


def tampered(token: str) -> str:
    """Another payload under the same signature."""
    head, body, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return f"{head}.{encode(claims | {'sub': 'mallory'})}.{signature}"


def signed_elsewhere(jwk: dict[str, Any], **header: Any) -> str:
    """A token that says what ours say, made by hand."""
    seconds = int(datetime.now(UTC).timestamp())
    claims = {"iss": CLOUD, "sub": "alice", "name": "Alice Liddell"}
    return signed(claims | {"iat": seconds, "nbf": seconds, "exp": seconds + 900}, jwk, **header)


def forged(host: Host) -> str:
    """Signed by somebody else, under the kid of our key."""
    return signed_elsewhere(a_jwk("RS256", 1), kid=host.key["kid"])


# ---- Corbado's Python SDK


@pytest.fixture
def python_sdk(host: Host, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package ``passkeys``, told where our keys are, as its users configure it."""
    sdk = pytest.importorskip("corbado_python_sdk", reason="Corbado's Python SDK (passkeys on PyPI) is not installed")
    monkeypatch.setenv("SSL_CERT_FILE", str(host.trusted))  # the SDK insists on https, and our certificate is our own

    def made(**config: Any) -> Any:
        urls = {"frontend_api": host.origin, "backend_api": "https://backendapi.cloud.corbado.io"}
        return sdk.CorbadoSDK(config=sdk.Config(project_id=PROJECT, api_secret="corbado1_none", **urls, **config))

    return made


def python_says(sdk: Any, token: str) -> str:
    """The user, or the kind of refusal."""
    from corbado_python_sdk import TokenValidationException

    try:
        user = sdk.sessions.validate_token(token)
    except TokenValidationException as error:
        return str(error.error_type.name)
    return f"{user.user_id} {user.full_name}"


ISSUERS = {
    "of the project": (CLOUD, {}),
    "of the project, as it was": (f"https://{PROJECT}.frontendapi.corbado.io", {}),
    "of a domain of one's own": (CNAME, {"cname": "auth.acme.example"}),
}


@pytest.mark.parametrize("name", ISSUERS)
def test_corbados_python_sdk_accepts_our_short_session(host: Host, python_sdk: Any, name: str) -> None:
    issuer, config = ISSUERS[name]
    assert python_says(python_sdk(**config), host.token(issuer)) == "alice Alice Liddell"


def test_corbados_python_sdk_takes_our_own_address_for_an_issuer(host: Host, python_sdk: Any) -> None:
    assert python_says(python_sdk(), host.token(host.origin)) == "alice Alice Liddell"


def test_corbados_python_sdk_refuses_what_is_not_good(host: Host, python_sdk: Any) -> None:
    """ES256 too, which is why ``keys generate`` makes RS256; and any audience, which is why there is none."""
    sdk = python_sdk()
    assert python_says(sdk, host.token()) == "alice Alice Liddell"
    assert {
        "tampered": python_says(sdk, tampered(host.token())),
        "forged": python_says(sdk, forged(host)),
        "ES256": python_says(sdk, signed_elsewhere(a_jwk("ES256"))),
        "expired": python_says(sdk, host.token(minutes_ago=20)),
        "another issuer": python_says(sdk, host.token("https://evil.example")),
        "an audience": python_says(sdk, host.token(CORBADO_SESSION_AUDIENCE="orders")),
        "empty": python_says(sdk, ""),
    } == {
        "tampered": "CODE_JWT_INVALID_SIGNATURE",
        "forged": "CODE_JWT_INVALID_SIGNATURE",
        "ES256": "CODE_JWT_INVALID_SIGNATURE",
        "expired": "CODE_JWT_EXPIRED",
        "another issuer": "CODE_JWT_ISSUER_MISSMATCH",
        "an audience": "CODE_JWT_GENERAL",
        "empty": "CODE_JWT_EMPTY_SESSION_TOKEN",
    }


# ---- Corbado's Node SDK


@pytest.fixture(scope="module")
def node_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package ``@corbado/node-sdk`` and the script that asks it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        do_without("NODE", "there is no node and npm to install Corbado's Node SDK with")
    folder = shutil.copytree(NODE_FILES, tmp_path_factory.mktemp("node") / "sdk")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefer-offline"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=NPM_MAY_TAKE)
    except subprocess.TimeoutExpired:
        do_without("NODE", f"npm did not install Corbado's Node SDK within {NPM_MAY_TAKE:g} s")
    if done.returncode != 0:
        do_without("NODE", f"npm could not install Corbado's Node SDK (exit code {done.returncode})")
    return folder


def node_says(folder: Path, host: Host, **tokens: str) -> dict[str, Any]:
    """What the SDK says of each token."""
    asked = {"frontendAPI": host.origin, "projectID": PROJECT, "tokens": tokens}
    done = subprocess.run(
        ["node", "validate.js"],
        cwd=folder,
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(host.trusted)},
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_corbados_node_sdk_accepts_our_short_session_and_refuses_what_is_not_good(host: Host, node_sdk: Path) -> None:
    said = node_says(
        node_sdk,
        host,
        of_the_project=host.token(),
        of_our_own_address=host.token(host.origin),
        of_es256=signed_elsewhere(a_jwk("ES256")),
        tampered=tampered(host.token()),
        forged=forged(host),
        expired=host.token(minutes_ago=20),
        another_issuer=host.token("https://evil.example"),
    )
    alice = {"userId": "alice", "fullName": "Alice Liddell"}
    assert said.pop("of_the_project") == said.pop("of_our_own_address") == said.pop("of_es256") == alice
    assert {name: each["error"] for name, each in said.items()} == {
        "tampered": "JWT_INVALID",
        "forged": "JWT_INVALID",
        "expired": "JWT_EXPIRED",
        "another_issuer": "INVALID_ISSUER",
    }


# ---- the other way round: a session of Corbado Cloud, by settings alone

CORBADOS_KEY = a_jwk("RS256", 2) | {"kid": "pki-4613582093142317"}


@pytest.fixture(scope="module")
def corbado() -> Iterator[Issuer]:
    """What stands in for Corbado's Frontend API: its keys, at its path."""
    with Issuer() as corbado:
        corbado.publish(public(CORBADOS_KEY))
        corbado.answers["/.well-known/jwks"] = corbado.answers["/.well-known/jwks.json"]
        yield corbado


def corbados_token(issuer: str = CLOUD, jwk: dict[str, Any] = CORBADOS_KEY, **changed: Any) -> str:
    """A session token with the claims of Corbado's; ``...`` takes one away."""
    seconds = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": issuer,
        "sub": "usr-3752911293",
        "exp": seconds + 300,
        "nbf": seconds - 10,
        "iat": seconds,
        "jti": "jwt-1093854287",
        "name": "Alice Liddell",
        "orig": "alice@example.com",
        "email": "alice@example.com",
        "version": 2,
    }
    return signed({name: value for name, value in (claims | changed).items() if value is not ...}, jwk)


def app_of(corbado: Issuer, issuer: str) -> Flask:
    """An app without database that is told Corbado's issuer, keys and cookie, and nothing else."""
    app, _ = make_service(
        CORBADO_SESSION_ISSUER=issuer,
        CORBADO_SESSION_JWKS_URL=f"{corbado.origin}/.well-known/jwks",
        CORBADO_SESSION_SHORT_COOKIE="cbo_session_token",
    )
    return app


@pytest.mark.parametrize("issuer", [CLOUD, CNAME])
@pytest.mark.parametrize("way", ["cookie", "bearer"])
def test_a_session_of_corbado_is_served(corbado: Issuer, issuer: str, way: str) -> None:
    token = corbados_token(issuer)
    headers = bearer(token) if way == "bearer" else {"Cookie": f"cbo_session_token={token}"}
    told = app_of(corbado, issuer).test_client(use_cookies=False).get("/protected", headers=headers)
    assert told.status_code == 200
    claims = {"name": "Alice Liddell", "orig": "alice@example.com", "email": "alice@example.com", "version": 2}
    assert told.get_json() == {
        "user_id": "usr-3752911293", "id": "usr-3752911293", "session_id": None, "claims": claims, "amr": [],
    }  # fmt: skip


def test_who_am_i_tells_what_corbado_says(corbado: Issuer) -> None:
    headers = {"Cookie": f"cbo_session_token={corbados_token()}"}
    who = app_of(corbado, CLOUD).test_client(use_cookies=False).get("/session", headers=headers).get_json()
    assert (who["user_id"], who["auth_time"], who["claims"]["email"]) == (
        "usr-3752911293",
        None,
        "alice@example.com",
    )


@pytest.mark.parametrize("claims", [{"jti": ...}, {"nbf": ...}, {"iat": ...}, {"version": "2"}, {"phone": None}])
def test_a_claim_more_or_less_does_not_matter(corbado: Issuer, claims: dict[str, Any]) -> None:
    client = app_of(corbado, CLOUD).test_client(use_cookies=False)
    assert client.get("/protected", headers=bearer(corbados_token(**claims))).status_code == 200


def test_without_flask_the_same_holds(corbado: Issuer) -> None:
    verifier = ShortSessionVerifier(issuer=CLOUD, jwks_url=f"{corbado.origin}/.well-known/jwks")
    short = verifier.verify(corbados_token())
    assert (short.user_id, short.claims["email"], short.session_id) == ("usr-3752911293", "alice@example.com", None)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": 1}, "expired"),
    "another project": ({"issuer": "https://pro-999.frontendapi.cloud.corbado.io"}, "issuer"),
    "the old address": ({"issuer": f"https://{PROJECT}.frontendapi.corbado.io"}, "issuer"),
    "a slash more": ({"issuer": CLOUD + "/"}, "issuer"),
    "a domain around it": ({"issuer": CLOUD + ".evil.example"}, "issuer"),
    "another key": ({"jwk": a_jwk("RS256", 1) | {"kid": CORBADOS_KEY["kid"]}}, "signature"),
    "another kid": ({"jwk": CORBADOS_KEY | {"kid": "pki-1"}}, "unknown_key"),
    "nobody": ({"sub": ...}, "claims"),
    "an audience": ({"aud": "x"}, "audience"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_corbado_did_not_say_is_refused(corbado: Issuer, name: str) -> None:
    given, code = REFUSED[name]
    token = corbados_token(**given)
    with pytest.raises(InvalidShortSession) as caught:
        ShortSessionVerifier(issuer=CLOUD, jwks_url=corbado.keys_url).verify(token)
    assert caught.value.code == code
    app = app_of(corbado, CLOUD)
    assert state_of(app).short_sessions.first_valid([token]) is None
    client = app.test_client(use_cookies=False)
    assert client.get("/protected", headers={"Cookie": f"cbo_session_token={token}"}).status_code == 401
