"""Public failures of session libraries: signing in and out, second factors, users who are gone, stores.

Which advisories there must be tests of is listed in ``tests/unit/test_advisories.py``.
"""

from __future__ import annotations

import io
import math
import pickle
import string
from pathlib import Path
from typing import Any

import pytest
from flask import Response, jsonify, session
from flask.testing import FlaskClient

from flask_corbado_session import (
    SettingsError,
    confirm_login,
    current_session,
    fresh_login_required,
    login_user,
    logout_user,
)
from flask_corbado_session.testing import copy_jar, expire_short
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.tokens.long import LongTokenSigner, first_token
from tests.support.apps import SECRET_KEY, make_app, rows_of
from tests.support.jars import DEVICE, LONG, SHORT, SessionRows, payload
from tests.support.services import bearer
from tests.support.short_tokens import encode
from tests.support.site import Site, cookie_of


@pytest.fixture
def alice(site: Site) -> FlaskClient:
    return site.signed_in(amr=["pwd"])


def add_step_up(site: Site) -> None:
    """Two views that ask for more than a session, and one that confirms it."""
    pay = fresh_login_required(max_age=300)(lambda: jsonify(user=current_session.user_id))
    site.app.add_url_rule("/pay", "pay", pay)
    site.app.add_url_rule("/vault", "vault", fresh_login_required(amr=["pwd", "otp"])(lambda: "open"))
    site.app.add_url_rule("/confirm", "confirm", lambda: str(confirm_login(amr=["pwd"])), methods=["POST"])


# ---- what a request may be given


def test_cve_2021_21241_no_get_answers_with_a_token(sqlite_url: str) -> None:
    """Flask-Security: a GET of the login page gave the token to whatever page had the browser ask for it."""
    origin = "https://app.example.com"
    site = Site(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=[origin])
    alice = site.signed_in()
    for path in ("/session", "/session/refresh", "/session/devices", "/sign-in", "/session/resume"):
        site.clock.move(minutes=20)
        for headers in ({"Origin": origin}, {"Accept": "application/json"}, {"Sec-Fetch-Dest": "script"}):
            answer = alice.get(f"{path}?include_auth_token", headers=headers)
            tokens = [cookie_of(alice, name) for name in (SHORT, LONG, DEVICE)]
            assert not any(token in answer.text for token in tokens)
            assert "token" not in (answer.get_json(silent=True) or {})
    foreign = alice.post("/session/refresh", headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.get_json()["code"]) == (403, "csrf_rejected")


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], 5, None, True])
def test_flask_security_1258_a_field_that_is_no_text_is_a_400(site: Site, alice: FlaskClient, value: Any) -> None:
    """Its JSON fields were taken for texts, and an object in one was a 500."""
    _, device_id = site.ids()
    answer = alice.post(f"/session/devices/{device_id}/name", json={"name": value})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")
    for path in ("/session/logout", "/session/refresh", f"/session/devices/{device_id}/revoke"):
        assert alice.post(path, json={"next": value, "page": value}).status_code < 500


