"""The short session's token: what we make, what we read back, and what is remembered of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from flask_corbado_session.keys.key import Key
from flask_corbado_session.model.errors import InvalidShortSession
from flask_corbado_session.model.records import ShortSession
from flask_corbado_session.tokens.short import ShortTokenVerifier, check_claims, mint
from tests.support.rules import NOON
from tests.support.short_tokens import (
    CLAIMS,
    GOOD,
    HEADER,
    ISSUER,
    KEY,
    KEYS,
    RSA,
    SECONDS,
    Ring,
    encode,
    refused,
    sign,
    token,
    verifier,
)


def minted(audience: str | None = None, cookie: str = "cookie", **changes: Any) -> str:
    values: dict[str, Any] = {
        "user_id": "alice",
        "session_id": "s" * 30,
        "issued_at": NOON,
        "expires_at": NOON + timedelta(minutes=15),
        "issuer": ISSUER,
        "token_id": "token-1",
        "auth_time": NOON - timedelta(seconds=5),
        "amr": ("pwd",),
        "claims": {"role": "admin"},
    }
    return mint(ShortSession(**values | changes), KEY, audience, cookie)


# ---- what we make


def test_a_token_holds_the_claims_of_the_contract() -> None:
    assert jwt.decode(minted(), options={"verify_signature": False}) == CLAIMS
    assert jwt.get_unverified_header(minted()) == HEADER


def test_another_library_accepts_it() -> None:
    now = int(datetime.now(NOON.tzinfo).timestamp())
    fresh = token(claims={"iat": now, "nbf": now, "exp": now + 60})
    assert jwt.decode(fresh, KEY.public, algorithms=["HS256"], issuer=ISSUER)["sub"] == "alice"


def test_what_was_minted_is_read_back() -> None:
    short = verifier().verify(minted(), NOON)
    assert (short.user_id, short.session_id, short.token_id) == ("alice", "s" * 30, "token-1")
    assert (short.issued_at, short.expires_at) == (NOON, NOON + timedelta(minutes=15))
    assert (short.auth_time, short.amr, short.claims) == (NOON - timedelta(seconds=5), ("pwd",), {"role": "admin"})


def test_an_audience_stands_in_the_token_if_one_is_configured() -> None:
    assert jwt.decode(minted("orders"), options={"verify_signature": False})["aud"] == "orders"
    assert verifier("orders").verify(minted("orders"), NOON).claims == {"role": "admin"}


def test_an_apps_claim_cannot_take_the_place_of_ours() -> None:
    claims = jwt.decode(minted(claims={"sub": "bob", "exp": 1}), options={"verify_signature": False})
    assert (claims["sub"], claims["exp"]) == ("alice", SECONDS + 900)


@pytest.mark.parametrize("name", ["iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "auth_time", "amr"])
def test_a_reserved_claim_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"the claim '{name}' is not yours to set"):
        check_claims({"role": "admin", name: "x"})


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", NOON, float("nan"), float("inf")])
def test_a_claim_that_is_no_json_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError), match="JSON"):
        check_claims({"role": value})


def test_claims_are_copied() -> None:
    roles = ["admin"]
    claims = check_claims({"roles": roles})
    roles.append("owner")
    assert claims == {"roles": ["admin"]}


@pytest.mark.parametrize("name", ["small", "large", "größe"])
def test_claims_too_large_for_a_cookie_name_the_largest(name: str) -> None:
    claims = {"a": "x" * 100, name: "x" * 3000, "z": ["x" * 100]}
    with pytest.raises(ValueError, match=f"its largest claim is '{name}'") as caught:
        minted(claims=claims)
    assert "xxx" not in str(caught.value)


def test_the_limit_is_3800_bytes_with_the_cookies_name() -> None:
    room = 3800 - len(minted(claims={"a": ""}))
    fitting = "x" * (room * 3 // 4 - 8)
    cookie = "c" * (3800 - len(minted(claims={"a": fitting}, cookie="")))
    assert len(minted(claims={"a": fitting}, cookie=cookie)) + len(cookie) == 3800
    with pytest.raises(ValueError, match="would be 3801 bytes"):
        minted(claims={"a": fitting}, cookie=cookie + "c")


# ---- the name of an algorithm


def an_ed25519_token(alg: str) -> tuple[Key, str]:
    private = ed25519.Ed25519PrivateKey.generate()
    signed = f"{encode({'alg': alg, 'kid': 'ed', 'typ': 'JWT'})}.{encode(CLAIMS)}"
    return Key("ed", "EdDSA", private.public_key(), private), f"{signed}.{encode(private.sign(signed.encode()))}"


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_a_token_of_an_ed25519_key_may_say_either_name(alg: str) -> None:
    """RFC 9864 calls EdDSA with this curve Ed25519."""
    ring = Ring()
    ring.keys["ed"], value = an_ed25519_token(alg)
    assert ShortTokenVerifier(ring, ISSUER).verify(value, NOON).user_id == "alice"


@pytest.mark.parametrize("alg", ["ed25519", "Ed448", "eddsa"])
def test_a_token_of_an_ed25519_key_may_say_no_other(alg: str) -> None:
    ring = Ring()
    ring.keys["ed"], value = an_ed25519_token(alg)
    with pytest.raises(InvalidShortSession, match="expected one of") as caught:
        ShortTokenVerifier(ring, ISSUER).verify(value, NOON)
    assert caught.value.code == "algorithm"


@pytest.mark.parametrize("kid", [KEY.kid, "rsa"])
def test_no_other_key_takes_a_token_that_says_ed25519(kid: str) -> None:
    assert refused(token({"alg": "Ed25519", "kid": kid})).code == "algorithm"


# ---- audiences, and tokens of others


def test_a_token_of_the_other_algorithm_is_good_under_its_own_key() -> None:
    value = jwt.encode(CLAIMS, RSA, algorithm="RS256", headers={"kid": "rsa"})
    assert verifier().verify(value, NOON).user_id == "alice"


@pytest.mark.parametrize("given_", ["orders", ["orders"], ["billing", "orders"]])
def test_the_configured_audience_is_accepted_in_both_forms(given_: Any) -> None:
    assert verifier("orders").verify(token(claims={"aud": given_}), NOON).user_id == "alice"


@pytest.mark.parametrize("given_", [..., "order", "orders2", "ORDERS", [], ["billing"], ["order", "s"]])
def test_no_other_audience_is(given_: Any) -> None:
    assert refused(token(claims={"aud": given_}), audience="orders").code == "audience"


def test_another_issuers_token_needs_no_more_than_issuer_subject_and_expiry() -> None:
    claims = {name: ... for name in ("sid", "iat", "nbf", "jti", "auth_time", "amr")}
    short = verifier(own=False).verify(token({"typ": ...}, claims), NOON)
    assert (short.user_id, short.session_id, short.amr, short.claims) == ("alice", None, (), {"role": "admin"})


@pytest.mark.parametrize(("name", "wrong"), [("sid", 5), ("jti", None), ("amr", "pwd"), ("nbf", "soon")])
def test_what_it_says_beyond_that_has_the_right_type_all_the_same(name: str, wrong: Any) -> None:
    assert refused(token(claims={name: wrong}), own=False).code == "claims"


@pytest.mark.parametrize("ahead", [30, 0, -900])
def test_clocks_may_differ_by_thirty_seconds(ahead: int) -> None:
    value = token(claims={"iat": SECONDS + ahead, "nbf": SECONDS + ahead})
    assert verifier().verify(value, NOON).user_id == "alice"


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_clocks_may_differ_by_no_more_than_that(name: str) -> None:
    assert refused(token(claims={name: SECONDS + 31})).code == "not_yet_valid"


# ---- the cache of verified tokens


class Counting(Ring):
    """Counts how often a key was looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def find(self, kid: str) -> Key | None:
        self.asked += 1
        return super().find(kid)


