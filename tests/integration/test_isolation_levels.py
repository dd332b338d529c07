"""Bursts on databases that refuse the loser of a race: it is run again, and nobody gets anything but a 2xx."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.testing import move_clock
from tests.support.apps import make_app, rows_of
from tests.support.jars import Jar, Sent, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE
from tests.support.rules import rules_on

WIDE = 64
LEVELS = pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])


def set_level(app: Flask, level: str) -> list[str]:
    """Have the server run the library's statements at this level, as behind a pooler; the conflicts that come of it."""
    engine, conflicts = rows_of(app).database.engine, list[str]()
    with engine.connect() as connection:  # each write takes long enough for another to come in between
        connection.exec_driver_sql(
            "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER take_long BEFORE UPDATE ON corbado_session FOR EACH ROW EXECUTE FUNCTION take_long()"
        )
    engine.dispose()

    @event.listens_for(engine, "connect")
    def set_it(connection: Any, record: Any) -> None:
        connection.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")

    @event.listens_for(engine, "handle_error")
    def note(context: Any) -> None:
        conflicts.append(context.original_exception.sqlstate)

    return conflicts


def at_once(work: Callable[[], Any]) -> Counter[Any]:
    """What comes of 64 at the same moment."""
    barrier = Barrier(WIDE)

    def do(_: int) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(WIDE) as pool:
        return Counter(pool.map(do, range(WIDE)))


def status_of(app: Flask, sent: Sent) -> int:
    return processed(app, sent).status


@LEVELS
def test_a_burst_at_expiry_is_served(postgres_url: str, level: str) -> None:
    app, _, _ = make_app(postgres_url)
    conflicts, clock, jar = set_level(app, level), move_clock(app), Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    for _ in range(4):
        clock.move(milliseconds=MIN_AGE + 1)
        assert at_once(partial(status_of, app, jar.sends())) == {200: WIDE}
        asked(app, jar)
    with SessionRows(postgres_url) as rows:
        assert (rows.one()["generation"], rows.one()["end_reason"]) == (4, None)
    assert set(conflicts) <= {"40001"}
    assert bool(conflicts) is (level != "READ COMMITTED")


@LEVELS
def test_sign_ins_and_outs_and_revocations_at_once_are_done(postgres_url: str, level: str) -> None:
    app, _, sessions = make_app(postgres_url)
    set_level(app, level)
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    sent = jar.sends("/sign-in", "POST", short=True, user="alice")  # each supersedes the same session
    assert at_once(partial(status_of, app, sent)) == {200: WIDE}
    asked(app, jar, "/sign-in", "POST", user="alice")
    out = jar.sends("/sign-out", "POST", short=True)
    assert at_once(partial(status_of, app, out)) == {200: WIDE}

    def revoke() -> None:
        with app.app_context():
            sessions.revoke_user("alice")

    assert at_once(revoke) == {None: WIDE}
    with SessionRows(postgres_url) as rows:
        assert all(row["ended_at"] is not None for row in rows.all().values())


def test_work_that_goes_on_conflicting_is_given_up_within_two_seconds(postgres_url: str) -> None:
    database = rules_on(postgres_url).database
    runs: list[float] = []

    def conflict(connection: Any) -> None:
        runs.append(time.monotonic())
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$"))

    with pytest.raises(StoreUnavailable, match=r"because of others at the same time.*40P01"):
        database.run(conflict)
    assert runs[-1] - runs[0] < 2.2
    assert 10 < len(runs) < 400
