"""Short sessions are refreshed ahead of time, so that an outage shorter than what is left of one is seen by nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from flask_corbado_session import SettingsError, session_refreshed
from flask_corbado_session.testing import expire_short
from tests.support.apps import rows_of
from tests.support.databases import start_private_postgres
from tests.support.jars import LONG, SHORT, Jar, SessionRows, asked, processed
from tests.support.postgres import PostgresServer
from tests.support.rules import database_down
from tests.support.site import Site, cookie_of
from tests.support.stopwatch import Stopwatch

AHEAD = {"CORBADO_SESSION_REFRESH_AHEAD": 0.6}


@pytest.fixture
def site(database_url: str) -> Site:
    return Site(database_url, **AHEAD)


@pytest.fixture
def alice(site: Site) -> FlaskClient:
    return site.signed_in()


@pytest.fixture
def down(sqlite_url: str) -> Site:
    """A site on SQLite, whose file is away from the moment the test says so."""
    return Site(sqlite_url, **AHEAD)


def test_in_the_last_two_fifths_of_its_life_one_statement_refreshes_it(site: Site, alice: FlaskClient) -> None:
    site.clock.move(minutes=9)
    answer = site.ask(alice)
    assert answer.facts == (200, ["UPDATE"], [SHORT, LONG])
    assert answer.signals == ["session-refreshed"]
    assert site.ask(alice).facts == (200, [], [])


def test_before_that_no_statement_is_asked(site: Site, alice: FlaskClient) -> None:
    site.clock.move(minutes=8, seconds=59)
    assert site.ask(alice).facts == (200, [], [])


def test_without_a_long_cookie_or_by_bearer_it_serves_on(site: Site, alice: FlaskClient) -> None:
    token = alice.get_cookie(SHORT)
    assert token is not None
    alice.delete_cookie(LONG)
    site.clock.move(minutes=14)
    assert site.ask(alice).facts == (200, [], [])
    bearer = {"Authorization": f"Bearer {token.value}"}
    assert site.ask(site.nobody(), headers=bearer).facts == (200, [], [])


def test_of_two_long_cookies_the_one_of_the_short_session_is_refreshed(site: Site, alice: FlaskClient) -> None:
    """A cookie of a parent domain, say, may be another person's."""
    bob = site.signed_in("bob")
    site.clock.move(minutes=10)
    cookies = [(SHORT, cookie_of(alice)), (LONG, cookie_of(bob, LONG)), (LONG, cookie_of(alice, LONG))]
    header = "; ".join(f"{name}={value}" for name, value in cookies)
    answer = site.ask(site.app.test_client(use_cookies=False), headers={"Cookie": header})
    assert (answer.json["user_id"], answer.statements, answer.signals) == ("alice", ["UPDATE"], ["session-refreshed"])
    assert site.ask(bob).json["user_id"] == "bob"


def test_a_lifetime_of_a_minute_is_not_asked_for_in_vain(sqlite_url: str) -> None:
    """A parent younger than a minute is not replaced by its child: each request would cost a statement for nothing."""
    site = Site(sqlite_url, CORBADO_SESSION_SHORT_LIFETIME=60, **AHEAD)
    alice = site.signed_in()
    site.clock.move(seconds=59)
    assert site.ask(alice).facts == (200, [], [])


def test_while_the_database_is_away_the_short_session_serves_and_is_tried_again_after_a_pause(
    down: Site, sqlite_url: str
) -> None:
    alice = down.signed_in()
    down.clock.move(minutes=10)
    with database_down(rows_of(down.app).database, sqlite_url):
        for _ in range(3):
            response = alice.get("/protected")
            assert (response.status_code, response.headers.getlist("Set-Cookie")) == (200, [])
    assert down.ask(alice).facts == (200, [], [])  # the pause
    down.clock.move(seconds=5)
    assert down.ask(alice).facts == (200, ["UPDATE"], [SHORT, LONG])


def test_no_expired_short_session_is_accepted_however_long_the_database_is_away(down: Site, sqlite_url: str) -> None:
    alice = down.signed_in()
    down.clock.move(minutes=15)
    with database_down(rows_of(down.app).database, sqlite_url):
        assert alice.get("/protected").status_code == 503


def test_a_request_that_was_long_on_its_way_is_no_reuse(site: Site) -> None:
    """An upload left with a token that others have replaced meanwhile: while its short session serves, it is served."""
    jar = Jar()
    asked(site.app, jar, "/sign-in", "POST", user="alice")
    site.clock.move(minutes=9)
    late = jar.copy(jar.user_agent, jar.ip)
    for _ in range(3):
        asked(site.app, jar, short=False)
        site.clock.move(seconds=61)
    answer = processed(site.app, late.sends(short=True))
    assert (answer.status, answer.cookies) == (200, {})
    assert asked(site.app, jar, short=False).status == 200


