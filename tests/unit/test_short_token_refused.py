"""Every bad token is refused, with its code and without a word of it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session.model.errors import InvalidShortSession
from tests.support.rules import NOON, SECRET
from tests.support.short_tokens import (
    CLAIMS,
    GOOD,
    HEADER,
    ISSUER,
    KEY,
    RSA,
    SECONDS,
    encode,
    refused,
    sign,
    token,
    verifier,
)

PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def confused_with_public_key() -> str:
    """CVE-2022-29217: the RSA public key, in its PEM form, as HMAC secret."""
    return sign(f"{encode({**HEADER, 'kid': 'rsa'})}.{encode(CLAIMS)}", PEM)


def signed_by_embedded_key() -> str:
    jwk = {"kty": "oct", "k": encode(b"attacker"), "alg": "HS256"}
    return sign(f"{encode({**HEADER, 'jwk': jwk})}.{encode(CLAIMS)}", b"attacker")


def unsecured(alg: str) -> str:
    return f"{encode({**HEADER, 'alg': alg})}.{encode(CLAIMS)}."


DEEP = b"[" * 1500 + b"]" * 1500
HEADERS: dict[str, tuple[Any, str]] = {
    "alg none": ({"alg": "none"}, "algorithm"),
    "alg None": ({"alg": "None"}, "algorithm"),
    "alg missing": ({"alg": ...}, "algorithm"),
    "alg null": ({"alg": None}, "algorithm"),
    "alg list": ({"alg": ["HS256"]}, "algorithm"),
    "alg object": ({"alg": {"a": 1}}, "algorithm"),
    "alg number": ({"alg": 256}, "algorithm"),
    "alg lower": ({"alg": "hs256"}, "algorithm"),
    "alg HS512": ({"alg": "HS512"}, "algorithm"),
    "alg RS256 for our HS256 key": ({"alg": "RS256"}, "algorithm"),
    "alg ES256 for our HS256 key": ({"alg": "ES256"}, "algorithm"),
    "alg HS256 for an RS256 key": ({"kid": "rsa"}, "algorithm"),
    "alg JWE": ({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 10**9}, "algorithm"),
    "typ missing": ({"typ": ...}, "malformed"),
    "typ lower": ({"typ": "jwt"}, "malformed"),
    "typ at+jwt": ({"typ": "at+jwt"}, "malformed"),
    "typ number": ({"typ": 5}, "malformed"),
    "typ list": ({"typ": ["JWT"]}, "malformed"),
    "kid missing": ({"kid": ...}, "unknown_key"),
    "kid unknown": ({"kid": "unknown"}, "unknown_key"),
    "kid empty": ({"kid": ""}, "unknown_key"),
    "kid null": ({"kid": None}, "unknown_key"),
    "kid number": ({"kid": 5}, "unknown_key"),
    "kid list": ({"kid": [KEY.kid]}, "unknown_key"),
    "kid object": ({"kid": {"kid": KEY.kid}}, "unknown_key"),
    "kid true": ({"kid": True}, "unknown_key"),
    "kid path": ({"kid": "../../../../dev/null"}, "unknown_key"),
    "kid absolute path": ({"kid": "/etc/passwd"}, "unknown_key"),
    "kid sql": ({"kid": "x' UNION SELECT 'secret' --"}, "unknown_key"),
    "kid shell": ({"kid": "|/bin/true"}, "unknown_key"),
    "kid 300 characters": ({"kid": "k" * 300}, "unknown_key"),
    "kid 10 kB": ({"kid": "k" * 10_000}, "malformed"),
    "kid not ASCII": ({"kid": "ключ"}, "unknown_key"),
    "kid with NUL": ({"kid": KEY.kid + "\0"}, "unknown_key"),
    "kid surrogate": ({"kid": "\ud800"}, "unknown_key"),
    "crit": ({"crit": ["exp"]}, "malformed"),
    "crit empty": ({"crit": []}, "malformed"),
    "crit null": ({"crit": None}, "malformed"),
    "b64": ({"b64": False, "crit": ["b64"]}, "malformed"),
    "b64 alone": ({"b64": True}, "malformed"),
    "jku": ({"jku": "https://evil.example/jwks"}, "malformed"),
    "jwk": ({"jwk": {"kty": "oct", "k": "AAAA"}}, "malformed"),
    "x5u": ({"x5u": "https://evil.example/cert"}, "malformed"),
    "x5c": ({"x5c": ["MIIB"]}, "malformed"),
    "header list": ([1], "malformed"),
    "header text": (b'"text"', "malformed"),
    "header number": (b"5", "malformed"),
    "header null": (b"null", "malformed"),
    "header broken": (b'{"alg":', "malformed"),
    "header not UTF-8": (b'{"alg":"\xff"}', "malformed"),
    "header nested deep": (DEEP, "malformed"),
}
TEXTS, TIMES = ("iss", "sub", "sid", "jti"), ("exp", "iat", "nbf", "auth_time")
NO_TEXT: list[Any] = [None, 5, True, ["alice"], {"a": 1}, "", 1.5]
NO_TIME: list[Any] = [
    None, "1", str(SECONDS + 900), SECONDS + 900.0, True, [SECONDS], {}, -1, 253402300800, 10**300, float("nan"),
    float("inf"), "2030-01-01T00:00:00Z",
]  # fmt: skip
NO_TEXTS: list[Any] = [None, "pwd", 5, True, {"pwd": 1}, [5], [None], [["pwd"]]]
PAYLOADS: dict[str, tuple[Any, str]] = {
    "payload list": ([CLAIMS], "malformed"),
    "payload text": (b'"text"', "malformed"),
    "payload null": (b"null", "malformed"),
    "payload broken": (b'{"iss":', "malformed"),
    "payload not UTF-8": (b'{"iss":"\xff"}', "malformed"),
    "payload nested deep": (DEEP, "malformed"),
    "payload long number": (b'{"exp":' + b"9" * 2500 + b"}", "claims"),
    "iss prefix": ({"iss": ISSUER[:-1]}, "issuer"),
    "iss longer": ({"iss": ISSUER + ".evil.example"}, "issuer"),
    "iss slash": ({"iss": ISSUER + "/"}, "issuer"),
    "iss upper": ({"iss": ISSUER.upper()}, "issuer"),
    "iss other": ({"iss": "https://evil.example"}, "issuer"),
    "aud not configured": ({"aud": "orders"}, "audience"),
    "aud list not configured": ({"aud": ["orders"]}, "audience"),
    "aud empty list": ({"aud": []}, "audience"),
    "aud empty": ({"aud": ""}, "audience"),
    "expired": ({"exp": SECONDS - 1}, "expired"),
    "expired now": ({"exp": SECONDS}, "expired"),
    "expired in 1970": ({"exp": 0}, "expired"),
    "iat ahead": ({"iat": SECONDS + 31}, "not_yet_valid"),
    "nbf ahead": ({"nbf": SECONDS + 31}, "not_yet_valid"),
    **{f"{name} missing": ({name: ...}, "claims") for name in CLAIMS if name != "role"},
    **{f"{name} {value!r}": ({name: value}, "claims") for name in TEXTS for value in NO_TEXT},
    **{f"{name} {value!r:.20}": ({name: value}, "claims") for name in TIMES for value in NO_TIME},
    **{f"amr {value!r}": ({"amr": value}, "claims") for value in NO_TEXTS},
    **{f"aud {value!r}": ({"aud": value}, "claims") for value in NO_TEXTS if not isinstance(value, str)},
}  # fmt: skip
HEAD, BODY, SIGNATURE = GOOD.split(".")
WHOLE: dict[str, tuple[str, str]] = {
    "empty": ("", "empty"),
    "one part": (HEAD, "malformed"),
    "two parts": (f"{HEAD}.{BODY}", "malformed"),
    "four parts": (f"{GOOD}.", "malformed"),
    "five parts of a JWE": (f"{HEAD}..{BODY}.{BODY}.{SIGNATURE}", "malformed"),
    "dots": ("..", "malformed"),
    "no header": (f".{BODY}.{SIGNATURE}", "malformed"),
    "no payload": (f"{HEAD}..{SIGNATURE}", "malformed"),
    "no signature": (f"{HEAD}.{BODY}.", "malformed"),
    "padding": (f"{GOOD}=", "malformed"),
    "padded signature": (f"{HEAD}.{BODY}.{SIGNATURE}==", "malformed"),
    "newline at the end": (f"{GOOD}\n", "malformed"),
    "blank in front": (f" {GOOD}", "malformed"),
    "blank within": (f"{HEAD} .{BODY}.{SIGNATURE}", "malformed"),
    "NUL at the end": (f"{GOOD}\0", "malformed"),
    "plus and slash": (f"{HEAD}.{BODY}.{SIGNATURE[:-2]}+/", "malformed"),
    "stray bits": (f"{HEAD}.{BODY}.{SIGNATURE[:-1]}{chr(ord(SIGNATURE[-1]) + 1)}", "malformed"),
    "not ASCII": (f"{HEAD}.{BODY}.ü{SIGNATURE[1:]}", "malformed"),
    "fullwidth digits": (f"{HEAD}.{BODY}.{chr(0xFF11) * 43}", "malformed"),
    "surrogate": (f"{GOOD}\ud800", "malformed"),
    "bearer in front": (f"Bearer {GOOD}", "malformed"),
    "JSON serialisation": (json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}), "malformed"),
    "oversize": ("x" * 4097, "malformed"),
    "a megabyte": (f"{HEAD}.{'A' * 2**20}.{SIGNATURE}", "malformed"),
    "4097 bytes, well signed": (token(claims={"x": "y" * 2790}), "malformed"),
    "unsigned none": (unsecured("none"), "malformed"),
    "unsigned HS256": (unsecured("HS256"), "malformed"),
    "none with a signature": (f"{unsecured('none')}{SIGNATURE}", "algorithm"),
    "another secret": (sign(f"{HEAD}.{BODY}", SECRET.encode()), "signature"),
    "the empty secret": (sign(f"{HEAD}.{BODY}", b""), "signature"),
    "another digest": (sign(f"{HEAD}.{BODY}", digest=hashlib.sha512), "signature"),
    "cut signature": (f"{HEAD}.{BODY}.{encode(b'x' * 16)}", "signature"),
    "another payload": (f"{HEAD}.{encode({**CLAIMS, 'sub': 'bob'})}.{SIGNATURE}", "signature"),
    "confused HS256 with the RSA key": (confused_with_public_key(), "algorithm"),
    "signed by the key it brings": (signed_by_embedded_key(), "malformed"),
}  # fmt: skip
BAD = (
    {name: (token(header=header), code) for name, (header, code) in HEADERS.items()}
    | {name: (token(claims=claims), code) for name, (claims, code) in PAYLOADS.items()}
    | WHOLE
)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_with_its_code(name: str) -> None:
    bad, code = BAD[name]
    error = refused(bad)
    assert error.code == code
    parts = [part for part in bad.split(".") if len(part) > 20]
    assert not any(part in str(error) for part in parts)
    assert len(str(error)) < 250
    assert str(error).isprintable()


def test_the_good_token_is_good() -> None:
    """Or the table above would prove nothing."""
    assert verifier().verify(GOOD, NOON).user_id == "alice"
    largest = token(claims={"x": "y" * 2740})
    assert len(largest) <= 4096
    assert verifier().verify(largest, NOON).user_id == "alice"


@pytest.mark.parametrize("code", ["audience", "issuer", "expired", "unknown_key", "algorithm"])
def test_an_error_names_what_was_expected_and_what_came(code: str) -> None:
    expected = {
        "audience": (token(claims={"aud": "orders"}), ["no audience", "'orders'"]),
        "issuer": (token(claims={"iss": "evil"}), [ISSUER, "'evil'"]),
        "expired": (token(claims={"exp": SECONDS - 1}), ["2026-03-01T11:59:59Z", "2026-03-01T12:00:00Z"]),
        "unknown_key": (token(header={"kid": "other"}), ["'other'"]),
        "algorithm": (token(header={"alg": "none"}), ["HS256", "'none'"]),
    }
    value, words = expected[code]
    assert all(word in str(refused(value)) for word in words)


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("Aaz09-_.=\n ~é"))
def test_no_other_character_at_any_place_is_accepted(place: int, other: str) -> None:
    changed = GOOD[:place] + other + GOOD[place + 1 :]
    assert changed == GOOD or refused(changed).code in ("malformed", "signature", "unknown_key", "algorithm")


def test_a_signature_has_one_spelling() -> None:
    """Its last character holds two bits that no byte of it is made of."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = [last for last in alphabet if last != GOOD[-1] and not _is_refused(GOOD[:-1] + last)]
    assert accepted == []


