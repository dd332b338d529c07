"""A bearer token of another API, or of a proxy, neither hides good cookies nor switches their origin check off."""

from __future__ import annotations

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session.testing import expire_short
from tests.support.jars import SHORT
from tests.support.services import bearer
from tests.support.site import Site

SECRET = "a secret that is long enough " * 3
FOREIGN_PAGE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
ELSEWHERE = {
    "opaque": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "base64": "c29tZSBvcGFxdWUgdG9rZW4gb2YgYSBwcm94eQ==",
    "a JWT without a kid": jwt.encode({"sub": "mallory"}, SECRET),
    "a JWT of an unknown kid": jwt.encode({"sub": "mallory"}, SECRET, headers={"kid": "theirs"}),
    "an access token": jwt.encode({"sub": "mallory"}, SECRET, headers={"typ": "at+jwt", "kid": "theirs"}),
    "of another algorithm": jwt.encode({"sub": "mallory"}, SECRET, "HS512"),
    "unsigned": jwt.encode({"sub": "mallory"}, "", "none"),
    "longer than any of ours": jwt.encode({"sub": "m" * 5000}, SECRET),
    "five parts": "aaaaaaaaaa.bbbbbbbbbb.cccccccccc.dddddddddd.eeeeeeeeee",
}


@pytest.fixture
def alice(site: Site) -> FlaskClient:
    return site.signed_in()


def reason(client: FlaskClient, token: str) -> str | None:
    answer = client.get("/protected", headers=bearer(token))
    assert answer.status_code in (200, 401)
    return None if answer.status_code == 200 else answer.get_json()["reason"]


def test_a_proxy_s_token_hid_the_cookies_of_who_is_signed_in(subtests: pytest.Subtests, alice: FlaskClient) -> None:
    for name, token in ELSEWHERE.items():
        with subtests.test(name=name):
            assert alice.get("/protected", headers=bearer(token)).get_json()["user_id"] == "alice"
            assert alice.get("/session", headers=bearer(token)).get_json()["user_id"] == "alice"


def test_without_cookies_it_is_refused_by_its_reason_as_ever(subtests: pytest.Subtests, app: Flask) -> None:
    for name, token in ELSEWHERE.items():
        with subtests.test(name=name):
            answer = app.test_client().get("/protected", headers=bearer(token))
            assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_token")
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_beside_cookies_that_are_nobody_s_it_is_refused_too(app: Flask) -> None:
    client = app.test_client()
    client.set_cookie(SHORT, "garbage")
    assert reason(client, ELSEWHERE["opaque"]) == "malformed"


def test_it_does_not_spare_the_cookies_the_origin_check(subtests: pytest.Subtests, alice: FlaskClient) -> None:
    """A proxy adds its token to the request of a foreign page as well."""
    for name, token in ELSEWHERE.items():
        with subtests.test(name=name):
            for path in ("/protected", "/sign-out", "/session/logout", "/session/revoke-others"):
                answer = alice.post(path, headers=bearer(token) | FOREIGN_PAGE)
                assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")
    assert alice.get("/protected").status_code == 200


def test_a_foreign_page_signs_nobody_in_through_a_proxy_that_adds_a_token(app: Flask) -> None:
    given = bearer(ELSEWHERE["opaque"]) | FOREIGN_PAGE
    assert app.test_client().post("/sign-in", data={"user": "mallory"}, headers=given).status_code == 403


def test_the_cookies_are_refreshed_and_signed_out_behind_a_proxy_s_token(site: Site, alice: FlaskClient) -> None:
    given = bearer(ELSEWHERE["a JWT of an unknown kid"])
    site.clock.move(minutes=16)
    expire_short(alice)
    assert site.ask(alice, headers=given).facts[:2] == (200, ["UPDATE"])
    assert alice.post("/session/refresh", headers=given).status_code == 200
    assert alice.post("/session/logout", headers=given).status_code == 204
    assert alice.get("/protected").status_code == 401


def test_a_token_of_ours_that_no_longer_holds_is_judged_alone(site: Site, alice: FlaskClient) -> None:
    cookie = site.signed_in("bob").get_cookie(SHORT)
    assert cookie is not None
    kid = jwt.get_unverified_header(cookie.value)["kid"]
    forged = jwt.encode({"sub": "bob"}, SECRET, headers={"kid": kid})
    assert reason(alice, forged) == "signature"
    site.clock.move(minutes=16)
    assert reason(alice, cookie.value) == "expired"


def test_a_token_of_another_app_on_our_key_is_made_elsewhere(site: Site, alice: FlaskClient) -> None:
    other = Site(site.url, CORBADO_SESSION_ISSUER="https://other.example")
    cookie = other.signed_in("bob").get_cookie(SHORT)
    assert cookie is not None
    assert reason(site.nobody(), cookie.value) == "unknown_key"  # the key is derived from the issuer, too
    assert reason(alice, cookie.value) is None
