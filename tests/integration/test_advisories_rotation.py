"""Public failures of refresh tokens that rotate: races, restarts, lost commits, thieves in lock-step.

Which advisories there must be tests of is listed in ``tests/unit/test_advisories.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from flask import Flask

from flask_corbado_session.testing import MovingClock
from tests.support.apps import rows_of
from tests.support.jars import LONG, SHORT, Answer, Jar, SessionRows, asked, owner_of_a_session, processed
from tests.support.oracle import BURST_WINDOW, MAX_REOPENS, MIN_AGE
from tests.support.rules import database_down
from tests.support.site import Site

QUARTER = 15 * 60


@pytest.fixture
def site(database_url: str) -> Site:
    return Site(database_url)


@pytest.fixture
def owner(app: Flask, clock: MovingClock) -> Jar:
    return owner_of_a_session(app, clock)


def race(app: Flask, jar: Jar, count: int) -> Sequence[Answer]:
    """The same request, this often at the same moment."""
    start = threading.Barrier(count)

    def ask(_: int) -> Answer:
        start.wait()
        return processed(app, jar.sends())

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


# ---- races of honest browsers


def test_cve_2026_1035_the_check_of_a_token_and_its_use_are_one_step(app: Flask, owner: Jar, database_url: str) -> None:
    """Keycloak counted a token's uses in one step and wrote the count in another: two requests were both the first."""
    with SessionRows(database_url) as rows:
        rows.count_changes()
        before = rows.one()["generation"]
        race(app, owner, 16)
        assert (rows.changes(), rows.one()["generation"]) == (1, before + 1)


def test_nocturne_391_who_loses_the_race_is_signed_in_all_the_same(app: Flask, owner: Jar) -> None:
    """nocturne, and fliks 457: the losers were nobody, or thieves, and their pages showed the login."""
    answers = race(app, owner, 8)
    assert [answer.status for answer in answers] == [200] * 8
    assert {answer.body["user_id"] for answer in answers} == {"alice"}
    assert rows_of(app).revocation.history("alice") == []


def test_openrisk_700_who_loses_the_race_deletes_no_cookie_of_the_winner(
    app: Flask, clock: MovingClock, owner: Jar
) -> None:
    """OpenRisk 700, revel 950, convex-auth 555: the losing answer took the winner's new cookies away."""
    for order in (1, -1):
        browser = Jar(dict(owner.cookies))
        for answer in race(app, browser, 6)[::order]:
            assert None not in answer.cookies.values()
            browser.take(answer)
        owner.cookies = dict(browser.cookies)
        clock.move(seconds=QUARTER)
        assert asked(app, owner).status == 200
        clock.move(seconds=QUARTER)


def test_bike4mind_1801_whichever_token_of_a_race_is_kept_is_good(app: Flask, clock: MovingClock, owner: Jar) -> None:
    """Without a compare-and-swap both of two refreshes had a token, and the one that the browser kept was unknown."""
    answers = race(app, owner, 4)
    kept = [Jar(dict(owner.cookies)) for _ in answers]
    clock.move(seconds=QUARTER)
    jar = kept[-1]
    for answer in answers:  # the last of them arrives last
        jar.take(answer)
    for _ in range(3):
        assert asked(app, jar).status == 200
        clock.move(seconds=QUARTER)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_supertokens_12_1_a_token_issued_again_takes_no_earlier_one_away(
    app: Flask, clock: MovingClock, owner: Jar, order: tuple[int, ...]
) -> None:
    """Its second refresh within the grace replaced the first one's child: answers out of order ended the session."""
    answers = []
    for _ in range(3):
        answers.append(processed(app, owner.sends()))
        clock.move(milliseconds=BURST_WINDOW // 4)
    clock.move(milliseconds=MIN_AGE + 1)
    for place in order:
        owner.take(answers[place])
    for _ in range(3):
        assert asked(app, owner).status == 200
        clock.move(seconds=QUARTER)


def test_supertokens_12_1_nor_does_a_lost_answer_with_a_late_return(app: Flask, clock: MovingClock, owner: Jar) -> None:
    processed(app, owner.sends())  # its answer never arrives
    clock.move(days=2)
    assert asked(app, owner).status == 200
    clock.move(seconds=QUARTER)
    assert asked(app, owner).status == 200


# ---- stores that fail


def test_cve_2026_9802_a_restart_makes_no_spent_token_good(site: Site, owner: Jar) -> None:
    """Keycloak remembered since when tokens had been used, and a restart forgot it."""
    spent = owner.copy()
    for _ in range(2):
        assert asked(site.app, owner).status == 200
        site.clock.move(seconds=QUARTER)
    restarted = site.second_server()
    answer = processed(restarted, spent.sends())
    assert (answer.status, answer.body["reason"], answer.cookies) == (401, "reuse", {})
    assert processed(site.second_server(), owner.sends()).status == 401


def test_keycloak_49213_a_write_that_fails_uses_nothing_up(sqlite_url: str) -> None:
    """Each try while the database was down counted as a use of the token, and the session was revoked for it."""
    site, jar = Site(sqlite_url), Jar()
    asked(site.app, jar, "/sign-in", "POST", user="alice")
    site.clock.move(seconds=QUARTER)
    with SessionRows(sqlite_url) as rows:
        before = rows.one()
    with database_down(rows_of(site.app).database, sqlite_url):
        for _ in range(MAX_REOPENS + 4):
            answer = asked(site.app, jar)
            assert (answer.status, answer.body["code"], answer.cookies) == (503, "session_store_unavailable", {})
            site.clock.move(seconds=30)
    with SessionRows(sqlite_url) as rows:
        assert rows.one() == before
    answer = asked(site.app, jar)
    assert (answer.status, set(answer.cookies)) == (200, {SHORT, LONG})
    assert site.end_reasons() == []


# ---- thieves


def test_supabase_auth_v2_a_thief_in_lock_step_is_found(app: Flask, clock: MovingClock, owner: Jar) -> None:
    """It gave whoever came with the last token but one the same successor: two holders never parted."""
    thief, steps = owner.copy(), 0
    while asked(app, owner).status == 200:
        steps += 1
        assert steps < 10
        clock.move(seconds=1)
        asked(app, thief)
        clock.move(seconds=QUARTER)
    assert [session.end_reason for session in rows_of(app).revocation.history("alice")] == ["reuse"]
    assert asked(app, thief).status == 401
