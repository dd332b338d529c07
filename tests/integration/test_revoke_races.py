"""Revoke against refresh: once a revoke has committed nothing matches, and no short session is made or honoured."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic

import pytest
from flask import Flask

from flask_corbado_session import ANY_USER, CorbadoSession
from flask_corbado_session.testing import move_clock
from tests.support.apps import make_app, unprepared_app
from tests.support.jars import LONG, SHORT, Answer, Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE, read

RACES = 300


def signed_in(app: Flask, user: str = "alice") -> tuple[Jar, str]:
    """A jar and the id of its session."""
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user=user)
    return jar, read(jar.cookies[LONG]).session_id


class Race:
    """One session, refreshed through two apps over and over while it is revoked through one of them."""

    def __init__(self, app: Flask, sessions: CorbadoSession, other: Flask) -> None:
        self._app, self._sessions, self._other = app, sessions, other
        self._jar, self._id = signed_in(app)
        self._start = threading.Barrier(3)
        self._revoked_at = float("inf")

    def run(self, workers: ThreadPoolExecutor, rows: SessionRows) -> int:
        """Race; how many refreshes were served before the revocation. Asserts that none was after it."""
        rows.put(self._id, rotated_at=0)  # the first refresh promotes
        racers = [workers.submit(self._refresh, app) for app in (self._app, self._other)]
        workers.submit(self._revoke).result()
        answers = [answer for racer in racers for answer in racer.result()]
        late = [answer for began, answer in answers if began > self._revoked_at]
        assert len(late) >= 2
        assert [(answer.status, answer.cookies) for answer in late] == [(401, {})] * len(late)
        served = [answer for _, answer in answers if answer.status == 200]
        for answer in served:  # what was made before serves no longer, in no combination
            jar = Jar(dict(self._jar.cookies)) if LONG not in answer.cookies else Jar()
            jar.take(answer)
            assert processed(self._app, jar.sends(short=True)).status == 401
        return len(served)

    def _refresh(self, app: Flask) -> list[tuple[float, Answer]]:
        self._start.wait()
        answers = []
        while True:
            began = monotonic()
            answers.append((began, processed(app, self._jar.sends())))
            if began > self._revoked_at:
                return answers

    def _revoke(self) -> None:
        self._start.wait()
        with self._app.app_context():
            self._sessions.revoke(self._id, user_id=ANY_USER)
        self._revoked_at = monotonic()


@pytest.mark.slow
def test_in_300_races_nothing_is_refreshed_once_the_revoke_has_committed(database_url: str) -> None:
    app, _, sessions = make_app(database_url)
    other, _, _ = unprepared_app(database_url)
    with SessionRows(database_url) as rows, ThreadPoolExecutor(3) as workers:
        served = [Race(app, sessions, other).run(workers, rows) for _ in range(RACES)]
        assert {row["end_reason"] for row in rows.all().values()} == {"operator"}
    assert sum(each > 0 for each in served) > 0, "no refresh ever came first: nothing raced"


def test_a_short_session_made_as_its_session_was_revoked_serves_nowhere(database_url: str) -> None:
    """The refresh committed first, and the process only then made the short session."""
    app, _, sessions = make_app(database_url)
    clock = move_clock(app)
    jar, session_id = signed_in(app)
    clock.move(milliseconds=MIN_AGE + 1)

    @sessions.claims_loader
    def revoke_in_between(user_id: str) -> dict[str, str]:
        sessions.revoke(session_id, user_id=ANY_USER)
        return {}

    late = asked(app, jar)
    assert SHORT in late.cookies
    assert processed(app, jar.sends(short=True)).status == 401


def test_a_clock_that_was_ahead_and_was_set_back_brings_no_revoked_session_back(database_url: str) -> None:
    """A process that let go of old ids while its clock was ahead asks for them again."""
    apps = [make_app(database_url), unprepared_app(database_url)]
    clocks = [move_clock(app) for app, _, _ in apps]
    app, _, sessions = apps[0]
    jar, session_id = signed_in(app)
    bob, _ = signed_in(app, "bob")
    with app.app_context():
        sessions.revoke(session_id, user_id=ANY_USER)
    sent = jar.sends(short=True)
    del sent.cookies[LONG]
    for jump in (timedelta(minutes=2), timedelta(hours=1), -timedelta(hours=1)):
        for (each, _, _), clock in zip(apps, clocks, strict=True):
            clock.move(jump)
            processed(each, bob.sends(short=True))
            assert processed(each, sent).status == 401
