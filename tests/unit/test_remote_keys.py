"""The issuer's keys over real HTTP: which are taken, when they are asked for, how long they serve, who waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from flask_corbado_session.keys.key import SigningAlgorithm
from flask_corbado_session.model.errors import InvalidShortSession, StoreUnavailable
from flask_corbado_session.tokens.short import ShortTokenVerifier
from flask_corbado_session.verification import remote_keys, single_flight
from flask_corbado_session.verification.remote_keys import RemoteKeys, read_keys
from tests.support.issuers import KEYS, Answer, Issuer, body, claims_at, document, public, redirect, signed, status
from tests.support.key_files import ALGORITHMS, a_jwk
from tests.support.stopwatch import Stopwatch

ISSUER = "https://auth.example.com"
FRESH, STALE, PAUSE, NO_KEYS = 240, 24 * 3600, 30, 5
RS, ES, ED = (a_jwk(algorithm) for algorithm in ALGORITHMS)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Seconds:
    """The monotonic clock of the keys: it goes on as time does, and can be moved."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    def move(self, seconds: float) -> None:
        """Let this much pass."""
        self.ahead += seconds


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        issuer.publish(public(RS), public(ES), public(ED))
        yield issuer


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    """The clock, in both modules that ask it."""
    seconds = Seconds()
    monkeypatch.setattr(single_flight, "monotonic", seconds)
    monkeypatch.setattr(remote_keys, "monotonic", seconds)
    return seconds


def verifying(issuer: Issuer) -> Callable[[str], str]:
    """A verifier's view of tokens: whose they are, or the code of the refusal."""
    verifier = ShortTokenVerifier(RemoteKeys(issuer.keys_url), ISSUER, own=False)

    def verdict(token: str) -> str:
        try:
            return verifier.verify(token, NOW).user_id
        except InvalidShortSession as error:
            return error.code

    return verdict


def a_token(jwk: dict[str, Any] = RS, **claims: Any) -> str:
    return signed(claims_at(NOW, ISSUER, **claims), jwk)


def until(what: Callable[[], bool]) -> None:
    """A background fetch lands soon."""
    deadline = time.monotonic() + 5
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def at_once(count: int, work: Callable[[], object]) -> tuple[list[object], float]:
    """So many threads at the same moment: what each came to, and how long the slowest took."""
    ready, results, took = threading.Barrier(count), [], []

    def run() -> None:
        ready.wait(10)
        since = Stopwatch()
        results.append(work())
        took.append(since.seconds)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, max(took)


# ---- which keys are taken


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_algorithm_is_verified(issuer: Issuer, algorithm: SigningAlgorithm) -> None:
    assert verifying(issuer)(a_token(a_jwk(algorithm))) == "alice"
    assert issuer.asked == [KEYS]


def test_a_key_may_say_the_name_of_rfc_9864(issuer: Issuer) -> None:
    issuer.publish(public(ED, alg="Ed25519"))
    verdict = verifying(issuer)
    assert verdict(signed(claims_at(NOW, ISSUER), ED)) == "alice"
    assert verdict(signed(claims_at(NOW, ISSUER), ED, alg="Ed25519")) == "alice"


def test_asking_needs_no_token_and_making_asks_nothing(issuer: Issuer) -> None:
    keys = RemoteKeys(issuer.keys_url)
    assert issuer.asked == []
    assert [getattr(keys.find(each["kid"]), "algorithm", None) for each in (RS, ES, ED)] == list(ALGORITHMS)
    assert keys.find("another") is None


def test_a_verifier_signs_nothing(issuer: Issuer) -> None:
    with pytest.raises(RuntimeError, match="only verifies"):
        RemoteKeys(issuer.keys_url).signing(NOW)


def test_a_redirect_within_the_host_is_followed(issuer: Issuer) -> None:
    issuer.answers |= {KEYS: redirect("/keys"), "/keys": issuer.answers[KEYS]}
    assert verifying(issuer)(a_token()) == "alice"


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.com/keys", "https://u:p@example.com/", ""])
def test_a_url_that_is_none_stops_the_service_at_its_start(url: str) -> None:
    with pytest.raises(ValueError, match="http or https URL"):
        RemoteKeys(url)


def weak_rsa() -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 1024)
    return {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "weak", "alg": "RS256"}


def of_curve(curve: ec.EllipticCurve) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(ec.generate_private_key(curve), as_dict=True), "kid": "curve"}


def ed448_key() -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate(), as_dict=True), "kid": "ed448"}