def test_a_token_that_lost_its_way_for_good_is_still_found_out_when_the_short_session_is_over(site: Site) -> None:
    jar = Jar()
    asked(site.app, jar, "/sign-in", "POST", user="alice")
    thief = jar.copy()
    for _ in range(2):
        site.clock.move(seconds=61)
        asked(site.app, jar, short=False)
    site.clock.move(minutes=10)
    assert processed(site.app, thief.sends(short=True)).status == 200
    site.clock.move(minutes=5)
    assert processed(site.app, thief.sends(short=True)).status == 401
    assert site.end_reasons() == ["reuse"]


def test_a_revoked_session_is_not_refreshed(site: Site, alice: FlaskClient) -> None:
    site.clock.move(minutes=10)
    rows_of(site.app).revocation.revoke_user("alice", "revoked")
    answer = site.ask(alice)
    assert (answer.status, answer.cookies) == (401, {})


def test_of_a_burst_one_refreshes_and_all_are_served(site: Site, database_url: str) -> None:
    jar = Jar()
    asked(site.app, jar, "/sign-in", "POST", user="alice")
    site.clock.move(minutes=10)
    refreshed: list[str] = []

    def note(sender: object, **facts: str) -> None:
        refreshed.append(facts["kind"])

    start = threading.Barrier(32)

    def ask(_: int) -> int:
        start.wait()
        return processed(site.app, jar.sends(short=True)).status

    with SessionRows(database_url) as rows, session_refreshed.connected_to(note, site.app):
        rows.count_changes()
        with ThreadPoolExecutor(32) as threads:
            statuses = list(threads.map(ask, range(32)))
        assert rows.changes() == 1
    assert statuses == [200] * 32
    assert refreshed == ["promote"]


# ---- a real outage


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with start_private_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.mark.slow
def test_five_minutes_without_the_database_are_seen_by_nobody_who_was_here_a_minute_before(
    server: PostgresServer,
) -> None:
    site = Site(server.url, **AHEAD)
    people = [Jar() for _ in range(40)]
    for number, jar in enumerate(people):
        asked(site.app, jar, "/sign-in", "POST", user=f"user {number}")
        site.clock.move(seconds=20)
    for _ in range(20):  # everyone is here once in a minute, at another time of it
        for number in range(6):
            for jar in people[number::6]:
                assert asked(site.app, jar, short=True).status == 200
            site.clock.move(seconds=10)
    server.kill()
    try:
        for _ in range(15):
            for jar in people:
                answer = processed(site.app, jar.sends(short=True))
                assert (answer.status, answer.cookies) == (200, {})
            site.clock.move(seconds=20)
    finally:
        server.start()
    for jar in people:
        assert asked(site.app, jar, short=True).status == 200


@pytest.mark.slow
def test_while_the_database_hangs_one_request_waits_and_no_other(server: PostgresServer) -> None:
    site = Site(server.url, **AHEAD)
    jar = Jar()
    asked(site.app, jar, "/sign-in", "POST", user="somebody patient")
    site.clock.move(minutes=10)
    asked(site.app, jar, "/public")  # the set of ended sessions is known
    took: list[float] = []

    def ask(_: int) -> int:
        since = Stopwatch()
        status = processed(site.app, jar.sends(short=True)).status
        took.append(since.seconds)
        return status

    server.pause()
    try:
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(ask, range(16)))
    finally:
        server.resume()
    assert statuses == [200] * 16
    assert len([seconds for seconds in took if seconds > 1]) <= 1
    assert max(took) < 4


def test_it_is_a_part_of_the_lifetime_or_none(sqlite_url: str) -> None:
    for wrong in (0, 1, 1.5, "0.5", True):
        with pytest.raises(
            SettingsError, match="CORBADO_SESSION_REFRESH_AHEAD must be a number between 0 and 1, or None"
        ):
            Site(sqlite_url, CORBADO_SESSION_REFRESH_AHEAD=wrong)
    alice = (site := Site(sqlite_url, CORBADO_SESSION_REFRESH_AHEAD=None)).signed_in()
    site.clock.move(minutes=14)
    assert site.ask(alice).facts == (200, [], [])
    expire_short(alice)
    assert site.ask(alice).facts == (200, ["UPDATE"], [SHORT, LONG])
