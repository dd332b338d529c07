"""A service without a database: whom it serves, what it polls, and that what is revoked is out within two seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_corbado_session import CorbadoSession
from flask_corbado_session.model.errors import SettingsError
from flask_corbado_session.testing import MovingClock, expire_short, move_clock, signed_in
from tests.support.apps import make_app, state_of
from tests.support.databases import engines_disposed
from tests.support.issuers import FEED, Issuer, body, claims_at, document, public, signed, status
from tests.support.jars import LONG, SHORT, Jar
from tests.support.key_files import NOON, a_jwk, key_file
from tests.support.oracle import read
from tests.support.servers import ServerProcess
from tests.support.services import ISSUER, ServiceProcess, bearer, get, make_service
from tests.support.site import cookie_of
from tests.support.stopwatch import Stopwatch

KEY = a_jwk("ES256")
CONFIG: dict[str, Any] = {"CORBADO_SESSION_ISSUER": ISSUER}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        issuer.publish(public(KEY))
        issuer.answers[FEED] = document({"ended": [], "not_before": {}, "until": 0})
        yield issuer


def service_of(issuer: Issuer, **config: Any) -> Flask:
    """A service in this process, with its keys fetched and the clock at noon."""
    app, _ = make_service(CORBADO_SESSION_JWKS_URL=issuer.keys_url, **config)
    move_clock(app, NOON)
    assert state_of(app).keys.find(KEY["kid"])
    return app


def a_token(**claims: Any) -> str:
    return signed(claims_at(NOON, ISSUER, **claims), KEY)


# ---- by bearer


def test_the_same_decorators_serve_a_bearer(issuer: Issuer) -> None:
    answer = service_of(issuer).test_client().get("/protected", headers=bearer(a_token(role="admin")))
    told = {"user_id": "alice", "id": "alice", "session_id": "s" * 30, "claims": {"role": "admin"}, "amr": ["pwd"]}
    assert (answer.status_code, answer.get_json()) == (200, told)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_async_views_are_served_too(issuer: Issuer, method: str) -> None:
    client = service_of(issuer).test_client()
    answer = client.open("/async", method=method, headers=bearer(a_token()), data="x")
    assert (answer.status_code, answer.get_json()["user_id"]) == (200, "alice")
    assert client.open("/async", method=method).status_code == 401


def test_who_am_i_is_answered_there_too_and_nothing_that_needs_rows(issuer: Issuer) -> None:
    client = service_of(issuer).test_client()
    assert client.get("/session", headers=bearer(a_token())).get_json()["user_id"] == "alice"
    rows = ["refresh", "logout", "devices", "revocations", "revoke-others"]
    assert {client.post(f"/session/{each}", headers=bearer(a_token())).status_code for each in rows} == {404}
    assert client.get("/.well-known/jwks.json").status_code == 404


def test_a_page_for_everybody_knows_who_it_is(issuer: Issuer) -> None:
    client = service_of(issuer).test_client()
    assert client.get("/public", headers=bearer(a_token())).text == "alice"
    assert client.get("/public").text == "nobody"
    assert client.get("/public", headers=bearer(a_token(exp=1))).text == "nobody"


def test_a_view_that_rechecks_says_that_there_is_no_row_to_read(issuer: Issuer) -> None:
    client = service_of(issuer).test_client()
    for headers in ({}, bearer(a_token()), bearer(a_token(sid=...))):
        with pytest.raises(RuntimeError, match=r"recheck=True.*has no db"):
            client.get("/recheck", headers=headers)


def test_signing_out_there_says_where_sessions_end(issuer: Issuer) -> None:
    with pytest.raises(RuntimeError, match="only verifies: sessions start and end where CorbadoSession has a db"):
        service_of(issuer).test_client().post("/sign-out", headers=bearer(a_token()))


# ---- by cookie, where the app says so

COOKIES: dict[str, tuple[dict[str, Any], str, int]] = {
    "none named": ({}, SHORT, 401),
    "none named, not secure": ({"CORBADO_SESSION_COOKIE_SECURE": False}, "cbo_short_session", 401),
    "named": ({"CORBADO_SESSION_SHORT_COOKIE": "cbo_session_token"}, "cbo_session_token", 200),
    "another named": ({"CORBADO_SESSION_SHORT_COOKIE": "cbo_session_token"}, SHORT, 401),
    "a parent domain": ({"CORBADO_SESSION_COOKIE_DOMAIN": "example.com"}, "__Secure-cbo_short_session", 200),
    "not of the parent": ({"CORBADO_SESSION_COOKIE_DOMAIN": "example.com"}, SHORT, 401),
}


@pytest.mark.parametrize("name", COOKIES)
def test_a_cookie_counts_only_where_the_app_names_it(issuer: Issuer, name: str) -> None:
    config, cookie, expected = COOKIES[name]
    client = service_of(issuer, **config).test_client(use_cookies=False)
    assert client.get("/protected", headers={"Cookie": f"{cookie}={a_token()}"}).status_code == expected


def test_a_cookie_is_checked_for_foreign_pages_and_a_bearer_is_not(issuer: Issuer) -> None:
    app = service_of(issuer, CORBADO_SESSION_SHORT_COOKIE="cbo_session_token")
    client, foreign = app.test_client(use_cookies=False), {"Origin": "https://evil.example"}
    cookie = {"Cookie": f"cbo_session_token={a_token()}"}
    refused = client.post("/protected", headers=foreign | cookie)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "csrf_rejected")
    assert client.post("/protected", headers=foreign | bearer(a_token())).status_code == 200
    assert client.post("/protected", headers=foreign | cookie | bearer(a_token())).status_code == 200
    assert client.post("/protected", headers=cookie).status_code == 200


# ---- how it is configured


@pytest.mark.parametrize("missing", ["ISSUER", "JWKS_URL"])
def test_what_it_must_know_is_asked_for_by_name(missing: str) -> None:
    app = Flask(__name__)
    app.config.from_mapping(CORBADO_SESSION_ISSUER=ISSUER, CORBADO_SESSION_JWKS_URL="https://auth.example.com/jwks")
    del app.config[f"CORBADO_SESSION_{missing}"]
    with pytest.raises(SettingsError, match=f"CORBADO_SESSION_{missing} must be set"):
        CorbadoSession().init_app(app)


@pytest.mark.parametrize("name", ["JWKS_URL", "REVOCATIONS_URL"])
@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.example/", "https://u:p@a.example/jwks", "jwks"])
def test_a_url_that_is_none_is_refused_by_name(name: str, url: str) -> None:
    with pytest.raises(SettingsError, match=f"CORBADO_SESSION_{name} must be an http or https URL"):
        make_service(**{"CORBADO_SESSION_JWKS_URL": "https://a.example/", f"CORBADO_SESSION_{name}": url})


def test_it_starts_while_the_issuer_is_down_and_serves_once_that_is_up() -> None:
    with Issuer() as issuer:
        issuer.answers["/.well-known/jwks.json"] = status(503)
        app, _ = make_service(CORBADO_SESSION_JWKS_URL=issuer.keys_url)
        move_clock(app, NOON)
        client = app.test_client()
        refused = client.get("/protected", headers=bearer(a_token()))
        assert (refused.status_code, refused.get_json()["reason"]) == (401, "unknown_key")


# ---- revocations


def polled(issuer: Issuer, **config: Any) -> tuple[Flask, MovingClock]:
    """A service that polls the feed; its clock stands still."""
    app = service_of(issuer, CORBADO_SESSION_REVOCATIONS_URL=issuer.feed_url, **config)
    return app, move_clock(app, NOON)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the feed however busy this machine is."""
    monkeypatch.setattr("flask_corbado_session.verification.ended.LONGEST_WAIT", 5)


