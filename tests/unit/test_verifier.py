"""ShortSessionVerifier over a real loopback issuer: what it takes, what it refuses and why, and what is revoked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from flask_corbado_session import ShortSessionVerifier
from flask_corbado_session.model.clock import Clock, to_ms
from flask_corbado_session.model.errors import InvalidShortSession
from flask_corbado_session.testing import MovingClock
from tests.support.issuers import Issuer, claims_at, public, redirect, signed
from tests.support.key_files import ALGORITHMS, NOON, PRIVATE_MEMBERS, a_jwk
from tests.support.short_tokens import encode

ISSUER = "https://auth.example.com"
RS, ES, ED = (a_jwk(algorithm) for algorithm in ALGORITHMS)
SECONDS, NOW = int(NOON.timestamp()), to_ms(NOON)
SESSION = "s" * 30


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        issuer.publish(public(RS), public(ES), public(ED), public(RS, kid="pki-123"))
        yield issuer


@pytest.fixture(scope="module")
def verifier(issuer: Issuer) -> ShortSessionVerifier:
    return verifying(issuer)


def verifying(issuer: Issuer, clock: MovingClock | None = None, **given: Any) -> ShortSessionVerifier:
    time = Clock(clock or MovingClock(NOON))
    return ShortSessionVerifier(issuer=ISSUER, jwks_url=issuer.keys_url, clock=time, **given)


def token(claims: dict[str, Any] | None = None, jwk: dict[str, Any] | None = None, /, **header: Any) -> str:
    return signed(claims_at(NOON, ISSUER, **(claims or {})), jwk, **header)


def refused(verifier: ShortSessionVerifier, value: str) -> InvalidShortSession:
    """The refusal, whose text must hold nothing of the token."""
    with pytest.raises(InvalidShortSession) as caught:
        verifier.verify(value)
    text = str(caught.value)
    assert not any(part in text for part in value.split(".") if len(part) > 20)
    assert len(text) < 250
    assert text.isprintable()
    return caught.value


# ---- what it takes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_session_is_read_from_a_token_of_each_algorithm(verifier: ShortSessionVerifier, algorithm: Any) -> None:
    short = verifier.verify(token({"role": "admin"}, a_jwk(algorithm)))
    assert (short.user_id, short.session_id, short.issuer) == ("alice", SESSION, ISSUER)
    assert (short.issued_at, short.expires_at) == (NOON, NOON + timedelta(minutes=15))
    assert (short.amr, dict(short.claims)) == (("pwd",), {"role": "admin"})


GOOD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the least": (dict.fromkeys(("sid", "iat", "nbf", "jti", "auth_time", "amr"), ...), {}),
    "no typ": ({}, {"typ": ...}),
    "another kid of the same key": ({}, {"kid": "pki-123"}),
    "iat within the skew": ({"iat": SECONDS + 30, "nbf": SECONDS + 30}, {}),
    "issued in 1970": ({"iat": 0, "nbf": 0, "auth_time": 0}, {}),
    "expires in 9999": ({"exp": 253402300799}, {}),
    "expires in a second": ({"exp": SECONDS + 1}, {}),
    "an unknown header": ({}, {"x": 1, "cty": "text"}),
    "claims of every type": ({"orig": "x", "version": 2, "email": None, "deep": {"a": [1.5]}}, {}),
}


@pytest.mark.parametrize("name", GOOD)
def test_it_asks_for_no_more_than_it_must(verifier: ShortSessionVerifier, name: str) -> None:
    claims, header = GOOD[name]
    assert verifier.verify(token(claims, **header)).user_id == "alice"


# ---- what it refuses


def hmac_signed(key: bytes, **header: Any) -> str:
    text = f"{encode({'alg': 'HS256', 'kid': RS['kid'], 'typ': 'JWT'} | header)}.{encode(claims_at(NOON, ISSUER))}"
    return f"{text}.{encode(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def rsa_pem() -> bytes:
    key: Any = RSAAlgorithm.from_jwk({name: value for name, value in RS.items() if name not in PRIVATE_MEMBERS})
    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def unsigned(alg: str, signature: str = "") -> str:
    return f"{encode({'alg': alg, 'kid': RS['kid']})}.{encode(claims_at(NOON, ISSUER))}.{signature}"


STRANGER = a_jwk("RS256", 1)
HEAD, BODY, SIGNATURE = token().split(".")
OTHER_BODY = encode(claims_at(NOON, ISSUER, sub="bob"))
HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "kid missing": ({"kid": ...}, "unknown_key"),
    "kid unknown": ({"kid": "unknown"}, "unknown_key"),
    "kid empty": ({"kid": ""}, "unknown_key"),
    "kid of a path": ({"kid": "../../../etc/passwd"}, "unknown_key"),
    "kid of a URL": ({"kid": "https://evil.example/key"}, "unknown_key"),
    "kid of SQL": ({"kid": "' OR 1=1 --"}, "unknown_key"),
    "kid 10 kB": ({"kid": "k" * 10_000}, "malformed"),
    "kid 2 kB": ({"kid": "k" * 2_000}, "unknown_key"),
    "kid null": ({"kid": None}, "unknown_key"),
    "kid number": ({"kid": 0}, "unknown_key"),
    "kid true": ({"kid": True}, "unknown_key"),
    "kid list": ({"kid": [RS["kid"]]}, "unknown_key"),
    "kid object": ({"kid": {}}, "unknown_key"),
    "kid with NUL": ({"kid": RS["kid"] + "\0"}, "unknown_key"),
    "kid in another case": ({"kid": "PKI-123"}, "unknown_key"),
    "kid of another key": ({"kid": ED["kid"]}, "algorithm"),
    "RS256 by the ES256 key": ({"kid": ES["kid"]}, "algorithm"),
    "alg none": ({"alg": "none"}, "algorithm"),
    "alg HS256": ({"alg": "HS256"}, "algorithm"),
    "alg RS384": ({"alg": "RS384"}, "algorithm"),
    "alg PS256": ({"alg": "PS256"}, "algorithm"),
    "alg ES256": ({"alg": "ES256"}, "algorithm"),
    "alg missing": ({"alg": ...}, "algorithm"),
    "alg lower": ({"alg": "rs256"}, "algorithm"),
    "alg list": ({"alg": ["RS256"]}, "algorithm"),
    "jwk": ({"jwk": public(STRANGER)}, "malformed"),
    "jku": ({"jku": "https://evil.example/jwks.json"}, "malformed"),
    "x5u": ({"x5u": "https://evil.example/cert.pem"}, "malformed"),
    "x5c": ({"x5c": ["MIIB"]}, "malformed"),
    "crit": ({"crit": ["exp"]}, "malformed"),
    "crit empty": ({"crit": []}, "malformed"),
    "b64": ({"b64": False, "crit": ["b64"]}, "malformed"),
    "b64 true": ({"b64": True}, "malformed"),
    "typ at+jwt": ({"typ": "at+jwt"}, "malformed"),
    "typ number": ({"typ": 1}, "malformed"),
}
BAD_TIMES: list[Any] = [
    str(SECONDS + 900), SECONDS + 900.0, True, False, None, [SECONDS], {}, -1, 253402300800, 10**30, float("inf"),
    float("nan"), "2030-01-01T00:00:00Z",
]  # fmt: skip
BAD_TEXTS: list[Any] = [None, 5, True, ["alice"], {"id": "alice"}, "", 1.5]
CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "issuer with a slash": ({"iss": ISSUER + "/"}, "issuer"),
    "issuer cut short": ({"iss": ISSUER[:-1]}, "issuer"),
    "issuer longer": ({"iss": ISSUER + ".evil.example"}, "issuer"),
    "issuer with a path": ({"iss": ISSUER + "/jwks"}, "issuer"),
    "issuer upper": ({"iss": ISSUER.upper()}, "issuer"),
    "issuer of http": ({"iss": ISSUER.replace("https", "http")}, "issuer"),
    "issuer with a blank": ({"iss": ISSUER + " "}, "issuer"),
    "issuer list": ({"iss": [ISSUER]}, "claims"),
    "audience": ({"aud": "orders"}, "audience"),
    "audience list": ({"aud": ["orders"]}, "audience"),
    "audience empty": ({"aud": ""}, "audience"),
    "audience empty list": ({"aud": []}, "audience"),
    "audience null": ({"aud": None}, "claims"),
    "audience number": ({"aud": 5}, "claims"),
    "audience mixed": ({"aud": ["orders", 5]}, "claims"),
    "expired": ({"exp": SECONDS}, "expired"),
    "expired long ago": ({"exp": 0}, "expired"),
    "iat ahead": ({"iat": SECONDS + 31}, "not_yet_valid"),
    "nbf ahead": ({"nbf": SECONDS + 31}, "not_yet_valid"),
    "amr text": ({"amr": "pwd"}, "claims"),
    **{f"{name} missing": ({name: ...}, "claims") for name in ("iss", "sub", "exp")},
    **{f"{name} {value!r:.24}": ({name: value}, "claims")
       for name in ("exp", "iat", "nbf", "auth_time") for value in BAD_TIMES},
    **{f"{name} {value!r}": ({name: value}, "claims") for name in ("sub", "sid", "jti") for value in BAD_TEXTS},
}  # fmt: skip
WHOLE: dict[str, tuple[str, str]] = {
    "empty": ("", "empty"),
    "garbage": ("garbage", "malformed"),
    "two parts": (f"{HEAD}.{BODY}", "malformed"),
    "four parts": (f"{HEAD}.{BODY}.{SIGNATURE}.", "malformed"),
    "10 kB": ("x" * 10_000, "malformed"),
    "not ASCII": (f"{HEAD}.{BODY}.ü", "malformed"),
    "none": (unsigned("none"), "malformed"),
    "none with a signature": (unsigned("none", "AAAA"), "algorithm"),
    "another's signature": (token({}, STRANGER), "unknown_key"),
    "another's signature under our kid": (token({}, STRANGER, kid=RS["kid"]), "signature"),
    "another payload": (f"{HEAD}.{OTHER_BODY}.{SIGNATURE}", "signature"),
    "a cut signature": (f"{HEAD}.{BODY}.{encode(b'x' * 255)}", "signature"),
    "a signature of one byte": (f"{HEAD}.{BODY}.AA", "signature"),
    "ES256 with a short signature": (f"{token({}, ES).rpartition('.')[0]}.{encode(b'x' * 63)}", "signature"),
    "ES256 with zeros": (f"{token({}, ES).rpartition('.')[0]}.{encode(bytes(64))}", "signature"),
    "EdDSA with zeros": (f"{token({}, ED).rpartition('.')[0]}.{encode(bytes(64))}", "signature"),
    "HS256 with the public key as secret": (hmac_signed(rsa_pem()), "algorithm"),
    "HS256 with nothing as secret": (hmac_signed(b""), "algorithm"),
    "signed by the key it brings": (token({}, STRANGER, kid=RS["kid"], jwk=public(STRANGER)), "malformed"),
    "payload list": (signed([1]), "malformed"),
    "payload nested deep": (signed(b"[" * 1000 + b"]" * 1000), "malformed"),
}
BAD = (
    {name: (token(**header), code) for name, (header, code) in HEADERS.items()}
    | {name: (token(claims), code) for name, (claims, code) in CLAIMS.items()}
    | WHOLE
)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_with_its_code(verifier: ShortSessionVerifier, name: str) -> None:
    bad, code = BAD[name]
    assert refused(verifier, bad).code == code


def test_no_made_up_kid_of_all_these_was_worth_a_second_fetch(issuer: Issuer) -> None:
    fresh, asked = verifying(issuer), len(issuer.asked)
    for bad, _ in BAD.values():
        refused(fresh, bad)
    assert len(issuer.asked) == asked + 1


def test_a_token_that_was_good_expires_all_the_same(issuer: Issuer) -> None:
    clock = MovingClock(NOON)
    verifier = verifying(issuer, clock)
    assert verifier.verify(token()).user_id == "alice"
    clock.move(minutes=15)
    assert refused(verifier, token()).code == "expired"


AUDIENCES = {
    "alone": ("orders", "good"),
    "in a list": (["billing", "orders"], "good"),
    "another": ("billing", "audience"),
    "others": (["billing", "mail"], "audience"),
    "missing": (..., "audience"),
    "empty": ("", "audience"),
    "empty list": ([], "audience"),
    "prefix": ("order", "audience"),
    "longer": ("orders.evil", "audience"),
    "upper": ("ORDERS", "audience"),
    "in one text": ("billing orders", "audience"),
    "object": ({"orders": 1}, "claims"),
    "list of lists": ([["orders"]], "claims"),
}


@pytest.mark.parametrize("name", AUDIENCES)
def test_an_audience_must_be_named_exactly(issuer: Issuer, name: str) -> None:
    audience, code = AUDIENCES[name]
    verifier, value = verifying(issuer, audience="orders"), token({"aud": audience})
    assert (verifier.verify(value).user_id if code == "good" else refused(verifier, value).code) in ("alice", code)


# ---- how it is made


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://example.com/", "example.com/keys", "", "https://a:b@c/"]
)
@pytest.mark.parametrize("name", ["jwks_url", "revocations_url"])
def test_a_url_that_is_none_is_refused_at_once(name: str, url: str) -> None:
    urls: dict[str, Any] = {"jwks_url": "https://auth.example.com/jwks"} | {name: url}
    with pytest.raises(ValueError, match="http or https URL"):
        ShortSessionVerifier(issuer=ISSUER, **urls)


def test_a_redirected_set_of_keys_serves(issuer: Issuer) -> None:
    issuer.answers |= {"/moved": redirect("/.well-known/jwks.json")}
    verifier = ShortSessionVerifier(issuer=ISSUER, jwks_url=issuer.origin + "/moved", clock=Clock(MovingClock(NOON)))
    assert verifier.verify(token()).user_id == "alice"
