"""The operator API: its responses, its query parameters, its authentication, and what it never does."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import make_url
from werkzeug.test import TestResponse

from flask_corbado_session.model.clock import Clock, from_ms
from flask_corbado_session.operators import api_query, attempts
from flask_corbado_session.operators.api_query import STATUSES
from flask_corbado_session.operators.attempts import FailedAttempts, network_of
from flask_corbado_session.testing import MovingClock, move_clock, signed_in
from tests.support.apps import make_app, rows_of, statements
from tests.support.operators import add_device, add_sessions, live_ids, now_of, recorded

PROJECT, SECRET = "pro-1234", "corbado1_of_the_tests_alone"
CONFIG = {"CORBADO_SESSION_API_SECRET": SECRET, "CORBADO_SESSION_PROJECT_ID": PROJECT}
RIGHT = (PROJECT, SECRET)
SESSIONS = "/v2/sessions"


@pytest.fixture
def app(database_url: str) -> Flask:
    """An app whose operator API is on."""
    return make_app(database_url, **CONFIG)[0]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client without a cookie."""
    return app.test_client()


def ask(client: FlaskClient, **query: Any) -> Any:
    """The body of the answer to a valid request."""
    answer = client.get(SESSIONS, query_string=query, auth=RIGHT)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def ids(client: FlaskClient, **query: Any) -> list[str]:
    """The ids of the sessions in an answer, in its order."""
    return [session["sessionID"] for session in ask(client, **query)["sessions"]]


def is_error(answer: TestResponse, status: int, code: str, field: str | None = None) -> Any:
    """Assert that an answer has Corbado's shape of errors and is a problem+json too; its body."""
    body = answer.get_json()
    error = body["error"]
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert (body["httpStatusCode"], body["status"], body["code"], error["type"]) == (status, status, code, code)
    assert body["message"] == body["detail"] == error["details"]
    assert body["requestData"]["requestID"]
    assert isinstance(body["runtime"], float)
    assert [invalid["field"] for invalid in error["validation"]] == ([field] if field else [])
    assert body.get("field") == field
    assert answer.headers["Cache-Control"] == "no-store"
    return body


# ---- the list


def test_a_session_has_the_members_that_corbado_names(app: Flask, client: FlaskClient) -> None:
    now = now_of(app)
    columns: dict[str, Any] = {"created_at": now - 9000, "last_seen_at": now - 500, "expires_at": now + 10**9}
    (session_id,) = add_sessions(app, 1, add_device(app), **columns)
    body = ask(client)
    assert body["sessions"] == [
        {
            "sessionID": session_id,
            "userID": "alice",
            "identifierValue": "alice",
            "createdMs": now - 9000,
            "lastActionMs": now - 500,
            "expiresMs": now + 10**9,
            "status": "active",
        }
    ]
    assert body["paging"] == {"page": 1, "totalPages": 1, "totalItems": 1}


STATES: dict[str, tuple[dict[str, Any], str]] = {
    "live": ({}, "active"),
    "signed out": ({"end_reason": "signed_out"}, "logged_out"),
    "superseded": ({"end_reason": "superseded"}, "logged_out"),
    "revoked": ({"end_reason": "revoked"}, "revoked"),
    "revoked by an operator": ({"end_reason": "operator"}, "revoked"),
    "reused": ({"end_reason": "reuse"}, "revoked"),
    "of a disabled user": ({"end_reason": "user_disabled"}, "revoked"),
    "above the limit": ({"end_reason": "limit"}, "revoked"),
    "expired": ({"expires_at": 1, "idle_expires_at": 1}, "expired"),
    "idle": ({"idle_expires_at": 1}, "inactivity_reached"),
}


