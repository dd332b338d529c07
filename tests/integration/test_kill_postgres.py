"""PostgreSQL killed with SIGKILL again and again under load: no honest browser is signed out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from random import Random
from time import monotonic, sleep

import pytest

from tests.support.apps import make_app
from tests.support.jars import LONG, SHORT, Answer, Jar, Sent, SessionRows
from tests.support.oracle import BURST_WINDOW, MIN_AGE
from tests.support.postgres import PostgresServer
from tests.support.servers import ServerProcess
from tests.support.stopwatch import Stopwatch

SPEED = 10
"""The servers' clocks run so many times as fast as ours: a token becomes old in six seconds."""
JARS, KILLS, ROUND = 20, 3, 5.0
PATIENCE = (MIN_AGE - BURST_WINDOW) / 1000 / SPEED / 2
"""Seconds: requests and answers that take longer than this both ways are more than the protocol allows for."""


class Browser:
    """Honest, and often without its short session; now and then an answer does not reach it."""

    def __init__(self, servers: list[ServerProcess], threads: ThreadPoolExecutor, number: int) -> None:
        self._servers, self._threads, self._chance = cycle(servers), threads, Random(number)
        self.jar = Jar(user_agent=f"Browser/{number}")
        self.statuses: Counter[int] = Counter()
        self.longest = 0.0
        """Seconds the slowest of two simultaneous requests took."""
        assert self._ask(self.jar.sends("/sign-in", "POST", user=f"user-{number}")).status == 200

    def live(self, until: float) -> None:
        """Ask, often twice at once, keep what comes, try again on a 503."""
        while monotonic() < until:
            since = Stopwatch()
            sent = [self.jar.sends()] * self._chance.choice([1, 1, 2])
            for answer in self._threads.map(self._ask, sent):
                self.statuses[answer.status] += 1
                if self._chance.random() < 0.9:
                    self.jar.take(answer)
            if len(sent) > 1:
                self.longest = max(self.longest, since.seconds)
            sleep(self._chance.uniform(0.05, 0.3))

    def _ask(self, sent: Sent) -> Answer:
        answer = next(self._servers).answers(sent)
        if sent.path == "/sign-in":
            self.jar.take(answer)
        return answer

    def is_signed_in(self) -> bool:
        """Whether its cookies still give it a short session, and the next ones another."""
        answer = self._ask(self.jar.sends())
        self.jar.take(answer)
        return answer.status == 200 and SHORT in answer.cookies and LONG in self.jar.cookies


@pytest.fixture
def servers(private_postgres: PostgresServer) -> Iterator[list[ServerProcess]]:
    make_app(private_postgres.url)
    began = time.time()
    with ExitStack() as stack:
        servers = [ServerProcess(private_postgres.url, speed=SPEED, began=began) for _ in range(2)]
        for server in servers:
            stack.enter_context(server)
        yield servers


@pytest.mark.slow
def test_three_kills_under_load_sign_nobody_out(private_postgres: PostgresServer, servers: list[ServerProcess]) -> None:
    with ThreadPoolExecutor(JARS) as lives, ThreadPoolExecutor(2 * JARS) as threads:
        browsers = [Browser(servers, threads, number) for number in range(JARS)]
        until = monotonic() + KILLS * ROUND
        running = [lives.submit(browser.live, until) for browser in browsers]
        for _ in range(KILLS):
            sleep(ROUND / 2)
            private_postgres.kill()
            sleep(ROUND / 10)
            private_postgres.start()
        for each in running:
            each.result()
    statuses = sum((browser.statuses for browser in browsers), Counter[int]())
    assert max(browser.longest for browser in browsers) < PATIENCE, "this machine is too slow for the experiment"
    assert set(statuses) == {200, 503}, f"only these were to be expected: {statuses}"
    assert statuses[503] > KILLS
    lost = [browser for browser in browsers if not browser.is_signed_in()]
    with SessionRows(private_postgres.url) as rows:
        generations = [row["generation"] for row in rows.all().values() if row["ended_at"] is None]
    assert (len(lost), len(generations)) == (0, JARS)
    assert min(generations) >= 1, "every session was refreshed while it happened"
