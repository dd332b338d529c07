"""Public failures of JWT libraries, each against our bearer tokens in the way it happened to them.

Which advisories there must be tests of is listed in ``tests/unit/test_advisories.py``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as ser
from flask import Flask
from joserfc import jwe
from joserfc.jwk import OctKey

from flask_corbado_session.binding.proofs import InvalidProof, read_registration
from flask_corbado_session.testing import move_clock
from tests.support.apps import make_app, state_of
from tests.support.issuers import KEYS, Issuer, claims_at, public, signed, status
from tests.support.jars import LONG
from tests.support.key_files import NOON, a_jwk, key_file
from tests.support.services import ISSUER, bearer, make_service
from tests.support.short_tokens import encode
from tests.support.site import Site, cookie_of
from tests.support.stopwatch import Stopwatch

RSA, EC, ED = a_jwk("RS256"), a_jwk("ES256"), a_jwk("EdDSA")
CLAIMS = claims_at(NOON, ISSUER)
HMACS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Flask:
    """An app whose three public keys anybody can read."""
    file = key_file(tmp_path / "keys.json", RSA, EC, ED)
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(file), CORBADO_SESSION_ISSUER=ISSUER)
    move_clock(app, NOON)
    return app


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Where a service that only verifies has its keys from."""
    with Issuer() as issuer:
        issuer.publish(public(EC), public(RSA))
        yield issuer


def service_of(issuer: Issuer) -> Flask:
    app, _ = make_service(CORBADO_SESSION_JWKS_URL=issuer.keys_url)
    move_clock(app, NOON)
    return app


def refused(app: Flask, token: str) -> str:
    """Why a bearer token is refused; a test that expects this fails if it is served."""
    answer = app.test_client().get("/protected", headers=bearer(token))
    assert answer.status_code == 401
    reason: str = answer.get_json()["reason"]
    return reason


def compact(header: Any, claims: Any = CLAIMS) -> str:
    return f"{encode(header)}.{encode(claims)}"


def of_secrets(app: Flask, jwk: dict[str, Any], secrets: list[bytes]) -> set[str]:
    """The answers to tokens that take each spelling of a public key for an HMAC secret."""
    assert app.test_client().get("/protected", headers=bearer(signed(CLAIMS, jwk))).status_code == 200
    found = set()
    for secret in secrets:
        for alg, digest in HMACS.items():
            text = compact({"alg": alg, "kid": jwk["kid"], "typ": "JWT"})
            found.add(refused(app, f"{text}.{encode(hmac.new(secret, text.encode(), digest).digest())}"))
    return found


def spellings(jwk: dict[str, Any], *kinds: tuple[ser.Encoding, ser.PublicFormat]) -> list[bytes]:
    """The public key as bytes, with the newline at the end and without."""
    key: Any = jwt.PyJWK(public(jwk)).key
    whole = [key.public_bytes(*kind) for kind in kinds]
    return [*whole, *(text.strip() for text in whole), *(text.strip() + b"\n" for text in whole)]