UNUSABLE: dict[str, Any] = {
    "symmetric": {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U", "alg": "HS256"},
    "symmetric under our kid": {"kty": "oct", "kid": RS["kid"], "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
    "RSA of 1024 bits": public(weak_rsa()),
    "P-384": public(of_curve(ec.SECP384R1())),
    "P-521": public(of_curve(ec.SECP521R1())),
    "secp256k1": public(of_curve(ec.SECP256K1())),
    "Ed448": public(ed448_key()),
    "X25519": {"kty": "OKP", "crv": "X25519", "x": ED["x"], "kid": "x25519"},
    "with its private half": {**a_jwk("ES256", 1)},
    "RSA with its private half": {**a_jwk("RS256", 1)},
    "for encryption": public(a_jwk("RS256", 1), use="enc"),
    "PS256": public(a_jwk("RS256", 1), alg="PS256"),
    "RS512": public(a_jwk("RS256", 1), alg="RS512"),
    "RSA that says HS256": public(a_jwk("RS256", 1), alg="HS256"),
    "EC that says RS256": public(a_jwk("ES256", 1), alg="RS256"),
    "EC that says none": public(a_jwk("ES256", 1), alg="none"),
    "a point off the curve": public(a_jwk("ES256", 1), x=ES["x"]),
    "RSA without e": {"kty": "RSA", "kid": "x", "n": RS["n"]},
    "RSA with e = 1": public(a_jwk("RS256", 1), e="AQ"),
    "RSA with an even n": public(a_jwk("RS256", 1), n=RS["n"][:-1] + "A", e="AA"),
    "no kid": public(a_jwk("RS256", 1), kid=None),
    "empty kid": public(a_jwk("RS256", 1), kid=""),
    "kid of a number": public(a_jwk("RS256", 1), kid=5),
    "kid of a list": public(a_jwk("RS256", 1), kid=["a"]),
    "unknown kty": {"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA"},
    "kty of a list": {"kty": ["RSA"], "kid": "x"},
    "no kty": {"kid": "x"},
    "null": None,
    "text": "RSA",
    "list": [public(RS)],
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_can_not_be_used_is_passed_over(issuer: Issuer, name: str) -> None:
    issuer.publish(UNUSABLE[name], public(RS), UNUSABLE[name])
    keys = RemoteKeys(issuer.keys_url)
    found = keys.find(RS["kid"])
    assert found is not None
    assert found.algorithm == "RS256"
    assert list(read_keys({"keys": [UNUSABLE[name], public(RS)]})) == [RS["kid"]]


@pytest.mark.parametrize("name", UNUSABLE)
def test_alone_it_is_no_set_of_keys(name: str) -> None:
    with pytest.raises(StoreUnavailable, match="none of the 1 keys"):
        read_keys({"keys": [UNUSABLE[name]]})


def test_a_key_that_everybody_could_sign_with_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    read_keys({"keys": [a_jwk("RS256", 1), public(RS)]})
    assert a_jwk("RS256", 1)["kid"] in caplog.text
    assert "private half is published" in caplog.text
    assert a_jwk("RS256", 1)["d"] not in caplog.text


def test_two_keys_of_one_kid_are_no_set_of_keys(issuer: Issuer) -> None:
    """Which of the two would depend on their order: the keys known before go on instead."""
    issuer.publish(public(RS), public(a_jwk("RS256", 1), kid=RS["kid"]))
    assert verifying(issuer)(a_token()) == "unknown_key"
    with pytest.raises(StoreUnavailable, match="two keys of the kid"):
        read_keys({"keys": [public(RS), public(RS)]})


NO_SETS: dict[str, Any] = {
    "a key": public(RS),
    "a list": [public(RS)],
    "a set of none": {"keys": []},
    "keys of an object": {"keys": {"a": public(RS)}},
    "keys of a text": {"keys": "RS256"},
    "keys of null": {"keys": None},
    "a dict of certificates": {"kid": "-----BEGIN CERTIFICATE-----"},
    "null": None,
    "text": "keys",
    "number": 5,
}


@pytest.mark.parametrize("name", NO_SETS)
def test_what_is_no_set_of_keys_is_said_so(name: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"expected a JWK set|none of the 0 keys"):
        read_keys(NO_SETS[name])


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3)
MEMBERS = st.sampled_from(["kty", "kid", "use", "alg", "crv", "n", "e", "x", "y", "d", "k", "key_ops", "x5c", "oth"])


@given(st.sampled_from([RS, ES, ED]), st.dictionaries(MEMBERS, JSON, min_size=1, max_size=3))
def test_no_jwk_raises_anything_else(jwk: dict[str, Any], members: dict[str, Any]) -> None:
    found = read_keys({"keys": [public(jwk) | members, public(a_jwk("EdDSA", 1))]})
    assert a_jwk("EdDSA", 1)["kid"] in found


# ---- sets that do not come

BROKEN: dict[str, Answer] = {
    "500": body(b"{}", 500),
    "404": status(404),
    "empty": body(b""),
    "HTML": body(b"<!doctype html><title>Sign in</title>", kind="text/html"),
    "10 MB": body(b'{"keys": [' + b" " * 10_000_000 + b"]}"),
    "no keys": document({"keys": []}),
    "symmetric alone": document({"keys": [UNUSABLE["symmetric"]]}),
    "two of one kid": document({"keys": [public(RS), public(RS)]}),
    "a redirect elsewhere": redirect("http://localhost:1/keys"),
    "a redirect to a file": redirect("file:///etc/hostname"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_set_leaves_the_keys_known_before(
    issuer: Issuer, seconds: Seconds, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    verdict = verifying(issuer)
    assert verdict(a_token()) == "alice"
    issuer.answers[KEYS] = BROKEN[name]
    seconds.move(FRESH + 1)
    assert verdict(a_token(jti="another")) == "alice"
    until(lambda: "those known before serve on" in caplog.text)
    assert verdict(a_token(jti="a third")) == "alice"


@pytest.mark.parametrize("name", BROKEN)
def test_without_keys_every_token_is_refused_and_the_next_try_comes_soon(
    issuer: Issuer, seconds: Seconds, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    good, issuer.answers[KEYS] = issuer.answers[KEYS], BROKEN[name]
    verdict = verifying(issuer)
    assert [verdict(a_token()) for _ in range(5)] == ["unknown_key"] * 5
    assert issuer.count(KEYS) == 1
    assert "could not be fetched" in caplog.text
    issuer.answers[KEYS] = good
    seconds.move(NO_KEYS)
    assert verdict(a_token()) == "alice"


def test_no_log_line_tells_a_token_or_a_body(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    issuer.answers[KEYS] = body(b"not-to-be-told", 500)
    with caplog.at_level(logging.DEBUG):
        verifying(issuer)(a_token())
    assert "could not be fetched" in caplog.text
    assert "not-to-be-told" not in caplog.text
    assert not any(part in caplog.text for part in a_token().split("."))


# ---- who waits


def test_on_a_cold_start_everybody_waits_for_the_one_fetch_and_is_served(issuer: Issuer) -> None:
    """The first asked, and the others were refused a good token because the keys were still on their way."""
    issuer.answers[KEYS] = issuer.after(0.3, issuer.answers[KEYS])
    verdict = verifying(issuer)
    verdicts, slowest = at_once(50, lambda: verdict(a_token()))
    assert verdicts == ["alice"] * 50
    assert issuer.count(KEYS) == 1
    assert slowest < 3


def test_nobody_waits_for_a_fetch_while_old_keys_serve(issuer: Issuer, seconds: Seconds) -> None:
    verdict, token = verifying(issuer), a_token()
    verdict(token)
    issuer.answers[KEYS] = issuer.after(5, issuer.answers[KEYS])
    seconds.move(FRESH + 1)
    verdicts, slowest = at_once(50, lambda: verdict(token))
    fresh, took = at_once(8, lambda: verdict(a_token(jti=str(threading.get_ident()))))
    assert verdicts + fresh == ["alice"] * 58
    assert issuer.count(KEYS) == 2
    assert max(slowest, took) < 3


def test_while_the_issuer_hangs_a_stranger_waits_three_seconds_at_most(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_keys, "TIMEOUT", 0.3)
    issuer.answers[KEYS] = issuer.after(30, status(200))
    verdict = verifying(issuer)
    verdicts, slowest = at_once(8, lambda: verdict(a_token()))
    assert verdicts == ["unknown_key"] * 8
    assert 0.25 < slowest < 1
    assert issuer.count(KEYS) == 1
    issuer.close()


# ---- how often it is asked


def test_known_keys_are_looked_for_again_after_four_minutes(issuer: Issuer, seconds: Seconds) -> None:
    verdict = verifying(issuer)
    for number in range(20):
        verdict(a_token(jti=str(number)))
    seconds.move(FRESH - 1)
    verdict(a_token())
    assert issuer.count(KEYS) == 1
    seconds.move(2)
    verdict(a_token())
    until(lambda: issuer.count(KEYS) == 2)


def test_made_up_kids_cost_the_issuer_one_fetch_in_thirty_seconds(issuer: Issuer, seconds: Seconds) -> None:
    verdict = verifying(issuer)
    verdict(a_token())
    for round in range(1, 4):
        seconds.move(PAUSE)
        made_up = [signed(claims_at(NOW, ISSUER), kid=f"{round}-{number}") for number in range(30)]
        assert {verdict(token) for token in made_up} == {"unknown_key"}
        assert issuer.count(KEYS) == 1 + round
    seconds.move(PAUSE - 1)
    verdict(signed(claims_at(NOW, ISSUER), kid="one more"))
    assert issuer.count(KEYS) == 4


def test_made_up_kids_from_many_threads_cost_one_fetch(issuer: Issuer, seconds: Seconds) -> None:
    verdict, strange = verifying(issuer), signed(claims_at(NOW, ISSUER), kid="strange")
    verdict(a_token())
    seconds.move(PAUSE)
    verdicts, _ = at_once(50, lambda: verdict(strange))
    assert set(verdicts) == {"unknown_key"}
    assert issuer.count(KEYS) == 2


def test_a_new_key_is_found_by_its_first_token(issuer: Issuer, seconds: Seconds) -> None:
    verdict = verifying(issuer)
    verdict(a_token())
    issuer.publish(public(RS), public(a_jwk("EdDSA", 1)))
    seconds.move(PAUSE)
    assert verdict(a_token(a_jwk("EdDSA", 1))) == "alice"


def test_after_an_idle_time_the_first_token_of_a_new_key_is_not_refused(issuer: Issuer, seconds: Seconds) -> None:
    """The fetch that old keys had started was under way, so that nobody waited, and the token was refused."""
    verdict = verifying(issuer)
    verdict(a_token())
    issuer.publish(public(a_jwk("EdDSA", 1)))
    issuer.answers[KEYS] = issuer.after(0.2, issuer.answers[KEYS])
    seconds.move(3600)
    assert verdict(a_token(a_jwk("EdDSA", 1))) == "alice"
    assert issuer.count(KEYS) == 2


# ---- how long keys serve


def test_while_the_issuer_is_down_old_keys_serve_for_a_day_and_no_longer(
    issuer: Issuer, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict, token = verifying(issuer), a_token()
    assert verdict(token) == "alice"
    issuer.close()
    for _ in range(23):
        seconds.move(3600)
        assert verdict(token) == verdict(a_token(jti="new")) == "alice"
    seconds.move(3600)
    assert verdict(token) == "unknown_key"
    assert remote_keys.STALE == STALE == 24 * 3600


def test_a_day_later_an_issuer_that_is_back_serves_at_once(issuer: Issuer, seconds: Seconds) -> None:
    verdict, token = verifying(issuer), a_token()
    verdict(token)
    seconds.move(STALE + 1)
    issuer.answers[KEYS] = issuer.after(0.2, issuer.answers[KEYS])
    assert verdict(token) == "alice"
    assert issuer.count(KEYS) == 2


def test_while_the_issuer_is_down_it_is_asked_every_thirty_seconds(issuer: Issuer, seconds: Seconds) -> None:
    verdict, token = verifying(issuer), a_token()
    verdict(token)
    issuer.answers[KEYS] = status(503)
    seconds.move(FRESH + 1)
    for asked in range(2, 6):
        until(lambda asked=asked: verdict(token) == "alice" and issuer.count(KEYS) >= asked)  # type: ignore[misc]
        for _ in range(10):
            assert verdict(token) == "alice"
        assert issuer.count(KEYS) == asked
        seconds.move(PAUSE)


def refetched(issuer: Issuer, verdict: Callable[[str], str], seconds: Seconds, token: str) -> None:
    """Let the keys grow old, and one request of a known token have them fetched."""
    before = issuer.count(KEYS)
    seconds.move(FRESH + 1)
    verdict(token)
    until(lambda: issuer.count(KEYS) == before + 1)
    time.sleep(0.05)


def test_a_removed_key_is_refused_after_the_next_fetch_for_known_tokens_too(issuer: Issuer, seconds: Seconds) -> None:
    """A token kept in mind asked for no key, so nobody looked: it outlived its key by as long as it was used."""
    verdict, token = verifying(issuer), a_token()
    assert verdict(token) == verdict(token) == "alice"
    issuer.publish(public(ED))
    refetched(issuer, verdict, seconds, token)
    until(lambda: verdict(token) == "unknown_key")
    assert verdict(a_token(jti="new")) == "unknown_key"
    assert verdict(a_token(ED)) == "alice"


def test_another_key_under_the_same_kid_ends_the_tokens_of_the_old_one(issuer: Issuer, seconds: Seconds) -> None:
    """The ids were compared and not the keys, so that a token kept in mind went on."""
    verdict, token, other = verifying(issuer), a_token(), a_jwk("RS256", 1) | {"kid": RS["kid"]}
    assert verdict(token) == verdict(token) == "alice"
    issuer.publish(public(other), public(ES), public(ED))
    refetched(issuer, verdict, seconds, token)
    until(lambda: verdict(token) == "signature")
    assert verdict(a_token(other)) == "alice"


def test_the_same_keys_again_change_nothing(issuer: Issuer, seconds: Seconds) -> None:
    keys = RemoteKeys(issuer.keys_url)
    keys.find(RS["kid"])
    before = keys.version
    seconds.move(FRESH + 1)
    assert keys.version == before
    until(lambda: issuer.count(KEYS) == 2)
    time.sleep(0.05)
    assert keys.version == before
