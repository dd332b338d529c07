"""What becomes of a person and of a thief: two holders of one token part, and the second of them gives both away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask
from sqlalchemy import event

from flask_corbado_session import session_refreshed, session_reuse_detected
from flask_corbado_session.model.records import Context
from flask_corbado_session.testing import MovingClock
from tests.support.apps import rows_of
from tests.support.jars import LONG, SHORT, Answer, Jar, SessionRows, asked, owner_of_a_session, processed
from tests.support.oracle import BURST_WINDOW, MAX_REOPENS, MIN_AGE, read
from tests.support.site import Site

OWNER = Context("192.0.2.1", "Owner/1.0")
THIEF = Context("203.0.113.6", "Thief/6.6")
QUARTER = 15 * 60


@pytest.fixture
def site(database_url: str) -> Site:
    return Site(database_url)


@pytest.fixture
def owner(app: Flask, clock: MovingClock) -> Jar:
    return owner_of_a_session(app, clock)


@pytest.fixture
def rows(database_url: str, owner: Jar) -> Iterator[SessionRows]:
    with SessionRows(database_url) as rows:
        yield rows


@contextmanager
def heard(signal: NamedSignal, app: Flask) -> Iterator[list[dict[str, Any]]]:
    """What the signal says meanwhile."""
    facts: list[dict[str, Any]] = []

    def hear(sender: object, **said: Any) -> None:
        facts.append(said)

    with signal.connected_to(hear, app):
        yield facts


def is_out(answer: Answer, reason: str) -> bool:
    return (answer.status, answer.body["reason"], answer.cookies) == (401, reason, {})


# ---- two holders of one token


@pytest.mark.parametrize("apart", [1, 60, 5 * QUARTER])
@pytest.mark.parametrize("first", ["the owner", "the thief"])
def test_two_holders_part_and_the_losing_branch_ends_the_session(
    app: Flask, clock: MovingClock, owner: Jar, rows: SessionRows, first: str, apart: int
) -> None:
    thief = owner.copy()
    early, late = (owner, thief) if first == "the owner" else (thief, owner)
    for jar in (early, late):
        assert asked(app, jar).status == 200
        clock.move(seconds=apart)
    assert read(early.cookies[LONG]).token.hash != read(late.cookies[LONG]).token.hash
    clock.move(seconds=QUARTER)
    assert asked(app, late).status == 200
    assert asked(app, late, short=True).status == 200
    with heard(session_reuse_detected, app) as signals:
        assert is_out(asked(app, early), "reuse")
    (signal,) = signals
    mine, other = (OWNER, THIEF) if first == "the owner" else (THIEF, OWNER)
    assert (signal["user_id"], signal["session_id"]) == ("alice", rows.one()["id"])
    assert (signal["context"], signal["previous"]) == (mine, other)
    assert rows.one()["end_reason"] == "reuse"
    # both are out, at once, with everything they hold
    for jar in (owner, thief):
        assert asked(app, jar, short=True).status == 401
        assert is_out(asked(app, jar), "reuse")


def test_a_thief_in_lock_step_is_found_at_the_second_step(app: Flask, clock: MovingClock, owner: Jar) -> None:
    """They ask a second after the owner, every time: with one successor for both nobody would ever notice."""
    thief = owner.copy()
    steps = 0
    while asked(app, owner).status == 200:
        steps += 1
        clock.move(seconds=1)
        asked(app, thief)
        clock.move(seconds=QUARTER)
    assert steps == 2


def test_a_spent_token_ends_the_session(app: Flask, clock: MovingClock, owner: Jar, rows: SessionRows) -> None:
    """One that was copied two refreshes ago."""
    thief = owner.copy()
    for _ in range(2):
        asked(app, owner)
        clock.move(seconds=QUARTER)
    assert is_out(asked(app, thief), "reuse")
    assert is_out(asked(app, owner), "reuse")


def test_theft_is_told_once_however_often_the_spent_token_comes(app: Flask, clock: MovingClock, owner: Jar) -> None:
    thief = owner.copy()
    for _ in range(2):
        asked(app, owner)
        clock.move(seconds=QUARTER)
    with heard(session_reuse_detected, app) as signals:
        for _ in range(3):
            asked(app, thief)
            clock.move(seconds=2 * MIN_AGE / 1000)  # beyond the time for which a dead session is remembered
    assert len(signals) == 1


def test_theft_is_told_once_when_two_find_it_at_the_same_moment(app: Flask, clock: MovingClock, owner: Jar) -> None:
    thief = owner.copy()
    for _ in range(2):
        asked(app, owner)
        clock.move(seconds=QUARTER)
    both_know = Barrier(2, timeout=1)

    def wait(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if "SET ended_at" in statement:
            with suppress(BrokenBarrierError):  # SQLite's writers queue within a process: there one knows first
                both_know.wait()

    event.listen(rows_of(app).database.engine, "before_cursor_execute", wait)
    with heard(session_reuse_detected, app) as signals, ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda jar: processed(app, jar.sends()), [thief, thief]))
    assert all(is_out(answer, "reuse") for answer in answers)
    assert len(signals) == 1


def test_a_session_that_is_revoked_as_its_theft_is_found_keeps_that_reason_and_no_theft_is_told(
    app: Flask, clock: MovingClock, owner: Jar, rows: SessionRows
) -> None:
    """Another process ends it between the two statements."""
    thief = owner.copy()
    for _ in range(2):
        asked(app, owner)
        clock.move(seconds=QUARTER)
    session_id, ended_at = rows.one()["id"], int(clock.at.timestamp() * 1000) - 1

    def revoke(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if "SET ended_at" in statement:
            rows.put(session_id, ended_at=ended_at, end_reason="revoked")

    event.listen(rows_of(app).database.engine, "before_cursor_execute", revoke)
    with heard(session_reuse_detected, app) as signals:
        assert processed(app, thief.sends()).status == 401
    assert (rows.one()["ended_at"], rows.one()["end_reason"], signals) == (ended_at, "revoked", [])


# ---- answers that were lost


@pytest.mark.parametrize("days", [0.01, 1, 6.9])
def test_a_retry_days_after_a_lost_answer_works(app: Flask, clock: MovingClock, owner: Jar, days: float) -> None:
    lost = owner.copy()
    assert asked(app, lost).status == 200
    clock.move(days=days)
    assert asked(app, owner).status == 200
    clock.move(seconds=QUARTER)
    assert asked(app, owner).cookies.keys() == {SHORT, LONG}


def test_a_child_that_was_kept_and_never_used_works_days_later(app: Flask, clock: MovingClock, owner: Jar) -> None:
    for _ in range(6):  # beyond the idle timeout of 7 days, each refresh within it
        assert asked(app, owner).status == 200
        clock.move(days=4)
    assert asked(app, owner).status == 200


def test_a_retry_tells_the_app_who_held_the_token_before(app: Flask, clock: MovingClock, owner: Jar) -> None:
    """It may have been a lost answer, and may have been a thief: who listens is given both contexts."""
    thief = owner.copy()
    asked(app, thief)
    clock.move(milliseconds=BURST_WINDOW + 1)
    with heard(session_refreshed, app) as signals:
        asked(app, owner)
    (signal,) = signals
    assert (signal["kind"], signal["context"], signal["previous"]) == ("reopen", OWNER, THIEF)


def test_an_echo_within_w_is_no_retry(app: Flask, clock: MovingClock, owner: Jar) -> None:
    asked(app, owner.copy())
    clock.move(milliseconds=BURST_WINDOW)
    with heard(session_refreshed, app) as signals:
        asked(app, owner)
    assert [(signal["kind"], signal["previous"]) for signal in signals] == [("reissue", None)]


def test_whoever_opens_a_token_again_and_again_holds_its_children_back_k_times_only(
    app: Flask, clock: MovingClock, owner: Jar, rows: SessionRows
) -> None:
    """A thief could otherwise keep the owner's child unused, and himself unseen, for ever."""
    thief = owner.copy()
    assert asked(app, owner).status == 200
    with heard(session_refreshed, app) as signals:
        for _ in range(MAX_REOPENS + 1):
            clock.move(seconds=MIN_AGE / 1000 - 1)
            asked(app, thief.copy())
            asked(app, owner)
    by_thief, by_owner = signals[::2], signals[1::2]
    assert [signal["kind"] for signal in by_thief] == ["reopen"] * MAX_REOPENS + ["reissue"]
    assert [signal["kind"] for signal in by_owner] == ["hold"] * (MAX_REOPENS + 1)
    clock.move(seconds=MIN_AGE / 1000)
    assert set(asked(app, owner).cookies) == {SHORT, LONG}
    assert is_out(asked(app, thief), "reuse")
    assert rows.one()["end_reason"] == "reuse"
