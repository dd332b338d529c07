"""Policies: claims that change now, how many sessions and how long, who is out at once, and what is forgotten."""

from __future__ import annotations

import re
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, text

from flask_corbado_session import CorbadoSession, current_session, login_required
from flask_corbado_session.database.tables import tables_in
from flask_corbado_session.model.clock import to_ms
from flask_corbado_session.testing import expire_short, signed_in
from tests.support.apps import make_app, rows_of, state_of, statements, unprepared_app
from tests.support.jars import SHORT, Jar, SessionRows
from tests.support.servers import ServerProcess
from tests.support.site import Site, cookie_of
from tests.support.stopwatch import Stopwatch

DAY_MS = 86_400_000


class SiteWithRoles(Site):
    """The tests' app, whose users have a role that may change."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **config)
        self.roles = {"alice": "reader"}
        self._give_roles(self.app, self.sessions)

    def second_server(self) -> Flask:
        """Another server of the same site, whose users have the same roles."""
        app, _, sessions = unprepared_app(self.url, **self.config)
        state_of(app).clock.read = self.clock
        self._give_roles(app, sessions)
        return app

    def _give_roles(self, app: Flask, sessions: CorbadoSession) -> None:
        sessions.claims_loader(lambda user_id: {"role": self.roles.get(user_id, "none")})

        @app.post("/promote")
        @login_required
        def promote() -> str:
            self.roles[current_session.user_id or ""] = "editor"
            sessions.refresh_claims()
            return str(current_session.claims["role"])


@pytest.fixture
def site(database_url: str) -> SiteWithRoles:
    return SiteWithRoles(database_url)


def role(client: FlaskClient) -> str:
    """What the short session says."""
    answer = client.get("/session")
    assert answer.status_code == 200
    found: str = answer.get_json()["claims"]["role"]
    return found


def at_home(client: FlaskClient, app: Flask) -> FlaskClient:
    """The same browser, served by another server."""
    other = app.test_client()
    for name in ("short_session", "long_session", "device"):
        cookie = client.get_cookie(f"__Host-cbo_{name}")
        assert cookie is not None
        other.set_cookie(cookie.key, cookie.value)
    return other


# ---- claims that change now


def test_refresh_claims_changes_this_browser_in_this_answer_and_no_other(site: SiteWithRoles) -> None:
    here, there = signed_in(site.app, "alice"), signed_in(site.app, "alice")
    answer = here.post("/promote")
    assert answer.text == "editor"
    assert sum(header.startswith(SHORT) for header in answer.headers.getlist("Set-Cookie")) == 1
    assert [role(here), role(there)] == ["editor", "reader"]
    expire_short(there)
    assert role(there) == "editor"


def test_refresh_claims_keeps_the_session_and_the_time_of_signing_in(site: SiteWithRoles) -> None:
    here = signed_in(site.app, "alice", amr=["pwd"])
    before = here.get("/session").get_json()
    site.clock.move(minutes=5)
    here.post("/promote")
    after = here.get("/session").get_json()
    assert [before[name] for name in ("session_id", "auth_time", "amr")] == [
        after[name] for name in ("session_id", "auth_time", "amr")
    ]
    assert after["issued_at"] > before["issued_at"]


def test_refresh_claims_asks_for_a_session_in_a_browser(site: SiteWithRoles) -> None:
    here = signed_in(site.app, "alice")
    token = cookie_of(here)
    bearer = site.app.test_client(use_cookies=False)
    answer = bearer.post("/promote", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
    assert "Set-Cookie" not in answer.headers


def test_expire_short_changes_every_browser_of_the_user_at_the_next_request(site: SiteWithRoles) -> None:
    browsers = [signed_in(site.app, "alice") for _ in range(3)]
    bob = signed_in(site.app, "bob")
    site.clock.move(seconds=30)
    site.roles |= {"alice": "editor", "bob": "editor"}
    with site.app.app_context():
        site.sessions.expire_short("alice")
    assert [role(browser) for browser in browsers] == ["editor"] * 3
    assert role(bob) == "none"


def test_expire_short_is_known_within_a_second_to_another_server(site: SiteWithRoles) -> None:
    other = site.second_server()
    here = signed_in(site.app, "alice")
    there = at_home(here, other)
    assert role(there) == "reader"
    site.clock.move(milliseconds=1)
    site.roles["alice"] = "editor"
    with site.app.app_context():
        site.sessions.expire_short("alice")
    assert role(there) == "reader"  # that server asked less than a second ago
    site.clock.move(seconds=1)
    assert role(there) == "editor"


def test_expire_short_costs_one_refresh_and_then_nothing(site: SiteWithRoles) -> None:
    here = signed_in(site.app, "alice")
    site.clock.move(minutes=2)
    with site.app.app_context():
        site.sessions.expire_short("alice")
    with statements(site.app) as seen:
        assert here.get("/protected").status_code == 200
    assert seen.verbs[-1] in ("UPDATE", "SELECT")  # the refresh; MySQL reads back
    with statements(site.app) as seen:
        assert here.get("/protected").status_code == 200
    assert seen == []


def test_expire_short_may_spare_one_session(site: SiteWithRoles) -> None:
    here, there = signed_in(site.app, "alice"), signed_in(site.app, "alice")
    mine = here.get("/session").get_json()["session_id"]
    site.clock.move(seconds=5)
    site.roles["alice"] = "editor"
    with site.app.app_context():
        site.sessions.expire_short("alice", except_session_id=mine)
    assert [role(here), role(there)] == ["reader", "editor"]


def test_expire_short_signs_nobody_out_and_nobody_in(site: SiteWithRoles) -> None:
    gone = signed_in(site.app, "alice")
    gone.post("/sign-out")
    with site.app.app_context():
        site.sessions.expire_short("alice")
        site.sessions.expire_short("nobody")
    assert gone.get("/protected").status_code == 401


def test_expire_short_reaches_another_process_within_a_second(postgres_url: str) -> None:
    app, _, sessions = make_app(postgres_url)
    with ServerProcess(postgres_url) as server:
        jar = Jar()
        assert server.asked(jar, "/sign-in", "POST", user="alice").status == 200
        assert server.answers(jar.sends(short=True)).cookies == {}
        with app.app_context():
            sessions.expire_short("alice")
        since = Stopwatch()
        while not (answer := server.answers(jar.sends(short=True))).cookies:
            assert since.seconds < 1.5  # a second, and what a busy machine takes
            time.sleep(0.02)
        assert (answer.status, list(answer.cookies)) == (200, [SHORT])


# ---- how many


@pytest.mark.parametrize("limit", [1, 5])
def test_of_twenty_parallel_sign_ins_as_many_stay_as_may(database_url: str, limit: int) -> None:
    """Over two apps, as two processes are: none counts by what it alone has seen."""
    apps = [make_app(database_url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=limit)[0]]
    apps.append(unprepared_app(database_url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=limit)[0])
    start = threading.Barrier(20)

    def enter(number: int) -> int:
        client = apps[number % 2].test_client()
        start.wait()
        return client.post("/sign-in", data={"user": "alice"}).status_code

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(enter, range(20))) == [200] * 20
    with SessionRows(database_url) as rows:
        reasons = [row["end_reason"] for row in rows.all().values()]
    assert (reasons.count(None), reasons.count("limit")) == (limit, 20 - limit)


def test_the_least_recently_seen_is_ended_as_limit(sqlite_url: str) -> None:
    site = SiteWithRoles(sqlite_url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=3)
    browsers = []
    for _ in range(3):
        browsers.append(signed_in(site.app, "alice"))
        site.clock.move(minutes=2)
    expire_short(browsers[0])
    assert role(browsers[0]) == "reader"  # which makes the second one the least recently seen
    bob = signed_in(site.app, "bob")
    browsers.append(signed_in(site.app, "alice"))
    assert [browser.get("/protected").status_code for browser in (*browsers, bob)] == [200, 401, 200, 200, 200]
    assert browsers[1].get("/protected").get_json()["reason"] == "limit"


# ---- how long


@pytest.mark.parametrize(
    ("used_every", "times", "reason"),
    [(timedelta(hours=23), 10, "expired"), (timedelta(hours=24, seconds=1), 0, "idle")],
    ids=["used daily, until the end", "left alone for a day"],
)
def test_idle_and_absolute_lifetimes(sqlite_url: str, used_every: timedelta, times: int, reason: str) -> None:
    ten_days, one_day = timedelta(days=10), timedelta(days=1)
    site = SiteWithRoles(sqlite_url, CORBADO_SESSION_LONG_LIFETIME=ten_days, CORBADO_SESSION_IDLE_TIMEOUT=one_day)
    alice = signed_in(site.app, "alice")
    for served in range(11):
        site.clock.move(used_every)
        expire_short(alice)
        answer = alice.get("/protected")
        assert answer.status_code == (200 if served < times else 401)
        if served == times:
            assert answer.get_json()["reason"] == reason
            return


def test_without_an_idle_timeout_the_absolute_end_alone_counts(sqlite_url: str) -> None:
    site = SiteWithRoles(
        sqlite_url, CORBADO_SESSION_LONG_LIFETIME=timedelta(days=10), CORBADO_SESSION_IDLE_TIMEOUT=None
    )
    alice = signed_in(site.app, "alice")
    expire_short(alice)
    site.clock.move(timedelta(days=10) - timedelta(seconds=2))
    answer = alice.get("/session")
    assert answer.status_code == 200
    left = datetime.fromisoformat(answer.get_json()["expires_at"]) - site.clock.at
    assert timedelta(0) < left <= timedelta(seconds=2)
    site.clock.move(seconds=3)
    assert alice.get("/session").get_json()["reason"] == "expired"


@pytest.mark.parametrize("remember", [True, False])
def test_remember_me_is_kept_by_every_refresh(site: SiteWithRoles, remember: bool) -> None:
    alice = signed_in(site.app, "alice", remember=remember)
    for minutes in (2, 0.1, 2, 30):
        site.clock.move(minutes=minutes)
        expire_short(alice)
        cookies = alice.get("/protected").headers.getlist("Set-Cookie")
        assert cookies
        assert [bool(re.search("Max-Age|Expires", cookie)) for cookie in cookies] == [remember] * len(cookies)


# ---- who is out


def test_a_disabled_account_is_out_everywhere_within_a_second(site: SiteWithRoles) -> None:
    other = site.second_server()
    browsers = [signed_in(site.app, "alice"), at_home(signed_in(site.app, "alice"), other)]
    bob = signed_in(site.app, "bob")
    assert [browser.get("/protected").status_code for browser in browsers] == [200, 200]
    with site.app.app_context():
        site.sessions.revoke_user("alice", reason="user_disabled")
    site.clock.move(seconds=1)
    for browser in browsers:
        answer = browser.get("/protected")
        assert (answer.status_code, answer.get_json()["reason"]) == (401, "user_disabled")
    assert bob.get("/protected").status_code == 200


def test_a_loader_that_says_no_ends_the_session_at_the_next_refresh(site: SiteWithRoles) -> None:
    known = {"alice"}
    site.sessions.user_loader(lambda user_id: user_id if user_id in known else None)
    alice = signed_in(site.app, "alice")
    known.clear()
    expire_short(alice)
    assert alice.get("/protected").get_json()["reason"] == "user_disabled"
    known.add("alice")
    assert alice.get("/protected").status_code == 401


# ---- what is forgotten


def fill(site: SiteWithRoles, count: int, age: timedelta) -> None:
    """Sessions that ended so long ago, each on a device of its own."""
    tables, at = tables_in(site.db.metadata), to_ms(site.clock.at - age)
    devices = [
        {
            "id": f"d{number:029}",
            "user_id": "past",
            "cookie_hash": secrets.token_bytes(32),
            "browser": "Firefox",
            "system": "Linux",
            "device_type": "desktop",
            "first_seen_at": at,
        }
        for number in range(count)
    ]
    session = {
        "user_id": "past", "secret_hash": b"s" * 32, "generation": 1, "token_hash": b"c" * 32, "rotated_at": at,
        "reopened": 0, "last_step": 0,
        "created_at": at, "last_seen_at": at, "idle_expires_at": at + DAY_MS, "expires_at": at + DAY_MS,
        "ended_at": at, "end_reason": "signed_out", "persistent": True, "claims": "{}", "auth_time": at, "amr": "",
    }  # fmt: skip
    rows = [{**session, "id": f"s{number:029}", "device_id": f"d{number:029}"} for number in range(count)]
    with rows_of(site.app).database.engine.connect() as connection:
        connection.execute(text("BEGIN"))
        for start in range(0, count, 1000):
            connection.execute(insert(tables.device), devices[start : start + 1000])
            connection.execute(insert(tables.session), rows[start : start + 1000])
        connection.execute(text("COMMIT"))


def test_what_ended_is_kept_for_the_retention_and_then_forgotten(site: SiteWithRoles) -> None:
    fill(site, 3, timedelta(days=89))
    command = ["corbado-session", "cleanup", "--json"]
    assert site.app.test_cli_runner().invoke(args=command).output == '{"deleted": 0}\n'
    site.clock.move(days=1, seconds=1)
    assert site.app.test_cli_runner().invoke(args=command).output == '{"deleted": 6}\n'


def test_cleanup_leaves_the_living_and_their_devices(site: SiteWithRoles) -> None:
    alice = signed_in(site.app, "alice")
    fill(site, 1200, timedelta(days=100))
    with site.app.app_context():
        assert list(rows_of(site.app).revocation.delete_old()) == [500, 500, 200, 500, 500, 200]
        assert len(site.sessions.devices("alice")) == 1
    assert alice.get("/protected").status_code == 200


@pytest.mark.slow
def test_people_sign_in_while_20_000_rows_are_cleaned_up(site: SiteWithRoles) -> None:
    fill(site, 10_000, timedelta(days=100))
    other, done = site.second_server(), threading.Event()
    slowest, entered = 0.0, 0

    def clean() -> int:
        try:
            return sum(rows_of(other).revocation.delete_old())
        finally:
            done.set()

    with ThreadPoolExecutor(1) as thread:
        cleaned = thread.submit(clean)
        while not done.is_set() or entered < 5:
            began = time.monotonic()
            answer = site.app.test_client().post("/sign-in", data={"user": f"user-{entered}"})
            slowest, entered = max(slowest, time.monotonic() - began), entered + 1
            assert answer.status_code == 200
        assert cleaned.result() == 20_000
    assert slowest < 2
    with SessionRows(site.url) as rows:
        assert len(rows.all()) == entered