def _is_refused(value: str) -> bool:
    try:
        verifier().verify(value, NOON)
    except InvalidShortSession:
        return True
    return False


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_other_text_is_accepted(text: str) -> None:
    assert refused(text).code in ("empty", "malformed")


def padded(length: int) -> str:
    """A well signed token of at least so many bytes, and hardly more."""
    tokens = (token({"x": "a"}, {"pad": "x" * pad}) for pad in range(2500, 4000))
    return next(each for each in tokens if len(each) >= length)


def test_4096_bytes_are_parsed_and_not_one_more() -> None:
    assert len(padded(4096)) == 4096
    assert verifier().verify(padded(4096), NOON).user_id == "alice"
    assert refused(padded(4097)).code == "malformed"


def test_a_token_ends_in_the_very_second_of_its_exp() -> None:
    assert verifier().verify(token(claims={"exp": SECONDS + 1}), NOON).user_id == "alice"
    assert refused(token(claims={"exp": SECONDS})).code == "expired"


def test_no_depth_of_a_header_is_too_deep_for_one_reader_of_it_only() -> None:
    """It is read twice. Two depths passed the first reader, and were a RecursionError of the second: a 500."""
    header = json.dumps(HEADER, separators=(",", ":"))[:-1]
    for depth in range(700, 1001):
        nested = f'{header},"x":{"[" * depth}{"]" * depth}}}'.encode()
        value = sign(f"{encode(nested)}.{encode(CLAIMS)}")
        with suppress(InvalidShortSession):  # some are good: a header may say more than we ask
            verifier().verify(value, NOON)