@pytest.mark.usefixtures("patient")
def test_a_session_that_the_feed_names_is_refused_as_revoked(issuer: Issuer) -> None:
    issuer.answers[FEED] = document({"ended": ["s" * 30], "until": 1})
    client = polled(issuer)[0].test_client()
    answer = client.get("/protected", headers=bearer(a_token()))
    assert (answer.status_code, answer.get_json()["reason"]) == (401, "revoked")
    assert client.get("/protected", headers=bearer(a_token(sid="t" * 30))).status_code == 200
    assert client.get("/protected", headers=bearer(a_token(sid=...))).status_code == 200


@pytest.mark.usefixtures("patient")
def test_the_feed_is_asked_once_an_interval_however_many_ask(issuer: Issuer) -> None:
    app, clock = polled(issuer)
    for _ in range(3):
        for _ in range(10):
            assert app.test_client().get("/protected", headers=bearer(a_token())).status_code == 200
        clock.move(seconds=1)
    assert issuer.count(FEED) == 3


def test_nobody_who_is_nobody_has_the_feed_asked(issuer: Issuer) -> None:
    app, _ = polled(issuer)
    for headers in ({}, bearer(""), bearer("x"), bearer(a_token(exp=1)), {"Authorization": "Basic eDp5"}):
        assert app.test_client().get("/protected", headers=headers).status_code == 401
    assert issuer.count(FEED) == 0


