"""Proofs, keys and headers that no honest browser sends: the right answer, never a 500, and the owner goes on."""

from __future__ import annotations

import hmac
import json
import logging
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from flask_corbado_session.binding.proofs import InvalidProof, read_refresh, read_registration
from tests.support.bound_client import BoundBrowser
from tests.support.bound_jar import DeviceKey
from tests.support.bound_site import REGISTER, BoundSite, is_fine, post_refresh, sign_in
from tests.support.bound_wire import Reply, app_wire
from tests.support.jars import LONG, SHORT

FOREIGN = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}
TYPED = {"typ": "dbsc+jwt"}


@pytest.fixture
def site(sqlite_url: str) -> BoundSite:
    return BoundSite(sqlite_url)


@pytest.fixture
def alice(site: BoundSite, caplog: pytest.LogCaptureFixture) -> Iterator[BoundBrowser]:
    """Signed in, her key registered. In the end she is still signed in, and no proof or key stands in the log."""
    with caplog.at_level(logging.DEBUG):
        browser = site.bound()
        site.clock.move(seconds=1)
        yield browser
        site.clock.move(minutes=16)
        assert is_fine(site, browser)
    assert_logged_no_secret(caplog, browser)


def assert_logged_no_secret(caplog: pytest.LogCaptureFixture, browser: BoundBrowser) -> None:
    said = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    jwk = browser.session.key.jwk
    secrets = [browser.jar.value(SHORT), browser.jar.value(LONG), browser.session.challenge, jwk["x"], "eyJhbGciOi"]
    assert not any(secret is not None and secret in said for secret in secrets), "a secret was logged"


def challenge_of(browser: BoundBrowser) -> str:
    """A fresh one."""
    header = post_refresh(browser).header("Secure-Session-Challenge") or ""
    return header.split('"')[1]


def asks_again(reply: Reply) -> bool:
    """Whether it is the answer that no browser forgets its session for."""
    challenge = reply.header("Secure-Session-Challenge")
    return (reply.status, reply.code, reply.cookie_names, challenge is None) == (
        403,
        "device_proof_required",
        set(),
        False,
    )


def register(browser: BoundBrowser, proof: str | None, path: str = REGISTER, **headers: str) -> Reply:
    """A registration by hand."""
    given = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin", "Cookie": browser.jar.header()}
    if proof is not None:
        given["Secure-Session-Response"] = proof
    return browser.wire("POST", path, given | {name.replace("_", "-"): value for name, value in headers.items()}, b"")


# ---- proofs of a refresh


def _segments(proof: str) -> list[str]:
    return proof.split(".")


def _encoded(part: Any) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


BAD_PROOFS: dict[str, Any] = {
    "none": lambda key, challenge: None,
    "empty": lambda key, challenge: "",
    "no JWT": lambda key, challenge: "rubbish",
    "two dots": lambda key, challenge: "..",
    "not base64": lambda key, challenge: "%%%.%%%.%%%",
    "no text": lambda key, challenge: "\xff\xfe",
    "wrong key": lambda key, challenge: DeviceKey().refresh_proof(challenge),
    "RSA key": lambda key, challenge: DeviceKey("RS256").refresh_proof(challenge),
    "alg none": lambda key, challenge: (
        f"{_encoded({'alg': 'none', 'typ': 'dbsc+jwt'})}.{_encoded({'jti': challenge})}."
    ),
    "alg HS256 with the public key": lambda key, challenge: _by_public_key(key, challenge),
    "alg another's": lambda key, challenge: ".".join(
        [_encoded({"alg": "RS256", **TYPED}), *_segments(key.refresh_proof(challenge))[1:]]
    ),
    "alg a list": lambda key, challenge: ".".join(
        [_encoded({"alg": ["ES256"], **TYPED}), *_segments(key.refresh_proof(challenge))[1:]]
    ),
    "no signature": lambda key, challenge: ".".join([*_segments(key.refresh_proof(challenge))[:2], ""]),
    "own challenge": lambda key, challenge: key.refresh_proof("a challenge of my own"),
    "challenge cut": lambda key, challenge: key.refresh_proof(challenge[:-1]),
    "challenge a number": lambda key, challenge: key.sign({"jti": 1}, TYPED),
    "challenge a list": lambda key, challenge: key.sign({"jti": [challenge]}, TYPED),
    "no challenge": lambda key, challenge: key.sign({}, TYPED),
    "challenge empty": lambda key, challenge: key.refresh_proof(""),
    "payload a list": lambda key, challenge: _jws(key, json.dumps([challenge])),
    "payload no JSON": lambda key, challenge: _jws(key, "{"),
    "payload deep": lambda key, challenge: _jws(key, "[" * 5000),
    "header deep": lambda key, challenge: f"{urlsafe_b64encode(b'[' * 3000).decode()}.e30.AAAA",
    "oversized": lambda key, challenge: key.sign({"jti": challenge, "more": "x" * 10_000}, TYPED),
    "challenge oversized": lambda key, challenge: key.refresh_proof(challenge + "A" * 4000),
    "crit": lambda key, challenge: key.sign({"jti": challenge}, {**TYPED, "crit": ["exp"], "exp": 1}),
}


