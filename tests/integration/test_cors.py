"""Three routes are shared with the pages of exactly the origins that were named, and nothing else with anybody."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from flask_corbado_session.testing import expire_short, signed_in
from tests.support.apps import make_app, rows_of, state_of
from tests.support.databases import engines_disposed
from tests.support.jars import LONG, SHORT
from tests.support.rules import database_down
from tests.support.services import bearer
from tests.support.site import cookie_of

APP, OTHER = "https://app.example.com", "https://admin.example.com:8443"
ALLOWED = [APP, OTHER]
ROUTES = [("/session", "GET"), ("/session/refresh", "POST"), ("/session/logout", "POST")]
STRANGERS = [
    "null",
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com:443",
    "https://app.example.com/",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://sub.app.example.com",
    "https://example.com",
    "https://app.example.co",
    "https://app.example.com@evil.example",
    "https://app.example.com, https://evil.example",
    "https://app.example.com https://evil.example",
    "https://app_example.com",
    "https://admin.example.com",
    "https://app.example.com\x00",
    "*",
    "app.example.com",
    "file://",
    "chrome-extension://abcdefgh",
    "https://xn--pp-eka.example.com",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """One for all: each test signs in for itself."""
    url = f"sqlite:///{tmp_path_factory.mktemp('cors') / 'site.sqlite'}"
    with engines_disposed():
        return make_app(url, CORBADO_SESSION_CORS_ORIGINS=ALLOWED)[0]


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    return signed_in(app, "alice")


def shared(answer: Response) -> dict[str, str]:
    """What it says to the page of another origin."""
    return {name: value for name, value in answer.headers.items() if name.lower().startswith("access-control-")}


def ask(client: FlaskClient, path: str, method: str, origin: str | None, **how: Any) -> TestResponse:
    """As a page of that origin asks: the browser says where it comes from."""
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site"} if origin is not None else {}
    environ = {"HTTP_ORIGIN": origin} if origin is not None else {}
    return client.open(path, method=method, headers=headers | how.pop("headers", {}), environ_overrides=environ, **how)


# ---- an allowed origin


def test_an_allowed_origin_may_read_the_answer(subtests: pytest.Subtests, alice: FlaskClient) -> None:
    for path, method in ROUTES:
        for origin in ALLOWED:
            with subtests.test(origin=origin, path=path, method=method):
                answer = ask(alice, path, method, origin)
                assert answer.status_code in (200, 204)
                assert shared(answer) == {
                    "Access-Control-Allow-Origin": origin,
                    "Access-Control-Allow-Credentials": "true",
                    "Access-Control-Expose-Headers": "Retry-After, WWW-Authenticate, Date",
                }


def test_the_preflight_of_an_allowed_origin_says_what_it_may_send(
    subtests: pytest.Subtests, alice: FlaskClient
) -> None:
    for path, method in ROUTES:
        for origin in ALLOWED:
            with subtests.test(origin=origin, path=path, method=method):
                asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
                answer = ask(alice, path, "OPTIONS", origin, headers=asked)
                assert answer.status_code == 200
                assert shared(answer) == {
                    "Access-Control-Allow-Origin": origin,
                    "Access-Control-Allow-Credentials": "true",
                    "Access-Control-Allow-Methods": "GET, POST",
                    "Access-Control-Allow-Headers": "Authorization, Content-Type",
                    "Access-Control-Max-Age": "600",
                }
                assert "Set-Cookie" not in answer.headers


def test_a_preflight_refreshes_nothing(app: Flask, alice: FlaskClient) -> None:
    expire_short(alice)
    before = alice.get_cookie(LONG)
    ask(alice, "/session/refresh", "OPTIONS", APP, headers={"Access-Control-Request-Private-Network": "true"})
    assert alice.get_cookie(LONG) == before
    assert alice.get_cookie(SHORT) is None


def test_only_the_refresh_of_an_allowed_origin_brings_a_token(app: Flask, alice: FlaskClient) -> None:
    told = ask(alice, "/session/refresh", "POST", APP).get_json()
    assert set(told) == {"expires_at", "claims", "token"}
    assert state_of(app).short_sessions.verify(told["token"]).user_id == "alice"
    assert app.test_client().get("/protected", headers=bearer(told["token"])).status_code == 200
    assert "token" not in ask(alice, "/session", "GET", APP).get_json()


def test_the_token_is_the_one_of_the_cookie(alice: FlaskClient) -> None:
    told = ask(alice, "/session/refresh", "POST", APP).get_json()
    cookie = cookie_of(alice)
    assert told["token"] == cookie


@pytest.mark.parametrize("origin", [None, "http://localhost", "https://localhost", "HTTPS://APP.EXAMPLE.COM"])
def test_nobody_else_gets_a_token(alice: FlaskClient, origin: str | None) -> None:
    """Of a page of the same origin script must not read it (XSS), and no browser writes an origin in capitals."""
    answer = ask(alice, "/session/refresh", "POST", origin, headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, set(answer.get_json())) == (200, {"expires_at", "claims"})
    assert shared(answer) == {}


def test_an_origin_that_is_our_own_gets_no_token_though_it_was_named(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=["http://localhost", APP])
    answer = ask(signed_in(app, "alice"), "/session/refresh", "POST", "http://localhost")
    assert (answer.status_code, "token" in answer.get_json()) == (200, False)


@pytest.mark.parametrize(("path", "method"), [("/session/refresh", "GET"), ("/session/refresh", "PUT"),
                                              ("/session/logout", "GET"), ("/session", "POST")])  # fmt: skip
def test_a_token_comes_by_no_other_method(alice: FlaskClient, path: str, method: str) -> None:
    answer = ask(alice, path, method, APP)
    assert answer.status_code == 405
    assert shared(answer) == {}


# ---- errors are readable too, and every answer says that it depends on the origin


def test_401_is_read_by_an_allowed_origin(app: Flask) -> None:
    for path, method in ROUTES[:2]:
        answer = ask(app.test_client(), path, method, APP)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
        assert shared(answer)["Access-Control-Allow-Origin"] == APP


def test_503_is_read_by_an_allowed_origin(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=ALLOWED)
    alice = signed_in(app, "alice")
    with database_down(rows_of(app).database, sqlite_url):
        answers = [ask(alice, path, "POST", APP) for path in ("/session/refresh", "/session/logout")]
    assert [answer.get_json()["code"] for answer in answers] == ["session_store_unavailable", "logout_incomplete"]
    assert {shared(answer)["Access-Control-Allow-Origin"] for answer in answers} == {APP}
    assert {answer.headers["Vary"] for answer in answers} == {"Origin, Cookie"}


def test_every_answer_of_the_three_varies_by_origin(subtests: pytest.Subtests, app: Flask) -> None:
    rows: list[tuple[str, str]] = [*ROUTES, *((path, "OPTIONS") for path, _ in ROUTES)]
    for path, method in rows:
        for who in ["alice", "nobody", "a bad bearer"]:
            for origin in [None, APP, "https://evil.example", "null"]:
                with subtests.test(origin=origin, who=who, path=path, method=method):
                    client = signed_in(app, "alice") if who == "alice" else app.test_client()
                    answer = ask(client, path, method, origin, headers=bearer("x") if who == "a bad bearer" else {})
                    assert answer.status_code in (200, 204, 401, 403)
                    vary = [each.strip() for each in answer.headers["Vary"].split(",")]
                    assert vary.count("Origin") == 1
                    if method != "OPTIONS" and answer.status_code != 403:
                        assert vary.count("Cookie") == 1
                        assert answer.headers["Cache-Control"] == "no-store"


# ---- strangers


def test_a_stranger_reads_nothing_and_posts_nothing(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    for path, method in ROUTES:
        for origin in STRANGERS:
            with subtests.test(origin=origin, path=path, method=method):
                answer = ask(alice, path, method, origin)
                assert shared(answer) == {}
                assert "Origin" in answer.headers["Vary"]
                if method == "POST":
                    assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")
                    assert "Set-Cookie" not in answer.headers
                    assert "token" not in answer.get_json()
                assert alice.get("/protected").status_code == 200


def test_a_strangers_preflight_is_told_nothing(subtests: pytest.Subtests, alice: FlaskClient) -> None:
    for origin in STRANGERS:
        with subtests.test(origin=origin):
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            assert shared(ask(alice, "/session/refresh", "OPTIONS", origin, headers=asked)) == {}


def test_a_stranger_signs_nobody_out_without_cookies_either(app: Flask) -> None:
    answer = ask(app.test_client(), "/session/logout", "POST", "https://evil.example")
    assert answer.status_code == 403


def test_two_origins_in_two_headers_are_none(alice: FlaskClient) -> None:
    """As servers join them; a browser sends one."""
    answer = ask(alice, "/session/refresh", "POST", f"{APP},{APP}")
    assert (answer.status_code, shared(answer)) == (403, {})


# ---- other routes


def test_no_other_route_is_shared(subtests: pytest.Subtests, app: Flask, alice: FlaskClient) -> None:
    paths: list[str] = [
        "/protected",
        "/public",
        "/session/devices",
        "/session/revoke-others",
        "/session/revocations",
        "/sign-in",
        f"/session/{'a' * 30}/revoke",
        "/session/static/corbado-session.js",
        "/session/nothing",
        "/nothing",
    ]
    for path in paths:
        for method in ["GET", "POST", "OPTIONS"]:
            with subtests.test(method=method, path=path):
                data = {"user": "mallory"} if method == "POST" else None
                with ask(alice, path, method, APP, headers={"Accept": "application/json"}, data=data) as answer:
                    assert shared(answer) == {}
                    assert "Origin" not in answer.headers.get("Vary", "")
                    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/protected", "/session/revoke-others", "/sign-in", "/sign-out"])
def test_an_allowed_origin_passes_the_origin_check_for_the_three_alone(alice: FlaskClient, path: str) -> None:
    answer = ask(alice, path, "POST", APP, data={"user": "mallory"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")


def test_an_origin_trusted_by_the_app_gets_no_token(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_TRUSTED_ORIGINS=[APP], CORBADO_SESSION_CORS_ORIGINS=[OTHER])
    answer = ask(signed_in(app, "alice"), "/session/refresh", "POST", APP)
    assert (answer.status_code, shared(answer)) == (200, {})
    assert "token" not in answer.get_json()


def test_without_origins_nothing_is_shared_and_nothing_varies(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    for path, method in ROUTES:
        answer = ask(signed_in(app, "alice"), path, method, APP)
        assert answer.status_code == (200 if method == "GET" else 403)
        assert (shared(answer), "Origin" in answer.headers.get("Vary", "")) == ({}, False)


def test_the_routes_are_shared_under_their_prefix(sqlite_url: str) -> None:
    config = {"CORBADO_SESSION_URL_PREFIX": "/account/session", "CORBADO_SESSION_CORS_ORIGINS": [APP]}
    app, _, _ = make_app(sqlite_url, **config)
    answer = ask(signed_in(app, "alice"), "/account/session/refresh", "POST", APP)
    assert (answer.status_code, shared(answer)["Access-Control-Allow-Origin"]) == (200, APP)


def test_an_app_that_answers_no_options_by_itself_answers_the_preflight(sqlite_url: str) -> None:
    config = {"PROVIDE_AUTOMATIC_OPTIONS": False, "CORBADO_SESSION_CORS_ORIGINS": [APP]}
    app, _, _ = make_app(sqlite_url, **config)
    for path, method in ROUTES:
        answer = ask(app.test_client(), path, "OPTIONS", APP, headers={"Access-Control-Request-Method": method})
        assert (answer.status_code, shared(answer).get("Access-Control-Allow-Origin")) == (200, APP)


def test_a_sign_out_goes_on_to_an_allowed_origin_and_to_no_other(app: Flask) -> None:
    navigate = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}
    for wanted, got in ((f"{APP}/bye", f"{APP}/bye"), ("https://evil.example/", "/"), (f"{APP}.evil.example/", "/")):
        answer = ask(signed_in(app, "alice"), "/session/logout", "POST", APP, headers=navigate, data={"next": wanted})
        assert (answer.status_code, answer.headers["Location"]) == (303, got)


# ---- a parent domain shared by cookie


def cookies_set(answer: TestResponse) -> dict[str, Any]:
    """Each Set-Cookie by its name."""
    return {
        name: morsel for each in answer.headers.getlist("Set-Cookie") for name, morsel in SimpleCookie(each).items()
    }


def test_a_shared_parent_sends_its_cookies_to_every_host_of_it(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_DOMAIN="example.com")
    given = cookies_set(app.test_client().post("/sign-in", data={"user": "alice"}))
    assert set(given) == {"__Secure-cbo_short_session", "__Secure-cbo_long_session", "__Secure-cbo_device"}
    for morsel in given.values():
        assert morsel["domain"] == "example.com"
        assert (morsel["path"], morsel["samesite"]) == ("/", "Lax")
        assert morsel["secure"] is True
        assert morsel["httponly"] is True


def test_a_shared_cookie_is_cleared_where_it_was_set(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_DOMAIN="example.com")
    client = app.test_client(use_cookies=False)
    client.post("/sign-in", data={"user": "alice"})
    gone = cookies_set(client.post("/session/logout"))
    assert {morsel["domain"] for morsel in gone.values()} == {"example.com"}
    assert {morsel["max-age"] for morsel in gone.values()} == {"0"}


def test_without_a_domain_no_cookie_leaves_its_host(app: Flask) -> None:
    given = cookies_set(app.test_client().post("/sign-in", data={"user": "alice"}))
    assert {name.partition("-")[0] for name in given} == {"__Host"}
    assert {morsel["domain"] for morsel in given.values()} == {""}
