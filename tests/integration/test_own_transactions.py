"""The library's statements are transactions of their own: they leave the app's alone, and losing one does no harm."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, text

from flask_corbado_session import current_session
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app, statements_of
from tests.support.jars import DEVICE, LONG, SHORT, Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE, read
from tests.support.stopwatch import Stopwatch
from tests.support.wire_cutter import CutWire, Moment

ANSWERED_WITHIN = 3.5
"""Seconds; three are promised, the rest is the machine's."""


def signed_in(app: Flask, clock: MovingClock) -> Jar:
    """Whose next request promotes."""
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    clock.move(milliseconds=MIN_AGE + 1)
    return jar


# ---- the app's own transaction


class Ledger:
    """An app with a table of its own, whose views touch the session in the midst of a transaction."""

    def __init__(self, database_url: str) -> None:
        self.app, self.db, _ = make_app(database_url)
        self.ends: list[str] = []
        with self.app.app_context():
            self.db.session.execute(text("CREATE TABLE ledger (entry VARCHAR(20))"))
            self.db.session.commit()
        self._add_views(self.app, self.db)
        self.jar = signed_in(self.app, move_clock(self.app))
        for what in ("after_commit", "after_rollback"):
            event.listen(self.db.session, what, lambda _, what=what: self.ends.append(what))

    def _add_views(self, app: Flask, db: SQLAlchemy) -> None:
        def write(entry: str) -> None:
            db.session.execute(text("INSERT INTO ledger VALUES (:entry)"), {"entry": entry})

        @app.post("/write-then-ask")
        def write_then_ask() -> list[str]:
            write("before")
            user_id = current_session.user_id or ""  # refreshes
            assert self.ends == []
            return [user_id]

        @app.post("/read-then-ask")
        def read_then_ask() -> list[str]:
            db.session.execute(text("SELECT count(*) FROM ledger")).scalar_one()
            user_id = current_session.user_id or ""
            assert self.ends == []
            write("after")
            db.session.commit()
            return [user_id]

        @app.post("/ask-then-fail")
        def ask_then_fail() -> str:
            write("failed")
            db.session.commit()
            write("failed too")
            assert current_session
            raise ZeroDivisionError

    def entries(self) -> list[str]:
        with self.app.app_context():
            return list(self.db.session.execute(text("SELECT entry FROM ledger")).scalars())


def test_a_refresh_neither_commits_nor_rolls_back_what_the_app_has_written(postgres_url: str) -> None:
    """The view never commits, so its row is gone; the refresh is its own and stays."""
    ledger = Ledger(postgres_url)
    with ledger.app.app_context():
        own = ledger.db.engine
    with statements_of(own) as run:
        answer = asked(ledger.app, ledger.jar, "/write-then-ask", "POST")
    assert (answer.status, answer.body, set(answer.cookies)) == (200, ["alice"], {SHORT, LONG})
    assert run.verbs == ["INSERT"], "nothing but the app's own"
    assert ledger.entries() == []
    with SessionRows(postgres_url) as rows:
        assert rows.one()["generation"] == 1


def test_a_refresh_under_a_read_of_the_app_lets_it_write_and_commit(database_url: str) -> None:
    """On SQLite too: the read does not block the library, nor the library's commit the app's write after it."""
    ledger = Ledger(database_url)
    answer = asked(ledger.app, ledger.jar, "/read-then-ask", "POST")
    assert (answer.status, set(answer.cookies)) == (200, {SHORT, LONG})
    assert ledger.entries() == ["after"]


def test_a_view_that_fails_takes_no_refresh_back(postgres_url: str) -> None:
    """Not so on SQLite, which has one writer at a time: there it is the 503 below."""
    ledger = Ledger(postgres_url)
    ledger.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = asked(ledger.app, ledger.jar, "/ask-then-fail", "POST")
    assert (answer.status, set(answer.cookies)) == (500, {SHORT, LONG})
    assert ledger.entries() == ["failed"]
    with SessionRows(postgres_url) as rows:
        assert rows.one()["generation"] == 1