class _Endless(io.RawIOBase):
    """A body without an end, and how much of it was read."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        if self.taken > 1024 * 1024:
            raise MemoryError("a megabyte was read")
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("length", [10**9, None], ids=["a gigabyte", "chunked"])
def test_cve_2024_49767_no_route_of_ours_reads_what_no_form_holds(
    site: Site, alice: FlaskClient, kind: str, length: int | None
) -> None:
    """Werkzeug, and the parts of CVE-2023-25577: whoever found a view that reads a form had memory taken."""
    _, device_id = site.ids()
    for path in ("logout", "refresh", "revoke-others", f"devices/{device_id}/name", "disown/x"):
        for client in (site.nobody(), copy_jar(alice)):
            body = _Endless()
            environ = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_TYPE": kind}
            environ |= {} if length is None else {"CONTENT_LENGTH": str(length)}
            answer = client.post(f"/session/{path}", environ_overrides=environ)
            assert body.taken <= 256 * 1024
            if length is not None:
                assert (answer.status_code, answer.get_json()["code"], body.taken) == (413, "body_too_large", 0)
            else:
                assert answer.status_code < 500


# ---- factors and freshness


def test_ghsa_f66q_who_confirms_a_login_is_who_the_session_belongs_to(site: Site, alice: FlaskClient) -> None:
    """Flask-Security: anybody's passkey made anybody's session fresh."""
    add_step_up(site)
    site.clock.move(minutes=10)
    bob = site.signed_in("bob")
    both = alice.post("/confirm", headers=bearer(cookie_of(bob)))
    assert (both.status_code, payload(cookie_of(alice))["sub"]) == (200, "bob")
    # it was bob's login that was confirmed, in a session of bob's; alice's own is as old as it was
    assert alice.get("/pay").get_json() == {"user": "bob"}
    assert [session.user_id for session in rows_of(site.app).revocation.history("alice")] == ["alice"]


def test_ghsa_97r5_nothing_but_a_sign_in_makes_a_session_fresh(site: Site, alice: FlaskClient) -> None:
    """Flask-Security: another flow than the one that asks again refreshed the time of the last proof."""
    add_step_up(site)
    site.app.add_url_rule("/older", "older", lambda: str(login_user("alice", fresh=False)), methods=["POST"])

    @site.app.post("/claims")
    def claims() -> str:
        site.sessions.refresh_claims()
        return "refreshed"

    session_id, device_id = site.ids()
    site.clock.move(minutes=6)
    with site.app.app_context():
        site.sessions.expire_short("alice")
    for path in ("refresh", "revoke-others", f"devices/{device_id}/name"):
        assert alice.post(f"/session/{path}", data={"name": "mine"}).status_code in (200, 204)
        assert alice.get("/pay").status_code == 401
    for path in ("/claims", "/older"):
        assert alice.post(path).status_code == 200
        assert alice.get("/pay").status_code == 401
    assert alice.post("/confirm").status_code == 200
    assert (alice.get("/pay").status_code, site.ids()[0] == session_id) == (200, False)


def test_ghsa_xg6x_a_second_factor_that_is_missing_leaves_no_token_in_the_answer(site: Site) -> None:
    """better-auth: the first factor's answer set a valid cookie, and only after it one that deletes it."""

    @site.app.post("/first-factor")
    def first_factor() -> Response:
        login_user("alice", amr=["pwd"])
        logout_user()  # a second factor is wanted
        session["pending"] = "alice"
        return jsonify(next="second factor")

    client = site.nobody()
    answer = client.post("/first-factor")
    ours = [header for header in answer.headers.getlist("Set-Cookie") if header.startswith((SHORT, LONG))]
    assert [header.partition(";")[0] for header in ours] == [f"{SHORT}=", f"{LONG}="]
    assert client.get_cookie(SHORT) is None
    assert client.get_cookie(LONG) is None
    assert [session.end_reason for session in rows_of(site.app).revocation.history("alice")] == ["signed_out"]
    assert client.get("/protected").status_code == 401


def test_ghsa_xg6x_no_remembered_token_stands_for_a_second_factor(site: Site, alice: FlaskClient) -> None:
    """A short session that was verified before, and is remembered, says what it said: by password alone."""
    add_step_up(site)
    before = copy_jar(alice)
    assert (alice.get("/protected").status_code, alice.get("/vault").status_code) == (200, 401)
    full = site.signed_in(amr=["pwd", "otp"])
    assert full.get("/vault").text == "open"
    assert (before.get("/vault").status_code, alice.get("/vault").status_code) == (401, 401)


# ---- signing out


