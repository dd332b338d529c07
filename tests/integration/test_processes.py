"""Several processes on one database: a session revoked through one is out of all within a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from time import sleep

import pytest

from tests.support.apps import make_app
from tests.support.jars import LONG, SHORT, Answer, Jar, SessionRows
from tests.support.oracle import MIN_AGE, read
from tests.support.servers import ServerProcess
from tests.support.stopwatch import Stopwatch

POLL = 1 / 20
"""Seconds between two requests."""
OUT_WITHIN = 1.2
"""Seconds; one is promised, the rest is the machine's."""


@pytest.fixture
def servers(postgres_url: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two processes on one PostgreSQL."""
    make_app(postgres_url)
    with ExitStack() as stack:
        one, other = (stack.enter_context(ServerProcess(postgres_url)) for _ in range(2))
        assert one.port != other.port
        yield one, other


def signed_in(server: ServerProcess) -> tuple[Jar, str]:
    """A jar and the id of its session."""
    jar = Jar()
    assert server.asked(jar, "/sign-in", "POST", user="alice").status == 200
    return jar, read(jar.cookies[LONG]).session_id


def polled(server: ServerProcess, jar: Jar, seconds: float, since: Stopwatch) -> list[tuple[float, Answer]]:
    """The answers to requests with a valid short session, each with the time at which it was sent."""
    answers = []
    began = since.seconds
    while (sent_at := since.seconds) < began + seconds:
        answers.append((sent_at, server.answers(jar.sends(short=True))))
        sleep(max(0.0, sent_at + POLL - since.seconds))
    return answers


@pytest.mark.slow
def test_a_session_revoked_through_one_process_is_out_of_the_other_within_a_second_for_a_query_a_second(
    servers: tuple[ServerProcess, ServerProcess],
) -> None:
    one, other = servers
    jar, session_id = signed_in(one)
    statements, since = other.statements(), Stopwatch()
    assert {answer.status for _, answer in polled(other, jar, 2, since)} == {200}
    assert one.asked(Jar(), f"/revoke/{session_id}", "POST").status == 200
    revoked_at = since.seconds
    answers = polled(other, jar, 2, since)
    lasted, asked_for = since.seconds, other.statements() - statements
    served = [sent_at for sent_at, answer in answers if answer.status == 200]
    assert max(served, default=revoked_at) - revoked_at < OUT_WITHIN
    assert answers[-1][1].status == 401
    # one query a second; of the refused requests the first asks for the long session too, with two statements
    assert 2 <= asked_for <= lasted + 1 + 2
    assert len(answers) > 20


def test_the_process_that_revokes_refuses_at_once(servers: tuple[ServerProcess, ServerProcess]) -> None:
    one, _ = servers
    jar, session_id = signed_in(one)
    assert one.asked(jar, short=True).status == 200
    one.asked(Jar(), f"/revoke/{session_id}", "POST")
    assert one.asked(jar, short=True).status == 401


def test_a_session_started_by_one_process_is_refreshed_and_ended_by_the_other(
    servers: tuple[ServerProcess, ServerProcess], postgres_url: str
) -> None:
    one, other = servers
    jar, _ = signed_in(one)
    with SessionRows(postgres_url) as rows:
        rows.let_pass(MIN_AGE + 1)
    assert set(other.asked(jar).cookies) == {SHORT, LONG}
    assert one.asked(jar, short=True).status == 200
    copy = jar.copy()
    assert other.asked(jar, "/sign-out", "POST", short=True).status == 200
    assert one.asked(copy).status == 401