def test_every_state_has_corbados_name_and_is_found_by_it(sqlite_url: str) -> None:
    app = make_app(sqlite_url, **CONFIG)[0]
    client, now, device = app.test_client(), now_of(app), add_device(app)
    added = {}
    for state, (columns, _) in STATES.items():
        ended: dict[str, Any] = {"ended_at": now} if "end_reason" in columns else {}
        (added[state],) = add_sessions(app, 1, device, **columns, **ended)
    status_of = {session["sessionID"]: session["status"] for session in ask(client)["sessions"]}
    assert {state: status_of[added[state]] for state in STATES} == {state: name for state, (_, name) in STATES.items()}
    listed = {status: set(ids(client, **{"filter[]": f"status:eq:{status}"})) for status in STATUSES}
    expected = {status: {added[state] for state, (_, name) in STATES.items() if name == status} for status in STATUSES}
    assert listed == expected
    assert set(STATUSES) == {name for _, name in STATES.values()}


@pytest.fixture
def three(app: Flask) -> dict[str, str]:
    """Three sessions that differ in everything: their ids by the name of the user."""
    now = now_of(app)
    by_name = {}
    for n, name in enumerate(("ann", "bob", "cid")):
        at = now - (n + 1) * 10_000
        columns: dict[str, Any] = {"created_at": at, "last_seen_at": at + 1000, "expires_at": now + (n + 1) * 10**8}
        by_name[name] = add_sessions(app, 1, add_device(app, name), name, **columns)[0]
    return by_name


def test_it_is_sorted_by_each_field(client: FlaskClient, three: dict[str, str]) -> None:
    orders = {
        "userID:asc": "ann bob cid",
        "userID:desc": "cid bob ann",
        "created:asc": "cid bob ann",
        "created:desc": "ann bob cid",
        "lastAction:asc": "cid bob ann",
        "updated:desc": "ann bob cid",
        "expires:asc": "ann bob cid",
        "expires:desc": "cid bob ann",
        None: "ann bob cid",
    }
    expected = {sort: [three[name] for name in order.split()] for sort, order in orders.items()}
    assert {sort: ids(client, **({"sort": sort} if sort else {})) for sort in orders} == expected


def test_it_is_sorted_by_id_and_status(client: FlaskClient, three: dict[str, str]) -> None:
    assert ids(client, sort="ID:asc") == sorted(three.values())
    assert ids(client, sort="ID:desc") == sorted(three.values(), reverse=True)
    assert ids(client, sort="status:asc") == sorted(three.values())


def test_filters_all_hold_together(app: Flask, client: FlaskClient, three: dict[str, str]) -> None:
    assert ids(client, **{"filter[]": "userID:eq:bob"}) == [three["bob"]]
    assert ids(client, **{"filter[]": ["userID:gt:ann", "userID:lt:cid"]}) == [three["bob"]]
    assert ids(client, **{"filter[]": [f"ID:eq:{three['ann']}", "status:eq:active"]}) == [three["ann"]]
    assert ids(client, **{"filter[]": ["userID:eq:ann", "userID:eq:bob"]}) == []
    middle = from_ms(now_of(app) - 15_000).strftime("%Y-%m-%dT%H:%M:%S")
    assert ids(client, **{"filter[]": f"created:lt:{middle}"}) == [three["bob"], three["cid"]]
    assert ids(client, **{"filter[]": f"created:gt:{middle}"}) == [three["ann"]]
    assert ids(client, **{"filter[]": "userID:eq:a:b"}) == []


def test_the_end_of_a_session_is_its_latest_change(app: Flask, client: FlaskClient, three: dict[str, str]) -> None:
    with app.app_context():
        rows_of(app).revocation.revoke(three["cid"], None)
    assert ids(client, sort="updated:desc")[0] == three["cid"]
    assert ids(client, sort="lastAction:desc")[-1] == three["cid"]


def test_pages_follow_each_other_without_a_gap(app: Flask, client: FlaskClient) -> None:
    expected = add_sessions(app, 7, add_device(app))[::-1]
    seen = [ids(client, page=page, pageSize=3) for page in (1, 2, 3, 4)]
    assert [session_id for page in seen for session_id in page] == expected
    assert [ask(client, page=page, pageSize=3)["paging"] for page in (1, 4)] == [
        {"page": page, "totalPages": 3, "totalItems": 7} for page in (1, 4)
    ]