def _by_public_key(key: DeviceKey, challenge: str) -> str:
    signed = f"{_encoded({'alg': 'HS256', **TYPED})}.{_encoded({'jti': challenge})}"
    digest = hmac.digest(json.dumps(key.jwk).encode(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _jws(key: DeviceKey, payload: str) -> str:
    return jwt.PyJWS().encode(payload.encode(), key._private, "ES256", headers=TYPED)


@pytest.mark.parametrize("name", BAD_PROOFS)
def test_a_bad_proof_is_answered_by_a_challenge(alice: BoundBrowser, name: str) -> None:
    proof = BAD_PROOFS[name](alice.session.key, challenge_of(alice))
    assert asks_again(post_refresh(alice, proof))


def test_a_replayed_proof_is_answered_by_a_challenge(alice: BoundBrowser) -> None:
    proof = alice.session.key.refresh_proof(challenge_of(alice))
    assert post_refresh(alice, proof).status == 200
    for _ in range(2):
        assert asks_again(post_refresh(alice, proof))


def test_an_older_challenge_is_refused_once_newer_ones_were_answered(site: BoundSite, alice: BoundBrowser) -> None:
    old = alice.session.key.refresh_proof(challenge_of(alice))
    for _ in range(2):
        site.clock.move(seconds=1)
        assert post_refresh(alice, alice.session.key.refresh_proof(challenge_of(alice))).status == 200
    assert asks_again(post_refresh(alice, old))


def test_an_expired_challenge_is_answered_by_a_new_one(site: BoundSite, alice: BoundBrowser) -> None:
    proof = alice.session.key.refresh_proof(challenge_of(alice))
    site.clock.move(hours=3)
    assert asks_again(post_refresh(alice, proof))


def test_a_challenge_of_another_session_is_refused(site: BoundSite, alice: BoundBrowser) -> None:
    bob = site.bound("bob")
    assert asks_again(post_refresh(alice, alice.session.key.refresh_proof(challenge_of(bob))))
    assert is_fine(site, bob)


def test_the_challenge_of_a_registration_is_good_for_no_refresh(site: BoundSite, alice: BoundBrowser) -> None:
    offers: list[str] = []
    wire = app_wire(site.app)
    other = site.browser(lambda *sent: _noting(offers, wire(*sent)), can_bind=False)
    sign_in(other)
    (offer,) = offers
    challenge = offer.split('challenge="')[1].split('"')[0]
    key = DeviceKey()
    assert register(other, key.registration_proof(challenge)).status == 200
    other.jar.take([])
    assert asks_again(post_refresh(other, key.refresh_proof(challenge), Sec_Secure_Session_Id=""))


def _noting(offers: list[str], reply: Reply) -> Reply:
    offers += reply.all("Secure-Session-Registration")
    return reply


def test_a_page_of_another_origin_refreshes_nothing(alice: BoundBrowser) -> None:
    proof = alice.session.key.refresh_proof(challenge_of(alice))
    assert asks_again(post_refresh(alice, proof, **FOREIGN))
    assert asks_again(post_refresh(alice, proof, Origin="null", Sec_Fetch_Site="cross-site"))


# ---- ids


@pytest.mark.parametrize("id", ["x", "A" * 30, '"', "A" * 10_000, "\xe4", "a, b", '"a";b="c"'])
def test_a_forged_id_is_not_found(alice: BoundBrowser, id: str) -> None:
    reply = post_refresh(alice, Sec_Secure_Session_Id=id)
    assert (reply.status, reply.code, reply.cookie_names) in [
        (404, "not_found", set()),
        (403, "device_proof_required", set()),
    ]


def test_the_id_of_another_session_is_not_found(site: BoundSite, alice: BoundBrowser) -> None:
    bob = site.bound("bob")
    reply = post_refresh(alice, alice.session.key.refresh_proof("x"), Sec_Secure_Session_Id=bob.session.id)
    assert (reply.status, reply.code, reply.cookie_names) == (404, "not_found", set())
    assert is_fine(site, bob)


def test_without_cookies_nothing_is_found(alice: BoundBrowser) -> None:
    reply = post_refresh(alice, Cookie="")
    assert (reply.status, reply.code) == (404, "not_found")


def test_a_forged_long_cookie_is_not_found(alice: BoundBrowser) -> None:
    forged = f"{LONG}={(alice.jar.value(LONG) or '')[:-1]}A"
    reply = post_refresh(alice, Cookie=forged)
    assert (reply.status, reply.cookie_names) in [(404, set()), (403, set())]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_do_nothing(alice: BoundBrowser, method: str) -> None:
    for path in (REGISTER, "/session/bound/refresh"):
        reply = alice.wire(method, path, {"Cookie": alice.jar.header()}, b"")
        assert reply.status in (200, 405)
        assert not reply.cookie_names & {SHORT, LONG}


@pytest.mark.parametrize("header", ["Secure_Session_Response", "Sec_Secure_Session_Id", "Secure_Session_Skipped"])
def test_headers_of_10_kb_are_no_error(alice: BoundBrowser, header: str) -> None:
    reply = post_refresh(alice, **{header: "x" * 10_240})
    assert reply.status in (403, 404)
    assert register(alice, "x" * 10_240, **{header: "x" * 10_240}).status in (400, 403)
    page = alice.request("/protected", headers={header.replace("_", "-"): "x" * 10_240})
    assert page.status == 200


def test_a_body_is_not_read(alice: BoundBrowser) -> None:
    given = {"Cookie": alice.jar.header(), "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    assert alice.wire("POST", "/session/bound/refresh", given, b"{" * 5000).status == 403


# ---- registration


@pytest.fixture
def unbound(site: BoundSite, caplog: pytest.LogCaptureFixture) -> Iterator[tuple[BoundBrowser, str]]:
    """A browser that signed in, and the challenge it was offered. In the end it is signed in yet."""
    offers: list[str] = []
    wire = app_wire(site.app)
    browser = site.browser(lambda *sent: _noting(offers, wire(*sent)), can_bind=False)
    with caplog.at_level(logging.DEBUG):
        sign_in(browser)
        yield browser, offers[0].split('challenge="')[1].split('"')[0]
        site.clock.move(minutes=16)
        browser.jar.delete(SHORT)
        assert browser.request("/protected").status == 200
    assert "eyJhbGciOi" not in caplog.text


def _with_jwk(key: Any, algorithm: str, jwk: Any) -> Any:
    return lambda challenge: jwt.encode({"jti": challenge}, key, algorithm, headers={**TYPED, "jwk": jwk})


def _p384() -> Any:
    key = ec.generate_private_key(ec.SECP384R1())
    return _with_jwk(key, "ES384", json.loads(ECAlgorithm.to_jwk(key.public_key())))


def _curve_renamed() -> Any:
    """The members of a P-384 key under the name of the other curve."""
    key, signing = ec.generate_private_key(ec.SECP384R1()), DeviceKey()
    jwk = {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "crv": "P-256"}
    return lambda challenge: signing.sign({"jti": challenge}, {**TYPED, "jwk": jwk})


def _small_rsa() -> Any:
    key = rsa.generate_private_key(65537, 1024)
    sign = _with_jwk(key, "RS256", json.loads(RSAAlgorithm.to_jwk(key.public_key())))

    def signed(challenge: str) -> str:
        with warnings.catch_warnings(action="ignore"):  # which PyJWT has for such a key
            proof: str = sign(challenge)
        return proof

    return signed


def _members(**changed: Any) -> Any:
    key = DeviceKey()
    return lambda challenge: key.sign({"jti": challenge}, {**TYPED, "jwk": {**key.jwk, **changed}})


BAD_KEYS: dict[str, Any] = {
    "no proof": lambda challenge: None,
    "no JWT": lambda challenge: "rubbish",
    "no key": lambda challenge: DeviceKey().refresh_proof(challenge),
    "a wrong curve": _p384(),
    "a wrong curve under the right name": _curve_renamed(),
    "a short RSA key": _small_rsa(),
    "another's key": _members(**DeviceKey().jwk),
    "a point that is not on the curve": _members(x="AAAA" * 10 + "AAA"),
    "a coordinate that is a number": _members(x=1),
    "a coordinate that is missing": _members(y=None),
    "a symmetric key": _members(kty="oct", k="c2VjcmV0"),
    "an unknown kind": _members(kty="XX"),
    "a key that is a list": lambda challenge: DeviceKey().sign({"jti": challenge}, {**TYPED, "jwk": []}),
    "a wrong type": lambda challenge: _typed(challenge, "JWT"),
    "no challenge": lambda challenge: DeviceKey().sign({}, {**TYPED, "jwk": DeviceKey().jwk}),
    "a wrong challenge": lambda challenge: DeviceKey().registration_proof("mine"),
    "a challenge that was changed": lambda challenge: DeviceKey().registration_proof(challenge[:-1] + "!"),
    "oversized": lambda challenge: _typed(challenge, "dbsc+jwt", more="x" * 10_000),
}


def _typed(challenge: str, typ: str, **more: Any) -> str:
    key = DeviceKey()
    return key.sign({"jti": challenge, **more}, {"typ": typ, "jwk": key.jwk})


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_key_is_refused_and_the_session_stays_unbound(
    site: BoundSite, unbound: tuple[BoundBrowser, str], name: str
) -> None:
    browser, challenge = unbound
    reply = register(browser, BAD_KEYS[name](challenge))
    assert (reply.status, reply.code, reply.cookie_names) == (400, "device_binding_refused", set())
    assert site.row()["binding_key"] is None


def test_a_foreign_page_registers_nothing(site: BoundSite, unbound: tuple[BoundBrowser, str]) -> None:
    browser, challenge = unbound
    reply = register(browser, DeviceKey().registration_proof(challenge), **FOREIGN)
    assert (reply.status, reply.code, reply.cookie_names) == (403, "csrf_rejected", set())
    assert site.row()["binding_key"] is None


def test_a_key_is_registered_for_nobody(site: BoundSite, unbound: tuple[BoundBrowser, str]) -> None:
    browser, challenge = unbound
    reply = register(browser, DeviceKey().registration_proof(challenge), Cookie="")
    assert (reply.status, reply.code) == (400, "device_binding_refused")
    assert site.row()["binding_key"] is None


def test_a_key_is_registered_for_no_other_session(site: BoundSite, unbound: tuple[BoundBrowser, str]) -> None:
    browser, _ = unbound
    other = site.browser(can_bind=False)
    offers: list[str] = []
    wire = other.wire
    other.wire = lambda *sent: _noting(offers, wire(*sent))
    sign_in(other, "bob")
    proof = DeviceKey().registration_proof(offers[0].split('challenge="')[1].split('"')[0])
    assert register(browser, proof).code == "device_binding_refused"


def test_a_key_is_not_registered_hours_later(site: BoundSite, unbound: tuple[BoundBrowser, str]) -> None:
    browser, challenge = unbound
    site.clock.move(hours=1)
    assert register(browser, DeviceKey().registration_proof(challenge)).code == "device_binding_refused"


def test_a_second_registration_by_the_same_key_is_answered_as_the_first(
    site: BoundSite, unbound: tuple[BoundBrowser, str]
) -> None:
    browser, challenge = unbound
    proof = DeviceKey().registration_proof(challenge)
    first, second = register(browser, proof), register(browser, proof)
    assert (first.status, second.status) == (200, 200)
    assert first.json == second.json
    assert register(browser, DeviceKey().registration_proof(challenge)).code == "device_binding_refused"


def test_a_second_key_is_refused_and_the_first_goes_on(alice: BoundBrowser, site: BoundSite) -> None:
    before = site.row()["binding_key"]
    header = post_refresh(alice).header("Secure-Session-Challenge") or ""
    reply = register(alice, DeviceKey().registration_proof(header.split('"')[1]))
    assert (reply.status, reply.code, reply.cookie_names) == (400, "device_binding_refused", set())
    assert site.row()["binding_key"] == before


def test_a_key_is_not_registered_after_sign_out(site: BoundSite) -> None:
    offers: list[str] = []
    wire = app_wire(site.app)
    browser = site.browser(lambda *sent: _noting(offers, wire(*sent)), can_bind=False)
    sign_in(browser)
    jar = browser.jar.copy()
    browser.request("/sign-out", "POST")
    browser.jar = jar
    proof = DeviceKey().registration_proof(offers[0].split('challenge="')[1].split('"')[0])
    reply = register(browser, proof)
    assert (reply.status, reply.code, reply.cookie_names) == (400, "device_binding_refused", set())
    assert site.row()["binding_key"] is None


def test_over_http_no_key_is_asked_for(sqlite_url: str) -> None:
    site = BoundSite(sqlite_url, CORBADO_SESSION_COOKIE_SECURE=False)
    browser = sign_in(site.browser(app_wire(site.app, base_url="http://localhost"), origin="http://localhost"))
    assert (browser.events, browser.sessions) == ([], {})
    site.clock.move(minutes=16)
    assert browser.request("/protected").status == 200


# ---- the recorded vectors of Chromium 156, and its reader

CHALLENGE, AUTHORIZATION = "a8c1899d398228b9", "aza8c1899d398228b9"
REGISTRATION_PROOF = (
    "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6IjR5eDYxZ0FkajRLT290UXpqUGc2YUh6cDE1RlNZSGdMMy1K"
    "TGVQWWF3TEkiLCJ5IjoiaU9Va1RNR0MwZWZocjN0X3JqcFpQa0xWR29paHEwalZId2dUNWh0WHdsMCJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJhdXRob3Jp"
    "emF0aW9uIjoiYXphOGMxODk5ZDM5ODIyOGI5IiwianRpIjoiYThjMTg5OWQzOTgyMjhiOSJ9.Zrtf1Mi6PXNkO9lMPVfaAndfzmEueudfJSnOuy30nk9f"
    "udFzknTV2CldsKt4CeAYH_feaQ5ua8sRU9ldLpWVag"
)
REFRESH_CHALLENGE = "9d3623054c53cbee"
REFRESH_PROOF = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJqdGkiOiI5ZDM2MjMwNTRjNTNjYmVlIn0.r2jrBmlUawVXzxeUmb5LQu7uJPz_kuIxyXlb"
    "b4ATWnen_ko6Th9FzGKE2byM1Jg_7nJa9Zfww30_0KazbbiAzQ"
)


def test_the_recorded_proofs_of_chromium_hold() -> None:
    registration = read_registration(REGISTRATION_PROOF)
    assert registration.challenge == CHALLENGE
    assert read_refresh(REFRESH_PROOF, registration.jwk) == REFRESH_CHALLENGE


@pytest.mark.parametrize("place", range(20, len(REFRESH_PROOF), 29))
def test_the_recorded_proof_with_one_character_changed_does_not(place: int) -> None:
    jwk = read_registration(REGISTRATION_PROOF).jwk
    other = "A" if REFRESH_PROOF[place] != "A" else "B"
    changed = REFRESH_PROOF[:place] + other + REFRESH_PROOF[place + 1 :]
    with pytest.raises(InvalidProof):
        read_refresh(changed, jwk)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_the_software_browsers_proofs_hold(algorithm: str) -> None:
    key = DeviceKey(algorithm)
    registration = read_registration(key.registration_proof("a challenge"))
    assert registration.challenge == "a challenge"
    assert read_refresh(key.refresh_proof("another"), registration.jwk) == "another"
    with pytest.raises(InvalidProof):
        read_refresh(DeviceKey(algorithm).refresh_proof("another"), registration.jwk)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_session_may_be_bound_to_either_kind_of_key(site: BoundSite, algorithm: str) -> None:
    browser = site.bound(prefers=(algorithm,))
    site.clock.move(minutes=16)
    assert is_fine(site, browser)
