"""One token, presented by many at once: one of them changes the row, and everyone gets a child that works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from flask_corbado_session.testing import move_clock
from tests.support.apps import make_app, statements
from tests.support.jars import LONG, SHORT, Answer, Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE, read
from tests.support.servers import ServerProcess

Way = Callable[[Jar], Answer]
"""How a request gets to the app."""
THREADS = 50
PROCESSES = 4


def burst(jar: Jar, ways: Sequence[Way]) -> list[Answer]:
    """The same request at the same moment, each by its own way."""
    start = threading.Barrier(len(ways))

    def ask(way: Way) -> Answer:
        start.wait()
        return way(jar)

    with ThreadPoolExecutor(len(ways)) as threads:
        return list(threads.map(ask, ways))


def _through(server: ServerProcess, jar: Jar) -> Answer:
    return server.answers(jar.sends())


def check_burst(rows: SessionRows, jar: Jar, answers: list[Answer]) -> None:
    """All were served; the row moved on once, to the token they presented; everyone has a child of their own."""
    token = read(jar.cookies[LONG]).token
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert rows.changes() == 1
    assert (rows.one()["generation"], bytes(rows.one()["token_hash"])) == (token.generation, token.hash)
    children = [read(answer.cookies[LONG] or "").token for answer in answers]
    assert {child.parent_hash for child in children} == {token.hash}
    assert len({child.hash for child in children}) == len(children)


def check_children(rows: SessionRows, jar: Jar, answers: list[Answer], way: Way) -> None:
    """Each child works later, whichever of them the browser kept."""
    row = rows.one()
    for answer in answers:
        rows.put(row["id"], **row)
        browser = jar.copy()
        browser.take(answer)
        later = way(browser)
        assert (later.status, set(later.cookies)) == (200, {SHORT, LONG})
        assert bytes(rows.one()["token_hash"]) == read(answer.cookies[LONG] or "").token.hash


def test_fifty_threads_refresh_one_token_with_one_change_of_the_row(database_url: str) -> None:
    app, _, _ = make_app(database_url)
    clock, jar = move_clock(app), Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    with SessionRows(database_url) as rows:
        rows.count_changes()
        clock.move(milliseconds=MIN_AGE + 1)
        with statements(app) as run:
            answers = burst(jar, [lambda jar: processed(app, jar.sends())] * THREADS)
        check_burst(rows, jar, answers)
        assert len(run) == 1 + 2 * (THREADS - 1)
        clock.move(milliseconds=MIN_AGE + 1)
        check_children(rows, jar, answers, lambda jar: processed(app, jar.sends()))


@pytest.mark.slow
def test_four_processes_refresh_one_token_with_one_change_of_the_row(database_url: str) -> None:
    app, _, _ = make_app(database_url)
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    with ExitStack() as stack:
        rows = stack.enter_context(SessionRows(database_url))
        servers = [stack.enter_context(ServerProcess(database_url)) for _ in range(PROCESSES)]
        rows.let_pass(MIN_AGE + 1)
        rows.count_changes()
        ways = [partial(_through, server) for server in servers]
        answers = burst(jar, ways * 8)
        check_burst(rows, jar, answers)
        rows.let_pass(MIN_AGE + 1)
        check_children(rows, jar, answers, ways[0])


def test_a_burst_while_the_token_is_young_changes_nothing_and_serves_all(database_url: str) -> None:
    app, _, _ = make_app(database_url)
    move_clock(app)
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    with SessionRows(database_url) as rows:
        rows.count_changes()
        answers = burst(jar, [lambda jar: processed(app, jar.sends())] * 20)
        assert [(answer.status, set(answer.cookies)) for answer in answers] == [(200, {SHORT})] * 20
        assert rows.changes() == 0


def test_a_second_burst_after_a_lost_one_opens_the_token_anew_once(database_url: str) -> None:
    """Every answer of the first was lost: the browser comes back with what it had, twenty times at once."""
    app, _, _ = make_app(database_url)
    clock, jar = move_clock(app), Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    clock.move(milliseconds=MIN_AGE + 1)
    burst(jar, [lambda jar: processed(app, jar.sends())] * 20)
    clock.move(days=3)
    with SessionRows(database_url) as rows:
        rows.count_changes()
        answers = burst(jar, [lambda jar: processed(app, jar.sends())] * 20)
        check_burst(rows, jar, answers)
        assert rows.one()["reopened"] == 1
        clock.move(milliseconds=MIN_AGE + 1)
        check_children(rows, jar, answers, lambda jar: processed(app, jar.sends()))