def test_beyond_what_is_counted_whoever_goes_on_while_there_are_pages_gets_to_the_end(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_query, "COUNTED", 10)
    expected = add_sessions(app, 25, add_device(app))
    seen: list[str] = []
    page, total_pages = 0, 1
    while page < total_pages:
        page += 1
        body = ask(client, page=page, pageSize=4)
        seen += [session["sessionID"] for session in body["sessions"]]
        total_pages = body["paging"]["totalPages"]
    assert (sorted(seen), page) == (sorted(expected), 7)


def test_a_list_is_three_statements(app: Flask, client: FlaskClient) -> None:
    add_sessions(app, 3, add_device(app))
    with statements(app) as seen:
        ask(client)
    assert seen.verbs == ["SELECT"] * 3


BAD: list[tuple[dict[str, Any], str]] = [
    ({"sort": "created"}, "sort"),
    ({"sort": "created:up"}, "sort"),
    ({"sort": "email:asc"}, "sort"),
    ({"sort": ["created:asc", "ID:asc"]}, "sort"),
    ({"filter[]": "userID"}, "filter[]"),
    ({"filter[]": "userID:eq"}, "filter[]"),
    ({"filter[]": "userID:eq:"}, "filter[]"),
    ({"filter[]": "userID:like:a"}, "filter[]"),
    ({"filter[]": "secret_hash:eq:a"}, "filter[]"),
    ({"filter[]": "created:gt:yesterday"}, "filter[]"),
    ({"filter[]": "status:eq:alive"}, "filter[]"),
    ({"filter[]": "status:gt:active"}, "filter[]"),
    ({"filter[]": "userID:eq:" + "a" * 301}, "filter[]"),
    ({"filter[]": "userID:eq:a\0"}, "filter[]"),
    ({"filter[]": ["userID:eq:a", "x"]}, "filter[]"),
    ({"filter": "userID:eq:bob"}, "filter"),
    ({"pagesize": "5"}, "pagesize"),
    ({"page": "0"}, "page"),
    ({"page": "-1"}, "page"),
    ({"page": "1e3"}, "page"),
    ({"page": "²"}, "page"),
    ({"page": "9" * 30}, "page"),
    ({"pageSize": "0"}, "pageSize"),
    ({"pageSize": "201"}, "pageSize"),
]


def test_what_is_outside_the_grammar_is_rejected_by_name(sqlite_url: str) -> None:
    client = make_app(sqlite_url, **CONFIG)[0].test_client()
    answers = [client.get(SESSIONS, query_string=query, auth=RIGHT) for query, _ in BAD]
    fields = [(query, answer.get_json().get("field")) for (query, _), answer in zip(BAD, answers, strict=True)]
    assert fields == BAD
    for answer, (_, field) in zip(answers, BAD, strict=True):
        is_error(answer, 400, "invalid_request", field)


# ---- revoking


def test_a_session_is_revoked_everywhere_and_that_is_recorded(app: Flask, client: FlaskClient) -> None:
    alice = signed_in(app, "alice")
    session_id = alice.get("/session").get_json()["session_id"]
    answer = client.post(f"{SESSIONS}/{session_id}/revoke", auth=RIGHT)
    assert (answer.status_code, answer.get_json()["message"]) == (200, "success")
    assert alice.get("/protected").status_code == 401
    (action,) = recorded(app)
    assert (action.operator_id, action.via, action.target, action.sessions) == (PROJECT, "api", session_id, 1)


def test_revoking_it_again_is_no_error(app: Flask, client: FlaskClient) -> None:
    (session_id,) = add_sessions(app, 1, add_device(app))
    answers = [client.post(f"{SESSIONS}/{session_id}/revoke", auth=RIGHT).status_code for _ in range(2)]
    assert answers == [200, 200]
    assert [action.sessions for action in recorded(app)] == [1, 0]