def test_a_token_seen_before_is_not_verified_again() -> None:
    ring = Counting()
    known = ShortTokenVerifier(ring, ISSUER)
    assert known.verify(GOOD, NOON) == known.verify(GOOD, NOON)
    assert ring.asked == 1


def test_expiry_is_asked_each_time() -> None:
    known = ShortTokenVerifier(KEYS, ISSUER)
    known.verify(GOOD, NOON)
    known.verify(GOOD, NOON + timedelta(seconds=899))
    with pytest.raises(InvalidShortSession) as caught:
        known.verify(GOOD, NOON + timedelta(seconds=900))
    assert caught.value.code == "expired"


def test_the_cache_is_emptied_when_the_keys_change() -> None:
    ring = Ring()
    known = ShortTokenVerifier(ring, ISSUER)
    known.verify(GOOD, NOON)
    ring.keys, ring.version = {}, 1
    with pytest.raises(InvalidShortSession) as caught:
        known.verify(GOOD, NOON)
    assert caught.value.code == "unknown_key"


def test_a_refused_token_is_not_remembered() -> None:
    ring = Ring()
    known = ShortTokenVerifier(ring, ISSUER)
    keys, ring.keys = ring.keys, {}
    with pytest.raises(InvalidShortSession):
        known.verify(GOOD, NOON)
    ring.keys = keys
    assert known.verify(GOOD, NOON).user_id == "alice"


def test_the_cache_is_bounded() -> None:
    ring = Counting()
    known = ShortTokenVerifier(ring, ISSUER)
    many = [token(claims={"jti": str(number)}) for number in range(4097)]
    for each in many:
        known.verify(each, NOON)
    assert ring.asked == 4097
    known.verify(many[-1], NOON)
    known.verify(many[1], NOON)  # so that 4,096 are known
    assert ring.asked == 4097
    known.verify(many[0], NOON)
    assert ring.asked == 4098


def test_a_token_seen_before_is_not_accepted_with_another_signature() -> None:
    known, good = verifier(), token()
    known.verify(good, NOON)
    signed, _, _ = good.rpartition(".")
    with pytest.raises(InvalidShortSession) as caught:
        known.verify(sign(signed, b"another key"), NOON)
    assert caught.value.code == "signature"


def test_one_tokens_claims_never_serve_for_another() -> None:
    known = verifier()
    tokens = [token(claims={"sub": user}) for user in ("alice", "bob", "alice")]
    assert [known.verify(each, NOON).user_id for each in tokens] == ["alice", "bob", "alice"]