def test_sqlite_held_open_for_writing_by_the_app_is_a_503_that_says_what_to_do(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(sqlite_url)
    since = Stopwatch()
    with caplog.at_level(logging.ERROR, "flask_corbado_session"):
        answer = asked(ledger.app, ledger.jar, "/write-then-ask", "POST")
    assert since.seconds < ANSWERED_WITHIN
    assert (answer.status, answer.body["code"], answer.cookies) == (503, "session_store_unavailable", {})
    assert "call db.session.commit() before it signs in, out or first asks for the session" in caplog.text
    assert set(asked(ledger.app, ledger.jar).cookies) == {SHORT, LONG}


# ---- a connection lost in the midst of a commit


@pytest.fixture
def wire(postgres_url: str, late_losses: None) -> Iterator[CutWire]:
    with CutWire(postgres_url) as wire:
        yield wire


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_refresh_whose_connection_is_lost_in_the_commit_is_served_all_the_same(
    wire: CutWire, postgres_url: str, moment: Moment
) -> None:
    app, _, _ = make_app(wire.url)
    clock = move_clock(app)
    jar = signed_in(app, clock)
    token = read(jar.cookies[LONG]).token
    with SessionRows(postgres_url) as rows:
        rows.count_changes()
        wire.cut("UPDATE corbado_session", moment)
        assert set(asked(app, jar).cookies) == {SHORT, LONG}
        assert wire.cuts == 1
        assert (rows.changes(), bytes(rows.one()["token_hash"])) == (1, token.hash)
    clock.move(milliseconds=MIN_AGE + 1)
    assert set(asked(app, jar).cookies) == {SHORT, LONG}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("days", [0, 3])
def test_when_the_database_then_stays_away_the_same_cookies_serve_when_it_is_back(
    wire: CutWire, moment: Moment, days: int
) -> None:
    app, _, _ = make_app(wire.url)
    clock = move_clock(app)
    jar = signed_in(app, clock)
    wire.cut("UPDATE corbado_session", moment, refuse=True)
    answer = asked(app, jar)
    assert (answer.status, answer.cookies) == (503, {})
    wire.refuses = False
    clock.move(days=days)
    assert set(asked(app, jar).cookies) == {SHORT, LONG}
    clock.move(milliseconds=MIN_AGE + 1)
    assert set(asked(app, jar).cookies) == {SHORT, LONG}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_a_sign_in_whose_connection_is_lost_in_the_commit_signs_in_once(
    wire: CutWire, postgres_url: str, moment: Moment, again: bool
) -> None:
    app, _, _ = make_app(wire.url)
    clock = move_clock(app)
    jar = signed_in(app, clock) if again else Jar()
    wire.cut("COMMIT" if again else "INSERT INTO corbado_session", moment)
    answer = asked(app, jar, "/sign-in", "POST", short=True, user="alice")
    assert (answer.status, set(answer.cookies), wire.cuts) == (200, {SHORT, LONG, DEVICE}, 1)
    with SessionRows(postgres_url) as rows:
        live = [row["id"] for row in rows.all().values() if row["ended_at"] is None]
        assert live == [read(jar.cookies[LONG]).session_id]
        assert len(rows.all()) == (2 if again else 1)
    clock.move(milliseconds=MIN_AGE + 1)
    assert set(asked(app, jar).cookies) == {SHORT, LONG}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sign_out_whose_connection_is_lost_in_the_commit_is_one(
    wire: CutWire, postgres_url: str, moment: Moment
) -> None:
    app, _, _ = make_app(wire.url)
    jar = signed_in(app, move_clock(app))
    sent = jar.sends()
    wire.cut("UPDATE corbado_session", moment)
    answer = asked(app, jar, "/sign-out", "POST", short=True)
    assert (answer.status, answer.cookies, wire.cuts) == (200, {SHORT: None, LONG: None}, 1)
    with SessionRows(postgres_url) as rows:
        assert rows.one()["end_reason"] == "signed_out"
    assert processed(app, sent).status == 401
