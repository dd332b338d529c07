"""A streaming standby takes the place of a PostgreSQL that is killed under load: no honest browser is signed out.

Replication is asynchronous, so the last commits of the killed server may be missing from its successor. A refresh that
is missing is what the protocol calls a rollback: the browser's token is ahead of the row, and the row catches up.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest

from flask_corbado_session.testing import move_clock
from tests.integration.test_kill_postgres import PATIENCE, SPEED, Browser
from tests.support.apps import make_app
from tests.support.jars import LONG, Jar, SessionRows, asked
from tests.support.oracle import MIN_AGE, read
from tests.support.postgres import PostgresServer, wait_until
from tests.support.servers import ServerProcess
from tests.support.standby import Standby, url_of_both

JARS = 16
BEFORE, AFTER = 4.0, 5.0
"""Seconds of load before and after the failover."""
WITHOUT = 1.0
"""Seconds without any database that takes writes, before the standby is promoted."""


@pytest.fixture
def standby(private_postgres: PostgresServer, tmp_path: Path) -> Iterator[Standby]:
    with Standby(private_postgres, tmp_path / "standby.log") as standby:
        standby.start()
        yield standby


@pytest.mark.slow
def test_a_standby_that_is_promoted_under_load_signs_nobody_out(
    private_postgres: PostgresServer, standby: Standby
) -> None:
    make_app(private_postgres.url)
    url, began = url_of_both(private_postgres, standby), time.time()
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(url, speed=SPEED, began=began)) for _ in range(2)]
        lives, threads = (stack.enter_context(ThreadPoolExecutor(count)) for count in (JARS, 2 * JARS))
        browsers = [Browser(servers, threads, number) for number in range(JARS)]
        wait_until(lambda: standby.has_all_of(private_postgres), "the standby to have the sign-ins")
        until = monotonic() + BEFORE + WITHOUT + AFTER
        running = [lives.submit(browser.live, until) for browser in browsers]
        sleep(BEFORE)
        private_postgres.kill()
        sleep(WITHOUT)
        standby.promote()
        for each in running:
            each.result()
        statuses = sum((browser.statuses for browser in browsers), Counter[int]())
        assert max(browser.longest for browser in browsers) < PATIENCE, "this machine is too slow for the experiment"
        assert set(statuses) == {200, 503}, f"only these were to be expected: {statuses}"
        assert [browser.jar.user_agent for browser in browsers if not browser.is_signed_in()] == []
        with SessionRows(standby.url) as rows:
            live = [row["generation"] for row in rows.all().values() if row["ended_at"] is None]
    assert len(live) == JARS, "no session was lost, and none was ended"
    assert min(live) >= 1, "every session was refreshed"


def test_refreshes_that_the_standby_never_got_are_caught_up_with(
    private_postgres: PostgresServer, standby: Standby
) -> None:
    """It stops following, the browser goes on for four refreshes, and then it is all there is."""
    make_app(private_postgres.url)
    app, _, _ = make_app(url_of_both(private_postgres, standby))
    clock, jar = move_clock(app), Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    wait_until(lambda: standby.has_all_of(private_postgres), "the standby to have the sign-in")
    standby.unfollow()
    for _ in range(4):
        clock.move(milliseconds=MIN_AGE + 1)
        assert asked(app, jar).status == 200
    private_postgres.kill()
    standby.promote()
    for _ in range(2):
        clock.move(milliseconds=MIN_AGE + 1)
        assert asked(app, jar).status == 200
    with SessionRows(standby.url) as rows:
        assert (rows.one()["generation"], rows.one()["end_reason"]) == (6, None)
    assert read(jar.cookies[LONG]).token.generation == 7