def test_better_auth_6049_an_unsigned_cookie_ends_nobodys_session(site: Site, alice: FlaskClient) -> None:
    """Its sign-out deleted the session of every cookie that came, forged ones too."""
    session_id, _ = site.ids()
    claims = {**payload(cookie_of(alice)), "sid": session_id}
    forged = LongTokenSigner(["the key of somebody else altogether"]).dump(first_token(session_id)[0])
    cut = cookie_of(alice, LONG).rpartition(".")[0]
    bob = site.signed_in("bob")
    for name, value in ((SHORT, f"{encode({'alg': 'none'})}.{encode(claims)}."), (LONG, forged), (LONG, cut)):
        thief = copy_jar(bob)
        thief.set_cookie(name, value)
        assert thief.post("/session/logout").status_code == 204
        thief.set_cookie("__Host-cbo_short_session_multi-alice", session_id)
        thief.post("/session/logout")
    assert site.end_reasons() == []
    assert alice.get("/recheck").status_code == 200


def test_better_auth_9991_a_remembered_token_is_asked_for_its_end_each_time(site: Site, alice: FlaskClient) -> None:
    """Its cache took what was signed, expired or not; and a GET that signs out skipped the check of the origin."""
    token = cookie_of(alice)
    for minutes, status in ((0, 200), (14, 200), (1, 401), (600, 401)):
        site.clock.move(minutes=minutes)
        assert site.nobody().get("/protected", headers=bearer(token)).status_code == status
    for method in ("GET", "HEAD"):
        assert alice.open("/session/logout", method=method).status_code == 405
    assert alice.post("/session/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert site.end_reasons() == []


def test_flask_jwt_extended_a_refresh_after_the_view_does_not_undo_the_sign_out(site: Site, alice: FlaskClient) -> None:
    """Its documentation's ``after_request`` that refreshes tokens gave the answer of a logout new ones."""
    site.app.after_request(lambda response: (bool(current_session), response)[1])
    site.clock.move(minutes=20)
    answer = site.ask(alice, "/sign-out", "POST")
    assert {name: "Max-Age=0" in header for name, header in answer.cookies.items()} == {SHORT: True, LONG: True}
    assert alice.get("/protected").status_code == 401


def test_flask_jwt_extended_a_list_of_ended_sessions_is_built_in(site: Site, alice: FlaskClient) -> None:
    """Its blocklist is the app's to write; without one a token outlives the logout."""
    other, token = site.second_server(), cookie_of(alice)
    assert other.test_client().get("/protected", headers=bearer(token)).status_code == 200
    alice.post("/session/logout")
    site.clock.move(seconds=1)
    answer = other.test_client().get("/protected", headers=bearer(token))
    assert (answer.status_code, answer.get_json()["reason"]) == (401, "revoked")


def test_superset_2025_a_copy_of_the_cookies_ends_with_the_logout(site: Site, alice: FlaskClient) -> None:
    """Its cookie was the session itself: to forget it in one browser ended no copy."""
    thief = copy_jar(alice)
    alice.post("/session/logout")
    assert thief.get("/protected").status_code == 401
    expire_short(thief)
    assert thief.get("/protected").get_json()["reason"] == "signed_out"


def test_cve_2020_10594_a_revoked_session_is_not_refreshed(site: Site, alice: FlaskClient) -> None:
    """drf-jwt: a blocked token was good for a new one."""
    thief = copy_jar(alice)
    with site.app.app_context():
        site.sessions.revoke_user("alice")
    for path, method in (("/session/refresh", "POST"), ("/protected", "GET"), ("/protected", "POST")):
        for client in (alice, thief):
            assert site.ask(client, path, method).facts[::2] == (401, [])
        expire_short(thief)
    assert site.end_reasons() == ["operator"]


# ---- users who are gone


@pytest.mark.parametrize("user", [None, type("Blocked", (), {"is_active": False})()], ids=["deleted", "inactive"])
def test_cve_2024_22513_a_disabled_user_is_refused_at_the_refresh(site: Site, alice: FlaskClient, user: Any) -> None:
    """simplejwt: nothing asked whether the user was still active."""
    site.sessions.user_loader(lambda user_id: user)
    site.clock.move(minutes=20)
    answer = site.ask(alice)
    assert (answer.status, answer.json["reason"], answer.cookies) == (401, "user_disabled", {})
    assert site.end_reasons() == ["user_disabled"]


def test_flask_login_0_6_3_the_address_is_the_connections_and_no_reason_to_sign_out(site: Site) -> None:
    """It read ``X-Forwarded-For`` itself, and ``session_protection`` signed people out in another network."""
    how: dict[str, Any] = {"headers": {"X-Forwarded-For": "203.0.113.9"}, "environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    client = site.nobody()
    client.post("/sign-in", data={"user": "alice"}, **how)
    assert site.devices()[0].sessions[0].ip == "192.0.2.7"
    for address, user_agent in (("198.51.100.1", "A/1"), ("2001:db8::1", "B/2")):
        site.clock.move(minutes=20)
        elsewhere = {"environ_base": {"REMOTE_ADDR": address}, "headers": {"User-Agent": user_agent}}
        assert client.get("/protected", **elsewhere).status_code == 200
    assert site.end_reasons() == []


# ---- keys and stores


SUPERSETS = [
    "\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "TEST_NON_DEV_SECRET",
    "USE_YOUR_OWN_SECURE_RANDOM_KEY",
    "thisISaSECRET_1234",
]


@pytest.mark.parametrize("key", [*SUPERSETS, "dev", "", None])
def test_cve_2023_27524_an_app_with_a_key_that_everybody_knows_does_not_start(sqlite_url: str, key: Any) -> None:
    """Superset shipped with its key in the source, and anybody could sign the cookie of its first user."""
    with pytest.raises(SettingsError, match="SECRET_KEY"):
        make_app(sqlite_url, TESTING=False, DEBUG=False, SECRET_KEY=key)


def test_flask_session_0_7_an_unknown_session_id_is_never_adopted(site: Site, alice: FlaskClient) -> None:
    """It made a new session under the id that came, so that whoever chose the id had the session."""
    chosen = LongTokenSigner([SECRET_KEY]).dump(first_token(new_id())[0])  # well signed, and of no row
    client = site.nobody()
    client.set_cookie(LONG, chosen)
    assert client.get("/protected").status_code == 401
    client.post("/sign-in", data={"user": "bob"})
    assert cookie_of(client, LONG) != chosen
    old = cookie_of(alice, LONG)
    alice.post("/sign-in", data={"user": "alice"})
    assert (cookie_of(alice, LONG) != old, site.end_reasons()) == (True, ["superseded"])


def test_flask_session_0_7_an_id_has_more_than_128_bits(site: Site) -> None:
    """Its ids had 122."""
    assert math.log2(len(string.ascii_letters + string.digits)) * len(new_id()) > 128
    assert len({new_id() for _ in range(10_000)}) == 10_000


class _Evil:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_cve_2021_33026_what_lies_in_the_store_is_never_run(sqlite_url: str, tmp_path: Path) -> None:
    """Flask-Caching, and Beaker (CVE-2013-7489): whoever could write to the cache ran code, for it held pickles."""
    touched = tmp_path / "touched"
    evil = pickle.dumps(_Evil(touched), 0).decode("latin-1")
    pickle.loads(evil.encode("latin-1"))
    assert touched.exists()  # or the rest would prove nothing
    touched.unlink()
    site = Site(sqlite_url, PROPAGATE_EXCEPTIONS=False)
    alice = site.signed_in()
    with SessionRows(sqlite_url) as rows:
        for column in ("claims", "amr", "user_agent", "ip"):
            rows.put(rows.one()["id"], **{column: evil})
            site.clock.move(minutes=20)
            copy_jar(alice).get("/protected")
            copy_jar(alice).get("/session/devices")
    assert not touched.exists()