PEM = (ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
DER = (ser.Encoding.DER, ser.PublicFormat.SubjectPublicKeyInfo)
PKCS1 = (ser.Encoding.PEM, ser.PublicFormat.PKCS1)
SSH = (ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)
RAW = (ser.Encoding.Raw, ser.PublicFormat.Raw)


# ---- a public key taken for an HMAC secret


def test_cve_2017_11424_an_rsa_public_key_in_pem_is_no_hmac_secret(app: Flask) -> None:
    """PyJWT: its list of PEM headers lacked ``BEGIN RSA PUBLIC KEY``."""
    assert of_secrets(app, RSA, spellings(RSA, PKCS1, PEM, DER)) == {"algorithm"}


def test_cve_2022_29217_an_ssh_public_key_is_no_hmac_secret(app: Flask) -> None:
    """PyJWT: OpenSSH's spellings of keys were not on the list."""
    assert of_secrets(app, ED, spellings(ED, SSH, PEM, RAW)) == {"algorithm"}


def test_cve_2024_33663_an_ecdsa_public_key_is_no_hmac_secret(app: Flask) -> None:
    """python-jose: the same for ``ecdsa-sha2-nistp256`` and DER."""
    assert of_secrets(app, EC, spellings(EC, SSH, DER)) == {"algorithm"}


def test_cve_2024_37568_the_header_does_not_choose_the_algorithm_of_a_key(app: Flask) -> None:
    """Authlib: a decode that named no algorithms took the header's."""
    assert of_secrets(app, EC, spellings(EC, PEM)) == {"algorithm"}
    assert of_secrets(app, RSA, spellings(RSA, PEM)) == {"algorithm"}


def test_cve_2026_48526_a_jwk_in_json_is_no_hmac_secret(app: Flask) -> None:
    """PyJWT < 2.13: neither PEM nor SSH, so the text of the JWK went through."""
    for jwk in (RSA, EC, ED):
        shown = app.test_client().get(KEYS).get_json()["keys"]
        text = next(key for key in shown if key["kid"] == jwk["kid"])
        spelled = [json.dumps(text), json.dumps(text, separators=(",", ":")), json.dumps({"keys": shown})]
        assert of_secrets(app, jwk, [each.encode() for each in spelled]) == {"algorithm"}


def test_cve_2026_48523_a_registered_key_signs_by_its_own_algorithm_alone(issuer: Issuer) -> None:
    """PyJWT < 2.13: the allowed algorithms were compared with the header, and the key verified by its own."""
    service = service_of(issuer)
    assert refused(service, signed(CLAIMS, RSA, alg="ES256")) == "algorithm"
    assert refused(service, signed(CLAIMS, EC, alg="RS256")) == "algorithm"
    for alg in ("RS512", "PS256", "HS256", "none"):
        assert refused(service, signed(CLAIMS, RSA, alg=alg)) == "algorithm"


def test_cve_2026_48523_a_registered_key_of_another_algorithm_is_no_key(issuer: Issuer) -> None:
    issuer.publish(public(RSA, alg="RS512", kid="other"), {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}, public(EC))
    service = service_of(issuer)
    assert refused(service, signed(CLAIMS, {**RSA, "kid": "other"})) == "unknown_key"
    text = compact({"alg": "HS256", "kid": "oct", "typ": "JWT"})
    mac = encode(hmac.new(b"secret", text.encode(), hashlib.sha256).digest())
    assert refused(service, f"{text}.{mac}") == "unknown_key"


def test_cve_2026_48526_no_pyjwt_is_installed_that_has_these_faults() -> None:
    """Ours may hold without the library's mending; nobody is asked to rely on that."""
    (floor,) = (each for each in requires("flask-corbado-session") or [] if each.lower().startswith("pyjwt"))
    assert floor.replace(" ", "").lower().startswith("pyjwt[crypto]>=2.14")


# ---- a key that comes with the token


def test_cve_2026_27962_a_token_brings_no_key_of_its_own(app: Flask) -> None:
    """Authlib: with ``key=None`` the ``jwk`` of the header verified the token."""
    stranger = a_jwk("ES256", number=1)
    for kid in (stranger["kid"], EC["kid"], ...):
        token = signed({**CLAIMS, "sub": "root"}, stranger, jwk=public(stranger), kid=kid)
        assert refused(app, token) == "malformed"
        assert refused(app, signed(CLAIMS, stranger, kid=kid)) in ("unknown_key", "signature")


# ---- headers and claims


def test_cve_2026_32597_an_unknown_critical_header_is_refused(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT < 2.12 and Authlib (CVE-2025-59420) took a ``crit`` they did not know for granted (RFC 7515 §4.1.11).

    Here the library is not even asked, whatever its version makes of it.
    """
    opened = _opened(monkeypatch)
    for crit in (["bork"], ["exp"], [], "bork", None):
        assert refused(app, signed(CLAIMS, EC, crit=crit, bork=True)) == "malformed"
    assert opened == []


def test_cve_2024_53861_an_issuer_is_compared_as_a_whole(app: Flask, sqlite_url: str) -> None:
    """PyJWT 2.10.0: ``in`` on a string, so a part of the issuer's name was the issuer."""
    for part in (ISSUER[:-1], ISSUER[1:], "https://", ".", ISSUER + "/", [ISSUER]):
        assert refused(app, signed({**CLAIMS, "iss": part}, EC)) in ("issuer", "claims")
    assert refused(app, signed({**CLAIMS, "iss": ""}, EC)) == "claims"


def test_cve_2024_53861_so_is_an_audience(issuer: Issuer) -> None:
    service, _ = make_service(CORBADO_SESSION_JWKS_URL=issuer.keys_url, CORBADO_SESSION_AUDIENCE="orders")
    move_clock(service, NOON)
    for audience in ("order", "orders2", "o", ["order", "rders"], [], ...):
        assert refused(service, signed(claims_at(NOON, ISSUER, aud=audience), EC)) == "audience"
    token = signed(claims_at(NOON, ISSUER, aud=["shop", "orders"]), EC)
    assert service.test_client().get("/protected", headers=bearer(token)).status_code == 200


def test_cve_2022_39227_a_token_has_one_reading(app: Flask) -> None:
    """python-jwt: the signature was checked of the JSON form, and the claims read from the compact one."""
    head, body, signature = signed(CLAIMS, EC).split(".")
    evil = encode({**CLAIMS, "sub": "root"})
    mixed = {f"{head}.{evil}.": "", "protected": head, "payload": body, "signature": signature}
    for text in (
        json.dumps(mixed),
        json.dumps(mixed, separators=(",", ":")).replace('"', "'"),
        f"{head}.{evil}.{head}",
    ):
        assert refused(app, text) in ("malformed", "signature")
    assert refused(app, f"{head}.{body}.{signature}.{evil}") == "malformed"


# ---- work that a token makes


def test_cve_2025_61920_a_giant_token_is_refused_unread(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authlib: segments of megabytes were decoded and parsed before anything was checked."""
    head, body, signature = signed(CLAIMS, EC).split(".")
    giant, read = "A" * 3_000_000, _parsed(monkeypatch)
    for token in (f"{giant}.{body}.{signature}", f"{head}.{giant}.{signature}", f"{head}.{body}.{giant}"):
        assert refused(app, token) == "malformed"
    assert max(read, default=0) < 4096


def test_cve_2026_48525_a_detached_payload_is_not_decoded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT < 2.13: with ``b64: false`` the payload of the token was decoded for nothing."""
    opened = _opened(monkeypatch)
    for header in ({"b64": False, "crit": ["b64"]}, {"b64": False}, {"b64": True}):
        text = compact({"alg": "ES256", "kid": EC["kid"], "typ": "JWT", **header}, "A" * 2500)
        assert refused(app, f"{text}.{encode(b's' * 64)}") == "malformed"
    assert opened == []


def test_cve_2024_33664_an_encrypted_token_is_not_inflated(app: Flask) -> None:
    """python-jose: a JWE of a few bytes became gigabytes."""
    secret = OctKey.import_key(b"k" * 32)
    header = {"alg": "dir", "enc": "A128CBC-HS256", "zip": "DEF"}
    bomb = jwe.encrypt_compact(header, b"0" * 1_000_000, secret, algorithms=["dir", "A128CBC-HS256", "DEF"])
    assert len(bomb) < 4096
    assert refused(app, bomb) == "malformed"


def test_cve_2023_6681_no_token_chooses_how_long_a_key_takes_to_derive(app: Flask) -> None:
    """jwcrypto: ``p2c`` of a PBES2 header was believed."""
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "c2FsdA", "p2c": 2_000_000_000, "kid": EC["kid"]}
    since = Stopwatch()
    assert refused(app, f"{encode(header)}.AA.AA.AA.AA") == "malformed"
    assert refused(app, f"{encode(header)}.{encode(CLAIMS)}.AA") == "algorithm"
    assert since.seconds < 5  # two thousand million rounds take a quarter of an hour


def test_cve_2023_6681_nor_does_a_key_that_a_stranger_sends_choose_how_long_its_check_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proof of a device's key brings that key along: one of an exponent as long as itself is not even tried."""
    private: Any = jwt.PyJWK(a_jwk("RS256")).key
    numbers = private.private_numbers().public_numbers
    key = {"kty": "RSA", "n": public(RSA)["n"], "e": encode((numbers.n - 2).to_bytes(256, "big"))}
    claims, header = {"jti": "challenge"}, {"typ": "dbsc+jwt", "kid": ...}
    assert read_registration(signed(claims, RSA, jwk=public(RSA), **header)).challenge == "challenge"
    opened = _opened(monkeypatch)
    with pytest.raises(InvalidProof, match="too long"):
        read_registration(signed(claims, RSA, jwk=key, **header))
    assert opened == []


def test_cve_2016_7036_signatures_and_secrets_are_compared_in_constant_time(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-jose compared them with ``==``, whose time tells how much was right."""
    site = Site(sqlite_url, CORBADO_SESSION_PROJECT_ID="pro-1", CORBADO_SESSION_API_SECRET="a long random text")
    alice, compared = site.signed_in(), _compared(monkeypatch)
    another = Site(sqlite_url)  # the process that made a token takes it for verified
    short = another.nobody().get("/protected", headers=bearer(cookie_of(alice)))
    assert (short.status_code, len(compared)) == (200, 1)
    stranger = site.nobody()
    stranger.set_cookie(LONG, cookie_of(alice, LONG))
    assert (stranger.get("/protected").status_code, len(compared)) == (200, 2)
    assert (stranger.get("/v2/sessions", auth=("pro-1", "wrong")).status_code, len(compared)) == (401, 4)


# ---- the keys of an issuer


def test_cve_2026_48524_made_up_kids_cost_one_fetch_and_a_failed_one_loses_no_key(issuer: Issuer) -> None:
    """PyJWT < 2.13: each unknown kid was a fetch, and one that failed emptied the cache for everybody."""
    service = service_of(issuer)
    assert state_of(service).keys.find(EC["kid"])
    before = issuer.count(KEYS)
    issuer.answers[KEYS] = status(500)
    for number in range(50):
        assert refused(service, signed(CLAIMS, EC, kid=f"made up {number}")) == "unknown_key"
    assert issuer.count(KEYS) - before <= 1
    assert service.test_client().get("/protected", headers=bearer(signed(CLAIMS, EC))).status_code == 200


def _opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each token that is given to PyJWT from now on."""
    opened: list[str] = []
    monkeypatch.setattr(jwt.PyJWS, "decode_complete", lambda *_, **__: opened.append("opened"))
    return opened


def _parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long each JSON text is that gets read from now on."""
    loads, read = json.loads, list[int]()

    def counted(text: Any, **how: Any) -> Any:
        read.append(len(text))
        return loads(text, **how)

    monkeypatch.setattr(json, "loads", counted)
    return read


def _compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each comparison in constant time from now on."""
    compare, compared = hmac.compare_digest, list[int]()

    def counted(one: Any, other: Any) -> bool:
        compared.append(1)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    return compared
