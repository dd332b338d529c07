"""One signing key: what is made verifies, what is wrong is refused by name, and nothing private is told."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from flask_corbado_session.keys.jwk import SigningKey, newest_active, read_jwk, state_of, to_jwk
from flask_corbado_session.keys.key import SigningAlgorithm, thumbprint
from tests.support.key_files import ALGORITHMS, NOON, PRIVATE_MEMBERS, a_jwk
from tests.support.rfc_keys import KEYS_OF_RFCS

HOUR = timedelta(hours=1)
_IMPLEMENTATIONS = get_default_algorithms()


def key(number: int = 0, **times: Any) -> SigningKey:
    return read_jwk(a_jwk("EdDSA", number, **times))


def jwk_of(private: Any, algorithm: str, name: str) -> dict[str, Any]:
    """A JWK as other tools write it, for keys we never make."""
    jwk = dict(_IMPLEMENTATIONS[algorithm].to_jwk(private, as_dict=True))
    jwk.pop("key_ops", None)
    return {**jwk, "alg": name, "kid": thumbprint(jwk)}


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


# ---- good ones


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_key_signs_its_public_members_verify(algorithm: SigningAlgorithm) -> None:
    made = read_jwk(a_jwk(algorithm))
    signature = _IMPLEMENTATIONS[algorithm].sign(b"signed", made.key.private)
    public = jwt.PyJWK(dict(made.public_jwk))
    assert public.algorithm_name == algorithm
    assert public.Algorithm.verify(b"signed", public.key, signature)
    assert not public.Algorithm.verify(b"another", public.key, signature)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_kid_is_the_thumbprint(algorithm: SigningAlgorithm) -> None:
    """Of keys that stand in RFCs, with the number written out."""
    jwk, kid = KEYS_OF_RFCS[algorithm]
    read = read_jwk({**jwk, "alg": algorithm, "kid": kid})
    assert (read.kid, read.key.kid, read.public_jwk["kid"]) == (kid, kid, kid)
    with pytest.raises(ValueError, match=f"kid, which is {kid}"):
        read_jwk({**jwk, "alg": algorithm, "kid": kid[::-1]})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_public_members_are_public(algorithm: SigningAlgorithm) -> None:
    members = {"RS256": {"n", "e"}, "ES256": {"crv", "x", "y"}, "EdDSA": {"crv", "x"}}[algorithm]
    assert set(read_jwk(a_jwk(algorithm)).public_jwk) == members | {"kty", "kid", "alg", "use"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_written_as_it_was_read(algorithm: SigningAlgorithm) -> None:
    jwk = a_jwk(algorithm, signs_from=NOON, published_until=NOON + HOUR)
    assert to_jwk(read_jwk(jwk)) == jwk


def test_an_rsa_key_has_2048_bits_and_all_crt_members() -> None:
    jwk = a_jwk("RS256")
    assert read_jwk(jwk).key.private.key_size == 2048
    assert set(PRIVATE_MEMBERS) < set(jwk)


def test_an_rsa_key_without_crt_members_gets_them_back() -> None:
    bare = without(a_jwk("RS256"), "p", "q", "dp", "dq", "qi")
    assert set(PRIVATE_MEMBERS) < set(to_jwk(read_jwk(bare)))


def test_two_keys_made_are_two_keys() -> None:
    assert a_jwk("ES256", 0)["kid"] != a_jwk("ES256", 1)["kid"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_repr_shows_nothing_private(algorithm: SigningAlgorithm) -> None:
    jwk = a_jwk(algorithm)
    shown = repr(read_jwk(jwk))
    assert jwk["kid"] in shown
    assert not any(jwk[name] in shown for name in PRIVATE_MEMBERS if name in jwk)


# ---- bad ones

RSA, EC, OKP = a_jwk("RS256"), a_jwk("ES256"), a_jwk("EdDSA")
OTHER_RSA, OTHER_EC, OTHER_OKP = a_jwk("RS256", 1), a_jwk("ES256", 1), a_jwk("EdDSA", 1)
OCT = {"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I", "alg": "HS256"}

BAD: dict[str, tuple[Any, str]] = {
    "no object": (["kty", "RSA"], "is not a JSON object"),
    "null": (None, "is not a JSON object"),
    "symmetric": ({**OCT, "kid": thumbprint(OCT)}, "is symmetric"),
    "symmetric in disguise": ({**RSA, "k": OCT["k"]}, "is symmetric"),
    "no alg": (without(EC, "alg"), "must have one of RS256, ES256, EdDSA as alg"),
    "alg none": ({**EC, "alg": "none"}, "must have one of"),
    "alg of another size": ({**RSA, "alg": "RS512"}, "must have one of"),
    "alg HS256": ({**RSA, "alg": "HS256"}, "must have one of"),
    "alg a list": ({**RSA, "alg": ["RS256"]}, "must have one of"),
    "alg of another kind": ({**RSA, "alg": "ES256"}, "must have kty EC and crv P-256 for ES256"),
    "RSA with a curve": ({**RSA, "crv": "P-256"}, "must have kty RSA and no crv for RS256"),
    "wrong EC curve": (jwk_of(ec.generate_private_key(ec.SECP384R1()), "ES384", "ES256"), "crv P-256"),
    "the curve of coins": (jwk_of(ec.generate_private_key(ec.SECP256K1()), "ES256K", "ES256"), "crv P-256"),
    "wrong Edwards curve": (jwk_of(ed448.Ed448PrivateKey.generate(), "EdDSA", "EdDSA"), "crv Ed25519"),
    "for encryption": ({**RSA, "use": "enc"}, "must have sig as use"),
    "weak RSA": (jwk_of(rsa.generate_private_key(65537, 1024), "RS256", "RS256"), "has 1024 bits"),
    "nearly strong RSA": (jwk_of(rsa.generate_private_key(65537, 2040), "RS256", "RS256"), "has 2040 bits"),
    "public RSA": (without(RSA, *PRIVATE_MEMBERS), "lacks its private part, the member d"),
    "public EC": (without(EC, "d"), "lacks its private part, the member d"),
    "public Ed25519": (without(OKP, "d"), "lacks its private part, the member d"),
    "no modulus": (without(RSA, "n"), "lacks its public member n"),
    "a number as x": ({**OKP, "x": 7}, "lacks its public member x"),
    "no kid": (without(OKP, "kid"), f"RFC 7638 thumbprint as kid, which is {OKP['kid']}"),
    "wrong kid": ({**OKP, "kid": OTHER_OKP["kid"]}, "RFC 7638 thumbprint"),
    "kid a number": ({**OKP, "kid": 1}, "RFC 7638 thumbprint"),
    "RSA of two keys": ({**RSA, "d": OTHER_RSA["d"]}, "is no usable RS256 key"),
    "bare RSA of two keys": ({**without(RSA, "p", "q", "dp", "dq", "qi"), "d": OTHER_RSA["d"]}, "no usable RS256"),
    "RSA with half its CRT": (without(RSA, "qi"), "is no usable RS256 key"),
    "RSA with a wrong CRT": ({**RSA, "dp": OTHER_RSA["dp"]}, "is no usable RS256 key"),
    "EC of two keys": ({**EC, "d": OTHER_EC["d"]}, "is no usable ES256 key"),
    "Ed25519 of two keys": ({**OKP, "d": OTHER_OKP["d"]}, "is no usable EdDSA key"),
    "d is not base64": ({**OKP, "d": "*" * 43}, "is no usable EdDSA key"),
    "d is empty": ({**OKP, "d": ""}, "is no usable EdDSA key"),
    "d too short": ({**OKP, "d": OKP["d"][:20]}, "is no usable EdDSA key"),
    "d beyond ASCII": ({**OKP, "d": "\u00fc" * 43}, "is no usable EdDSA key"),
    "signs_from a text": ({**OKP, "signs_from": "2026-03-01"}, "must have whole seconds since 1970 as signs_from"),
    "signs_from a fraction": ({**OKP, "signs_from": 1.5}, "as signs_from"),
    "signs_from true": ({**OKP, "signs_from": True}, "as signs_from"),
    "signs_from before 1970": ({**OKP, "signs_from": -1}, "as signs_from"),
    "published_until in milliseconds": ({**OKP, "published_until": 10**15}, "as published_until"),
    "published until it signs": ({**OKP, "signs_from": 9, "published_until": 9}, "a time after its signs_from"),
    "published until 1970": ({**OKP, "published_until": 0}, "a time after its signs_from"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_key_is_refused_by_name_and_nothing_of_it_is_told(name: str) -> None:
    jwk, text = BAD[name]
    with pytest.raises(ValueError, match=r"^(is|has|lacks|must) ") as caught:
        read_jwk(jwk)
    assert text in str(caught.value)
    told = str(caught.value) + repr(caught.value.__cause__)
    secrets = [jwk.get(each) for each in (*PRIVATE_MEMBERS, "k")] if isinstance(jwk, dict) else []
    assert not [each for each in secrets if each and str(each) in told]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_public_members_spelled_otherwise_are_refused() -> None:
    """One spelling for one key: with zeros before it, or padded, it would have a second thumbprint."""
    padded = {**EC, "x": EC["x"] + "="}
    with pytest.raises(ValueError, match="is no usable ES256 key"):
        read_jwk({**padded, "kid": thumbprint(padded)})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@given(
    base=st.sampled_from([EC, OKP]),
    name=st.sampled_from(sorted({*EC, *OKP, "signs_from", "published_until"})),
    value=JSON,
)
@hypothesis_settings(max_examples=300)
def test_whatever_stands_in_a_member_the_key_is_read_or_refused(base: Any, name: str, value: Any) -> None:
    with contextlib.suppress(ValueError):
        assert to_jwk(read_jwk({**base, name: value}))["d"] == base["d"]


# ---- which one signs


def test_the_newest_active_key_signs() -> None:
    """CVE-2025-47278: Flask 3.1.0 signed with the oldest of its keys."""
    old, new, newest = key(0), key(1, signs_from=NOON - HOUR), key(2, signs_from=NOON)
    for order in ([old, new, newest], [newest, new, old], [new, newest, old]):
        assert newest_active(order, NOON) is newest
        assert newest_active(order, NOON - timedelta(seconds=1)) is new
        assert newest_active(order, NOON - 2 * HOUR) is old


def test_a_key_whose_time_has_not_come_does_not_sign() -> None:
    assert newest_active([key(signs_from=NOON + timedelta(seconds=1))], NOON) is None


def test_a_key_past_its_publication_does_not_sign() -> None:
    ended = key(published_until=NOON)
    assert newest_active([ended], NOON) is None
    assert newest_active([ended], NOON - timedelta(seconds=1)) is ended


def test_of_two_that_begin_at_once_the_later_in_the_file_signs() -> None:
    first, second = key(0), key(1)
    assert newest_active([first, second], NOON) is second


def test_each_key_has_one_state() -> None:
    keys = [key(0, published_until=NOON), key(1), key(2, signs_from=NOON), key(3, signs_from=NOON + HOUR)]
    assert [state_of(each, keys, NOON) for each in keys] == ["expired", "retiring", "signing", "next"]
