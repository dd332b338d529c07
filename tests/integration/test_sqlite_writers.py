"""SQLite has one writer at a time: those who wait for it take turns, in each process and between them."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.testing import move_clock
from tests.support.apps import make_app, unprepared_app
from tests.support.jars import Jar, asked
from tests.support.oracle import MIN_AGE
from tests.support.rules import database_at
from tests.support.stopwatch import Stopwatch

PROCESSES, PEOPLE, ROUNDS = 4, 16, 5


def refreshes(database_url: str, process: int) -> Counter[int]:
    """The statuses of sixteen people's requests at expiry, all at once, round after round."""
    app, _, _ = unprepared_app(database_url)
    clock, jars = move_clock(app), [Jar() for _ in range(PEOPLE)]
    statuses = Counter(asked(app, jar, "/sign-in", "POST", user=f"{process}-{n}").status for n, jar in enumerate(jars))
    with ThreadPoolExecutor(PEOPLE) as pool:
        for _ in range(ROUNDS):
            clock.move(milliseconds=MIN_AGE + 1)
            statuses += Counter(answer.status for answer in pool.map(lambda jar: asked(app, jar), jars))
    return statuses


@pytest.mark.slow
def test_four_processes_refresh_64_sessions_at_once(sqlite_url: str) -> None:
    """At cd6b537 some waited longer than the two seconds, while others were served again and again."""
    make_app(sqlite_url)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, spawn) as pool:
        counted = pool.map(refreshes, [sqlite_url] * PROCESSES, range(PROCESSES))
        assert sum(counted, Counter()) == {200: PROCESSES * PEOPLE * (1 + ROUNDS)}


def test_who_waited_for_a_writer_that_gave_up_does_not_wait_as_long_again(sqlite_url: str) -> None:
    """On a busy machine the turn came in the last moment, and with it two more seconds of waiting."""
    database = database_at(sqlite_url)
    database.create_tables()
    delete = text("DELETE FROM corbado_session")
    waiting, may_fail = threading.Event(), threading.Event()

    def gives_up(connection: Connection) -> None:
        waiting.set()
        assert may_fail.wait(10)
        raise OperationalError("DELETE", {}, sqlite3.OperationalError("database is locked"))

    began, ran = monotonic(), list[int]()

    def write(work: Callable[[Connection], None]) -> None:
        with pytest.raises(StoreUnavailable):
            database.run(work, writes=True)

    writers = [threading.Thread(target=write, args=(work,)) for work in (gives_up, lambda _: ran.append(1))]
    writers[0].start()
    assert waiting.wait(10)
    sleep(0.5)
    writers[1].start()
    sleep(max(0.0, began + 2.1 - monotonic()))  # longer than the first may wait, and not as long as the second may
    may_fail.set()
    for thread in writers:
        thread.join()
    assert ran == []
    database.run(lambda connection: connection.execute(delete), writes=True)


def test_a_read_does_not_stand_in_the_queue_of_the_writers(sqlite_url: str) -> None:
    database = database_at(sqlite_url)
    database.create_tables()
    count, delete = text("SELECT count(*) FROM corbado_session"), text("DELETE FROM corbado_session")
    with create_engine(sqlite_url).connect() as app:
        app.exec_driver_sql("BEGIN IMMEDIATE")
        failed: list[StoreUnavailable] = []

        def write() -> None:
            try:
                database.run(lambda connection: connection.execute(delete), writes=True)
            except StoreUnavailable as error:
                failed.append(error)

        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        since = Stopwatch()
        assert database.run(lambda connection: connection.execute(count).scalar()) == 0
        assert since.seconds < 1
        for writer in writers:
            writer.join()
        assert since.seconds < 3.5, "they wait together, not one after the other"
    assert ["stayed locked for 2 s" in str(error) for error in failed] == [True] * 3