def test_an_id_of_no_session_is_not_found_and_not_recorded(sqlite_url: str) -> None:
    app = make_app(sqlite_url, **CONFIG)[0]
    for session_id in ("a" * 30, "x", "'; --", "%00", "ä" * 30, "a" * 300):
        is_error(app.test_client().post(f"{SESSIONS}/{session_id}/revoke", auth=RIGHT), 404, "not_found")
    assert recorded(app) == []


# ---- authentication


def test_without_a_secret_there_is_nothing(sqlite_url: str) -> None:
    client = make_app(sqlite_url)[0].test_client()
    assert client.get(SESSIONS, auth=RIGHT).status_code == 404
    assert client.post(f"{SESSIONS}/{'a' * 30}/revoke", auth=RIGHT).status_code == 404


def test_operators_are_imported_only_where_they_are_mounted() -> None:
    program = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_corbado_session import CorbadoSession

def mounted(**config):
    app, db = Flask("app"), SQLAlchemy()
    app.config.update(SECRET_KEY="k" * 32, SQLALCHEMY_DATABASE_URI="sqlite://", TESTING=True, **config)
    db.init_app(app)
    sessions = CorbadoSession(db)
    sessions.init_app(app)
    return sessions, [name for name in ("api", "pages") if f"flask_corbado_session.operators.{name}" in sys.modules]

