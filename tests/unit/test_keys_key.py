"""Keys: bound to one algorithm, found by kid, derived so that a token of another library is none of ours."""

from __future__ import annotations

import hashlib
import secrets

import pytest

from flask_corbado_session.keys.key import SecretKeys, thumbprint, weakness
from tests.support.rules import NOON

NEW, OLD = "the new secret of this app 0123", "the old secret of this app 0123"


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
        "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9"
        "c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1"
        "jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    ("jwk", "kid"),
    [
        (
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
            },
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ),
        (
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ],
    ids=["RFC 9449", "RFC 8037"],
)
def test_the_thumbprints_of_ec_and_okp_keys_are_those_of_the_rfcs(jwk: dict[str, str], kid: str) -> None:
    assert thumbprint(jwk | {"alg": "any", "use": "sig"}) == kid


def test_the_newest_key_signs_and_the_fallbacks_verify() -> None:
    """CVE-2025-47278: Flask 3.1.0 signed with the oldest of its keys."""
    ring = SecretKeys([NEW, OLD])
    assert ring.signing(NOON).kid == SecretKeys([NEW]).signing(NOON).kid
    assert ring.find(SecretKeys([OLD]).signing(NOON).kid) is not None


def test_a_key_that_was_taken_away_is_not_found() -> None:
    assert SecretKeys([NEW]).find(SecretKeys([OLD]).signing(NOON).kid) is None


def test_text_and_bytes_are_the_same_secret() -> None:
    assert SecretKeys([NEW]).signing(NOON).kid == SecretKeys([NEW.encode()]).signing(NOON).kid


def test_what_signs_is_derived_and_not_the_secret_itself() -> None:
    key = SecretKeys([NEW]).signing(NOON)
    assert key.private not in (NEW.encode(), hashlib.sha256(NEW.encode()).digest())
    assert len(key.private) == 32
    assert (key.algorithm, key.public) == ("HS256", key.private)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (None, "is not set"),
        ("", "is not set"),
        (b"", "is not set"),
        (12345678901234567890, "is neither text nor bytes"),
        (["a secret of a fine length", "b"], "is neither text nor bytes"),
        ("dev", "everybody knows"),
        ("Change_Me", "everybody knows"),
        (b"\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h", "everybody knows"),
        ("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf", "everybody knows"),
        ("short of sixteen", None),
        ("one less than it", None),
        ("fifteen letters", "is shorter than 16"),
        ("abcd" * 8, "repeats a few characters"),
        (b"\0" * 32, "repeats a few characters"),
        (secrets.token_hex(), None),
        (secrets.token_bytes(32), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_weak_secret_is_told_why(secret: object, why: str | None) -> None:
    found = weakness(secret)
    assert found is None if why is None else found is not None and why in found


def test_what_is_said_of_a_weak_secret_does_not_hold_it() -> None:
    assert "fifteen letters" not in (weakness("fifteen letters") or "")