@pytest.mark.parametrize("name", ["300 ms", "5 s", "500", "HTML"])
def test_while_the_feed_is_in_trouble_requests_go_on_within_a_quarter_of_a_second(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    answer = issuer.answers[FEED]
    broken = {
        "300 ms": issuer.after(0.3, answer),
        "5 s": issuer.after(5, answer),
        "500": status(500),
        "HTML": body(b"<p>", kind="text/html"),
    }
    app, _ = polled(issuer)
    issuer.answers[FEED] = broken[name]
    took: list[float] = []

    def ask() -> None:
        since = Stopwatch()
        assert app.test_client().get("/protected", headers=bearer(a_token())).status_code == 200
        took.append(since.seconds)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 8
    assert max(took) < 1.5
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert issuer.count(FEED) == 1


# ---- over real processes


def session_host(database_url: str, folder: Path) -> ServerProcess:
    """The session host, signing with a key file, in a process of its own."""
    config = CONFIG | {"CORBADO_SESSION_KEYS_FILE": str(key_file(folder / "keys.json", KEY))}
    with engines_disposed():
        make_app(database_url, **config)
    return ServerProcess(database_url, **config)


@pytest.fixture(scope="module")
def auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all the tests that leave it running."""
    folder = tmp_path_factory.mktemp("auth")
    with session_host(f"sqlite:///{folder / 'auth.sqlite'}", folder) as auth:
        yield auth


def urls(port: int) -> dict[str, Any]:
    """Where a service finds what it needs of that host."""
    host = f"http://127.0.0.1:{port}"
    return {
        "CORBADO_SESSION_JWKS_URL": f"{host}/.well-known/jwks.json",
        "CORBADO_SESSION_REVOCATIONS_URL": f"{host}/session/revocations",
    }


@pytest.fixture(scope="module")
def orders(auth: ServerProcess) -> Iterator[ServiceProcess]:
    """The service, in another."""
    with ServiceProcess(**urls(auth.port)) as orders:
        yield orders


def token_from(auth: ServerProcess, jar: Jar) -> str:
    """Sign in there; the short token."""
    assert auth.asked(jar, "/sign-in", "POST", user="alice").status == 200
    return jar.cookies[SHORT]


def test_a_revoked_device_is_out_of_the_service_within_two_seconds(auth: ServerProcess, orders: ServiceProcess) -> None:
    jar, other = Jar(), Jar()
    token, spared = token_from(auth, jar), token_from(auth, other)
    assert get(orders.port, "/protected", bearer(token))[1]["user_id"] == "alice"
    time.sleep(0.3)
    session_id = read(jar.cookies[LONG]).session_id
    assert auth.asked(other, f"/session/{session_id}/revoke", "POST", short=True).status == 204
    since = Stopwatch()
    while get(orders.port, "/protected", bearer(token))[0] == 200:
        assert since.seconds < 2
        time.sleep(0.05)
    assert get(orders.port, "/protected", bearer(token))[1]["reason"] == "revoked"
    assert get(orders.port, "/protected", bearer(spared))[0] == 200


def test_a_service_polled_all_the_time_costs_the_issuer_little(auth: ServerProcess, orders: ServiceProcess) -> None:
    token = token_from(auth, Jar())
    get(orders.port, "/protected", bearer(token))
    before, began = auth.statements(), time.monotonic()
    while time.monotonic() - began < 1.5:
        assert get(orders.port, "/protected", bearer(token))[0] == 200
        time.sleep(0.02)
    assert auth.statements() - before <= 3


def test_a_service_goes_on_when_the_issuer_dies(sqlite_url: str, tmp_path: Path) -> None:
    with session_host(sqlite_url, tmp_path) as auth:
        app, _ = make_service(**urls(auth.port))
        token = token_from(auth, Jar())
        assert app.test_client().get("/protected", headers=bearer(token)).status_code == 200
    state_of(app).clock.read = lambda: datetime.now(UTC) + timedelta(seconds=2)
    since = Stopwatch()
    assert app.test_client().get("/protected", headers=bearer(token)).status_code == 200
    assert since.seconds < 1


@pytest.mark.usefixtures("patient")
def test_claims_that_changed_have_the_token_refreshed(sqlite_url: str, tmp_path: Path) -> None:
    """The same in one process: the session host expires short sessions, and the service asks for new ones."""
    config = CONFIG | {"CORBADO_SESSION_KEYS_FILE": str(key_file(tmp_path / "keys.json", KEY))}
    app, _, sessions = make_app(sqlite_url, **config)
    clock = move_clock(app)
    client = signed_in(app, "alice")
    with Issuer() as issuer:
        issuer.publish(public(KEY))
        issuer.answers[FEED] = lambda request: body(client.get(request.path).data)(request)
        service, _ = make_service(
            CORBADO_SESSION_JWKS_URL=issuer.keys_url, CORBADO_SESSION_REVOCATIONS_URL=issuer.feed_url
        )
        state_of(service).clock.read = clock
        old = cookie_of(client)
        assert service.test_client().get("/protected", headers=bearer(old)).status_code == 200
        clock.move(seconds=2)
        with app.app_context():
            sessions.expire_short("alice")
        clock.move(seconds=2)
        assert service.test_client().get("/protected", headers=bearer(old)).get_json()["reason"] == "expired"
        expire_short(client)
        client.get("/protected")
        new = cookie_of(client)
        assert service.test_client().get("/protected", headers=bearer(new)).status_code == 200
