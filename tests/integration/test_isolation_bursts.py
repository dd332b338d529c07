"""Bursts of one user's many sessions and devices on PostgreSQL, at every isolation level: nobody is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, jsonify
from sqlalchemy import NullPool, create_engine, event, make_url

from flask_corbado_session import ANY_USER, CorbadoSession
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app, rows_of
from tests.support.jars import LONG, Answer, Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE, read

WIDTH = 64
"""Requests at the same moment."""
LEVELS = ["read committed", "repeatable read", "serializable"]


class Levelled:
    """The tests' app with its statements at this level, and browsers that press at the same moment."""

    def __init__(self, database_url: str, level: str) -> None:
        self.app, _, sessions = make_app(database_url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=WIDTH * 2)
        _add_revoke_views(self.app, sessions)
        self.clock: MovingClock = move_clock(self.app)
        engine = rows_of(self.app).database.engine
        engine.dispose()

        @event.listens_for(engine, "connect")
        def apply(connection: Any, _record: object) -> None:
            """After the library has set its own, as behind a pooler that hands on connections of another level."""
            connection.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")

    def signed_in(self, user: str = "alice") -> Jar:
        """A new browser of this user."""
        jar = Jar()
        assert asked(self.app, jar, "/sign-in", "POST", user=user).status == 200
        return jar

    def at_once(self, jars: Sequence[Jar], path: str = "/protected", method: str = "GET", **form: str) -> list[Answer]:
        """The answers to one request of each jar, all sent at the same moment."""
        barrier = threading.Barrier(len(jars))

        def ask(jar: Jar) -> Answer:
            barrier.wait()
            return processed(self.app, jar.sends(path, method, short=method == "POST", **form))

        with ThreadPoolExecutor(len(jars)) as threads:
            return list(threads.map(ask, jars))


def _add_revoke_views(app: Flask, sessions: CorbadoSession) -> None:
    def answer(revoke: Callable[[], object]) -> Response:
        revoke()
        return jsonify(revoked=True)

    app.add_url_rule(
        "/revoke/<session_id>",
        "revoke",
        lambda session_id: answer(lambda: sessions.revoke(session_id, user_id=ANY_USER)),
        methods=["POST"],
    )
    app.add_url_rule(
        "/revoke-user/<user_id>",
        "revoke_user",
        lambda user_id: answer(lambda: sessions.revoke_user(user_id, reason="operator")),
        methods=["POST"],
    )


@pytest.fixture(params=LEVELS, ids=lambda level: level.replace(" ", "-"))
def levelled(request: pytest.FixtureRequest, postgres_url: str) -> Levelled:
    return Levelled(postgres_url, request.param)


def statuses(answers: Sequence[Answer]) -> dict[int, int]:
    """How often each status was answered."""
    found = [answer.status for answer in answers]
    return {status: found.count(status) for status in sorted(set(found))}


def level_of(app: Flask) -> str:
    """The level at which the library's statements run."""
    level: str = rows_of(app).database.run(
        lambda connection: connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
    )
    return level


@pytest.mark.parametrize("level", LEVELS)
def test_the_library_runs_at_read_committed_whatever_the_default_of_the_database(postgres_url: str, level: str) -> None:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:  # the database's settings are reset when the test gives it back
        name = make_url(postgres_url).database
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    assert level_of(make_app(postgres_url)[0]) == "read committed"


def test_these_bursts_run_at_the_level_they_say(levelled: Levelled, request: pytest.FixtureRequest) -> None:
    assert level_of(levelled.app) == request.node.callspec.params["levelled"]


def test_a_burst_of_refreshes_of_one_token_is_served(levelled: Levelled, postgres_url: str) -> None:
    jar = levelled.signed_in()
    with SessionRows(postgres_url) as rows:
        rows.count_changes()
        levelled.clock.move(milliseconds=MIN_AGE + 1)
        answers = levelled.at_once([jar] * WIDTH)
        assert statuses(answers) == {200: WIDTH}
        assert rows.changes() == 1
    children = {read(answer.cookies[LONG] or "").token.parent_hash for answer in answers}
    assert children == {read(jar.cookies[LONG]).token.hash}


def test_a_burst_of_refreshes_of_a_users_many_sessions_is_served(levelled: Levelled) -> None:
    jars = [levelled.signed_in() for _ in range(WIDTH)]
    levelled.clock.move(milliseconds=MIN_AGE + 1)
    assert statuses(levelled.at_once(jars)) == {200: WIDTH}


def test_a_burst_of_sign_ins_of_one_user_on_one_device_is_served(levelled: Levelled) -> None:
    jar = levelled.signed_in()
    assert statuses(levelled.at_once([jar] * WIDTH, "/sign-in", "POST", user="alice")) == {200: WIDTH}


def test_a_burst_of_sign_ins_of_one_user_on_new_devices_is_served(levelled: Levelled) -> None:
    jars = [Jar() for _ in range(WIDTH)]
    assert statuses(levelled.at_once(jars, "/sign-in", "POST", user="alice")) == {200: WIDTH}


def test_a_burst_of_revocations_is_served_and_ends_every_session(levelled: Levelled, postgres_url: str) -> None:
    """Half of the requests revoke the whole user, the others sign out or revoke one session of theirs."""
    jars = [levelled.signed_in() for _ in range(WIDTH)]
    ids = [read(jar.cookies[LONG]).session_id for jar in jars]
    paths = ["/revoke-user/alice", f"/revoke/{ids[0]}", "/revoke-user/alice", "/sign-out"]
    barrier = threading.Barrier(WIDTH)

    def revoke(number: int) -> Answer:
        barrier.wait()
        return processed(levelled.app, jars[number].sends(paths[number % 4], "POST", short=True))

    with ThreadPoolExecutor(WIDTH) as threads:
        answers = list(threads.map(revoke, range(WIDTH)))
    assert statuses(answers) == {200: WIDTH}
    with SessionRows(postgres_url) as rows:
        assert {row["end_reason"] for row in rows.all().values()} <= {"operator", "revoked", "signed_out"}
        assert all(row["ended_at"] is not None for row in rows.all().values())