print(mounted()[1])
sessions, imported = mounted(CORBADO_SESSION_API_SECRET="s" * 32, CORBADO_SESSION_PROJECT_ID="pro-1")
print(imported)
sessions.operator_blueprint(allow=lambda user: True)
print("flask_corbado_session.operators.pages" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["[]", "['api']", "True"]


def test_it_needs_the_secret_alone_and_no_url_prefix(sqlite_url: str) -> None:
    client = make_app(sqlite_url, CORBADO_SESSION_URL_PREFIX=None, **CONFIG)[0].test_client()
    assert client.get(SESSIONS, auth=RIGHT).status_code == 200


def basic(text: str) -> str:
    """A header of HTTP Basic."""
    return "Basic " + base64.b64encode(text.encode("latin-1")).decode()


WRONG = [
    None,
    "",
    "Basic",
    "Basic !!!",
    basic(""),
    basic("nothing to part"),
    basic(":"),
    basic(f"{PROJECT}:"),
    basic(f":{SECRET}"),
    basic(f"{PROJECT}:{SECRET}x"),
    basic(f"{PROJECT}:{SECRET[:-1]}"),
    basic(f"{PROJECT}x:{SECRET}"),
    basic(f"{SECRET}:{PROJECT}"),
    basic(f"{PROJECT}:\xff\xfe"),
    f"Bearer {SECRET}",
    f"Digest {SECRET}",
    f"Basic {PROJECT}:{SECRET}",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_wrong_credentials_are_rejected_before_the_database_is_asked(sqlite_url: str, method: str) -> None:
    app = make_app(sqlite_url, **CONFIG)[0]
    path = SESSIONS if method == "GET" else f"{SESSIONS}/{'a' * 30}/revoke"
    with statements(app) as seen:
        for n, header in enumerate(WRONG):
            headers = {"Authorization": header} if header else {}
            sender = {"REMOTE_ADDR": f"192.0.2.{n}"}  # no network fails often enough to have to wait
            answer = app.test_client().open(path, method=method, headers=headers, environ_overrides=sender)
            body = is_error(answer, 401, "unauthenticated")
            assert answer.headers["WWW-Authenticate"].startswith("Basic "), header
            assert SECRET not in str(body), header
    assert seen == []


def test_no_cookie_opens_it_and_none_is_set(app: Flask) -> None:
    alice = signed_in(app, "alice")
    with statements(app) as seen:
        is_error(alice.get(SESSIONS), 401, "unauthenticated")
        is_error(alice.post(f"{SESSIONS}/{'a' * 30}/revoke"), 401, "unauthenticated")
    assert seen == []
    answer = alice.get(SESSIONS, auth=RIGHT)
    assert "Set-Cookie" not in answer.headers


def test_credentials_that_a_browser_remembers_are_of_no_use_to_a_foreign_page(app: Flask, client: FlaskClient) -> None:
    (session_id,) = add_sessions(app, 1, add_device(app))
    path = f"{SESSIONS}/{session_id}/revoke"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        is_error(client.post(path, auth=RIGHT, headers=headers), 403, "csrf_rejected")
    assert live_ids(app) == {session_id}


def test_a_network_that_guesses_has_to_wait_even_with_the_right_secret(sqlite_url: str) -> None:
    app = make_app(sqlite_url, **CONFIG)[0]
    clock = move_clock(app)
    client = app.test_client()
    for _ in range(10):
        is_error(client.get(SESSIONS, auth=(PROJECT, "guess")), 401, "unauthenticated")
    clock.move(seconds=20)
    answer = client.get(SESSIONS, auth=RIGHT)
    is_error(answer, 429, "too_many_requests")
    assert answer.headers["Retry-After"] == "40"
    elsewhere = client.get(SESSIONS, auth=RIGHT, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert elsewhere.status_code == 200
    clock.move(seconds=40)
    assert client.get(SESSIONS, auth=RIGHT).status_code == 200


def test_requests_with_the_right_secret_never_have_to_wait(sqlite_url: str) -> None:
    client = make_app(sqlite_url, **CONFIG)[0].test_client()
    answers = {client.get(SESSIONS, auth=RIGHT).status_code for _ in range(30)}
    assert answers == {200}


def test_an_ipv6_network_counts_as_one(sqlite_url: str) -> None:
    client = make_app(sqlite_url, **CONFIG)[0].test_client()
    for n in range(10):
        client.get(SESSIONS, environ_overrides={"REMOTE_ADDR": f"2001:db8::{n:x}"})
    answer = client.get(SESSIONS, auth=RIGHT, environ_overrides={"REMOTE_ADDR": "2001:db8::ffff:1"})
    is_error(answer, 429, "too_many_requests")


def test_the_network_of_an_address() -> None:
    networks = {
        "192.0.2.7": "192.0.2.7",
        "::ffff:192.0.2.7": "192.0.2.7",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::",
        "fe80::1%eth0": "fe80::",
        None: "unknown",
        "a socket": "unknown",
    }
    assert {address: network_of(address) for address in networks} == networks


def test_with_the_database_down_it_is_503(sqlite_url: str) -> None:
    app = make_app(sqlite_url, **CONFIG)[0]
    path = Path(str(make_url(sqlite_url).database))
    rows_of(app).database.dispose()
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    answer = app.test_client().get(SESSIONS, auth=RIGHT)
    is_error(answer, 503, "session_store_unavailable")
    assert answer.headers["Retry-After"]


# ---- the limiter


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(NOON)


@pytest.fixture
def limiter(clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> FailedAttempts:
    """A limiter that remembers two networks."""
    monkeypatch.setattr(attempts, "_REMEMBERED", 2)
    return FailedAttempts(Clock(clock))


def fail(limiter: FailedAttempts, address: str, times: int = 10) -> None:
    for _ in range(times):
        limiter.record_failure(address)


def test_the_networks_that_failed_longest_ago_are_forgotten_first(limiter: FailedAttempts) -> None:
    for address in (FIRST, SECOND, THIRD):
        fail(limiter, address)
    assert [limiter.retry_after(address) for address in (FIRST, SECOND, THIRD)] == [0, 60, 60]


def test_a_network_that_goes_on_failing_is_not_the_first_to_be_forgotten(limiter: FailedAttempts) -> None:
    fail(limiter, FIRST)
    fail(limiter, SECOND)
    fail(limiter, FIRST, 1)
    fail(limiter, THIRD)
    assert [limiter.retry_after(address) for address in (FIRST, SECOND, THIRD)] == [60, 0, 60]


def test_a_clock_set_back_locks_nobody_out(limiter: FailedAttempts, clock: MovingClock) -> None:
    fail(limiter, FIRST)
    assert limiter.retry_after(FIRST) == 60
    clock.move(hours=-1)
    assert limiter.retry_after(FIRST) == 0
