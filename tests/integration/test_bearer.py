"""Bearer tokens (RFC 6750): read from one header, never refreshed, never mixed with cookies, told by exact errors."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_corbado_session.testing import MovingClock, expire_short, signed_in
from tests.support.apps import make_app, rows_of, state_of, statements
from tests.support.databases import engines_disposed
from tests.support.jars import LONG, SHORT, Jar
from tests.support.rules import database_down
from tests.support.servers import ServerProcess
from tests.support.services import bearer
from tests.support.site import cookie_of

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
CHALLENGE = re.compile(r'Bearer error="invalid_token", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+"')


@pytest.fixture
def alice(app: Flask, clock: MovingClock) -> FlaskClient:
    return signed_in(app, "alice")


@pytest.fixture
def nobody(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


def cookies_of(client: FlaskClient) -> dict[str, str]:
    found = {name: client.get_cookie(name) for name in (SHORT, LONG)}
    return {"Cookie": "; ".join(f"{name}={cookie.value}" for name, cookie in found.items() if cookie)}


def is_refused(answer: TestResponse, reason: str) -> bool:
    """The 401 of RFC 6750 §3.1, for that reason, that changes nothing."""
    told = answer.get_json()
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert CHALLENGE.fullmatch(answer.headers["WWW-Authenticate"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert told["code"] == "invalid_token"
    return bool(told["reason"] == reason)


# ---- the header


def test_the_scheme_has_no_case_and_blanks_do_not_count(
    subtests: pytest.Subtests, alice: FlaskClient, nobody: FlaskClient
) -> None:
    for blanks in [" ", "  ", "     "]:
        for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"]:
            with subtests.test(scheme=scheme, blanks=blanks):
                answer = nobody.get("/protected", headers={"Authorization": f"{scheme}{blanks}{cookie_of(alice)}"})
                assert (answer.status_code, answer.get_json()["user_id"]) == (200, "alice")


WRONG = {
    "empty": ("Bearer", "empty"),
    "a blank": ("Bearer ", "empty"),
    "two blanks": ("Bearer  ", "empty"),
    "no token": ("Bearer x", "malformed"),
    "no-break space": ("Bearer \xa0{token}", "malformed"),
    "a tab": ("Bearer \t{token}", "malformed"),
    "in quotes": ('Bearer "{token}"', "malformed"),
    "named": ("Bearer token={token}", "malformed"),
    "two tokens": ("Bearer {token} {token}", "malformed"),
    "two headers in one": ("Bearer {token},Bearer {token}", "malformed"),
    "twice the scheme": ("Bearer Bearer {token}", "malformed"),
    "with padding": ("Bearer {token}=", "malformed"),
    "not ASCII": ("Bearer {token}\xfc", "malformed"),
    "UTF-8": ("Bearer \xc3\xa9", "malformed"),
    "10 kB": ("Bearer " + "x" * 10_000, "malformed"),
    "10 kB of parts": ("Bearer " + ".x" * 5_000, "malformed"),
    "the long one": ("Bearer {long}", "malformed"),
}


def test_what_is_no_token_is_refused_by_its_reason(
    subtests: pytest.Subtests, app: Flask, alice: FlaskClient, nobody: FlaskClient
) -> None:
    for name in WRONG:
        with subtests.test(name=name):
            header, reason = WRONG[name]
            long = alice.get_cookie(LONG)
            assert long is not None
            header = header.format(token=cookie_of(alice), long=long.value)
            answer = nobody.get("/protected", environ_overrides={"HTTP_AUTHORIZATION": header})
            assert is_refused(answer, reason)
            assert cookie_of(alice) not in answer.text + str(answer.headers)


def test_without_a_token_the_challenge_names_no_error(nobody: FlaskClient) -> None:
    """RFC 6750 §3.1: no error code or other error information where nothing was sent."""
    answer = nobody.get("/protected")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="session"'


OTHER_SCHEMES = ["Basic YWxpY2U6eA==", "Bearer\t{token}", "Bearer:{token}", "Bearertoken {token}", "Token {token}",
                 "{token}", "", "JWT {token}", "Basic x, Bearer {token}", "DPoP {token}"]  # fmt: skip


def test_another_scheme_is_none_of_ours_and_leaves_the_cookies_alone(
    subtests: pytest.Subtests, alice: FlaskClient, nobody: FlaskClient
) -> None:
    for header in OTHER_SCHEMES:
        with subtests.test(header=header):
            given = {"HTTP_AUTHORIZATION": header.format(token=cookie_of(alice))}
            assert nobody.get("/protected", environ_overrides=given).status_code == 401
            assert alice.get("/protected", environ_overrides=given).get_json()["user_id"] == "alice"
            foreign = alice.post("/protected", environ_overrides=given, headers=FOREIGN)
            assert (foreign.status_code, foreign.get_json()["code"]) == (403, "csrf_rejected")


def test_a_token_elsewhere_than_in_the_header_is_ignored(
    subtests: pytest.Subtests, alice: FlaskClient, nobody: FlaskClient
) -> None:
    for name in ["access_token", "token", "bearer", "Authorization", SHORT]:
        with subtests.test(name=name):
            given = {name: cookie_of(alice)}
            answers = [
                nobody.get("/protected", query_string=given),
                nobody.post("/protected", data=given),
                nobody.post("/protected", json=given),
                nobody.get(
                    "/protected", headers={"X-Access-Token": cookie_of(alice), "Proxy-Authorization": "Bearer x"}
                ),
            ]
            assert [answer.status_code for answer in answers] == [401] * 4
            assert {answer.get_json()["code"] for answer in answers} == {"unauthenticated"}


# ---- cookies, statements, refresh


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_it_costs_no_statement_and_sets_no_cookie(
    app: Flask, alice: FlaskClient, nobody: FlaskClient, method: str
) -> None:
    alice.get("/protected")
    with statements(app) as seen:
        answer = nobody.open("/protected", method=method, headers=bearer(cookie_of(alice)) | FOREIGN)
    assert (answer.status_code, seen) == (200, [])
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def test_an_expired_one_is_refused_though_the_cookies_would_refresh(
    app: Flask, alice: FlaskClient, nobody: FlaskClient, clock: MovingClock
) -> None:
    token, cookies = cookie_of(alice), cookies_of(alice)
    clock.move(minutes=16)
    with statements(app) as seen:
        assert is_refused(nobody.get("/protected", headers=bearer(token) | cookies), "expired")
    assert seen == []
    assert nobody.get("/protected", headers=cookies).status_code == 200


def test_it_wins_over_the_cookies_of_somebody_else(app: Flask, alice: FlaskClient, nobody: FlaskClient) -> None:
    bob = signed_in(app, "bob")
    assert nobody.get("/protected", headers=bearer(cookie_of(bob)) | cookies_of(alice)).get_json()["user_id"] == "bob"
    assert is_refused(nobody.get("/protected", headers=bearer("x") | cookies_of(alice)), "malformed")


def test_a_view_for_everybody_sees_nobody_behind_a_bad_one(alice: FlaskClient, nobody: FlaskClient) -> None:
    answer = nobody.get("/who", headers=bearer("x") | cookies_of(alice))
    assert (answer.status_code, answer.get_json()["user_id"]) == (200, None)


def test_refresh_by_bearer_is_refused_and_changes_nothing(app: Flask, alice: FlaskClient, nobody: FlaskClient) -> None:
    with statements(app) as seen:
        answer = nobody.post("/session/refresh", headers=bearer(cookie_of(alice)) | cookies_of(alice))
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
    assert [each for each in seen if each.startswith("UPDATE")] == []


def test_who_am_i_is_told_by_bearer(alice: FlaskClient, nobody: FlaskClient) -> None:
    told = nobody.get("/session", headers=bearer(cookie_of(alice))).get_json()
    assert told["user_id"] == "alice"
    assert set(told) >= {"session_id", "claims", "issued_at", "expires_at", "auth_time", "amr"}
    assert is_refused(nobody.get("/session", headers=bearer("x")), "malformed")


def test_with_the_database_down_it_serves(app: Flask, sqlite_url: str, alice: FlaskClient, nobody: FlaskClient) -> None:
    token = cookie_of(alice)
    with database_down(rows_of(app).database, sqlite_url):
        assert nobody.get("/protected", headers=bearer(token)).status_code == 200
        assert is_refused(nobody.get("/protected", headers=bearer("x")), "malformed")


def test_a_revoked_one_is_refused_as_revoked(app: Flask, alice: FlaskClient, nobody: FlaskClient) -> None:
    token = cookie_of(alice)
    alice.post("/sign-out")
    assert is_refused(nobody.get("/protected", headers=bearer(token)), "revoked")


# ---- signing out, and what may be ended


@pytest.mark.parametrize("path", ["/session/logout", "/sign-out"])
def test_signing_out_by_bearer_alone_ends_its_session(alice: FlaskClient, nobody: FlaskClient, path: str) -> None:
    """It said 204 and ended nothing."""
    token = cookie_of(alice)
    assert nobody.post(path, headers=bearer(token)).status_code in (200, 204)
    assert is_refused(nobody.get("/protected", headers=bearer(token)), "revoked")
    expire_short(alice)
    assert alice.get("/protected").status_code == 401


def test_signing_out_by_a_bearer_that_does_not_hold_says_so(
    alice: FlaskClient, nobody: FlaskClient, clock: MovingClock
) -> None:
    assert is_refused(nobody.post("/session/logout", headers=bearer("x") | cookies_of(alice)), "malformed")
    assert alice.get("/protected").status_code == 200


def test_another_session_of_the_same_user_is_ended_by_bearer(
    app: Flask, alice: FlaskClient, nobody: FlaskClient
) -> None:
    other = signed_in(app, "alice")
    session_id = other.get("/session").get_json()["session_id"]
    path = f"/session/{session_id}/revoke"
    assert nobody.post(path, headers=bearer(cookie_of(alice)) | FOREIGN).status_code == 204
    expire_short(other)
    assert other.get("/protected").status_code == 401


def test_another_users_session_is_not(app: Flask, alice: FlaskClient, nobody: FlaskClient) -> None:
    bob = signed_in(app, "bob")
    path = f"/session/{bob.get('/session').get_json()['session_id']}/revoke"
    assert nobody.post(path, headers=bearer(cookie_of(alice))).status_code == 404
    assert bob.get("/protected").status_code == 200


# ---- audience


def test_no_audience_is_written_unless_one_is_configured(sqlite_url: str, tmp_path: Any) -> None:
    same = {"CORBADO_SESSION_ISSUER": "one name for both"}
    app, _, _ = make_app(sqlite_url, **same)
    told = state_of(app).short_sessions.verify(cookie_of(signed_in(app, "alice")))
    assert "aud" not in told.claims
    other, _, _ = make_app(f"sqlite:///{tmp_path / 'other.sqlite'}", CORBADO_SESSION_AUDIENCE="orders", **same)
    here, there = cookie_of(signed_in(app, "alice")), cookie_of(signed_in(other, "alice"))
    assert other.test_client().get("/protected", headers=bearer(there)).status_code == 200
    assert is_refused(other.test_client().get("/protected", headers=bearer(here)), "audience")
    assert is_refused(app.test_client().get("/protected", headers=bearer(there)), "audience")


def test_the_audience_counts_for_cookies_too(sqlite_url: str, tmp_path: Any) -> None:
    same = {"CORBADO_SESSION_ISSUER": "one name for both"}
    app, _, _ = make_app(sqlite_url, **same)
    other, _, _ = make_app(f"sqlite:///{tmp_path / 'other.sqlite'}", CORBADO_SESSION_AUDIENCE="orders", **same)
    token = cookie_of(signed_in(app, "alice"))
    assert other.test_client().get("/protected", headers={"Cookie": f"{SHORT}={token}"}).status_code == 401


# ---- over a real server, header by header


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    url = f"sqlite:///{tmp_path_factory.mktemp('bearer') / 'site.sqlite'}"
    with engines_disposed():
        make_app(url)
    with ServerProcess(url) as server:
        yield server


def said(server: ServerProcess, *headers: bytes) -> int:
    """The status of an answer to these very header lines."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        lines = [b"GET /protected HTTP/1.1", b"Host: localhost", b"Connection: close", *headers, b"", b""]
        peer.sendall(b"\r\n".join(lines))
        return int(peer.makefile("rb").readline().split()[1])


def test_on_the_wire_one_good_header_counts_and_nothing_else(server: ServerProcess) -> None:
    jar = Jar()
    server.asked(jar, "/sign-in", "POST", user="alice")
    good = b"Authorization: Bearer " + jar.cookies[SHORT].encode()
    cookie = f"Cookie: {SHORT}={jar.cookies[SHORT]}".encode()
    assert said(server, good) == 200
    assert said(server, good.replace(b"Authorization: Bearer", b"authorization:   bEARER  ") + b"  \t") == 200
    assert said(server, good, good) == 401
    assert said(server, good, b"Authorization: Bearer x") == 401
    assert said(server, b"Authorization: Bearer x", good) == 401
    assert said(server, b"Authorization: Bearer x", cookie) == 401
    assert said(server, b"Authorization: Basic eDp5", cookie) == 200
    assert said(server, b"Authorization: Basic eDp5", good) == 401
    assert said(server, b"Authorization: Bearer " + b"x" * 10_000) == 401
    assert said(server, b"Authorization: Bearer \xff\xfe", cookie) == 401
    assert said(server, b"Authorization:", cookie) == 200
