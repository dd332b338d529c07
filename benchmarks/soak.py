"""``make soak MINUTES=…``: servers, faults and browsers for as long as one likes, and the counts that must be zero.

Two server processes on a PostgreSQL of the run's own, with clocks ten times as fast as ours; browsers that keep their
cookies, ask often twice at once, lose one answer in ten, sign out and in. Every few seconds something breaks. Exits
with 1 if an honest browser was signed out, a session was lost, or anything but the documented 503 was answered.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from time import monotonic, sleep

import psutil
from sqlalchemy import make_url

from benchmarks.soak_browser import SHORT_LIFETIME, SPEED, Browser, Robbed
from tests.support.apps import make_app
from tests.support.databases import start_private_postgres
from tests.support.jars import SessionRows
from tests.support.postgres import PostgresServer
from tests.support.servers import ServerProcess
from tests.support.wire_cutter import CutWire

BROWSERS, SERVERS, ROBBED = 16, 2, 2
PAUSE = 1.5
"""Seconds that a server or the database is stopped for: with the answer's way back, less than the protocol bears."""
CALM = (2.0, 4.0)
"""Seconds from one fault to the next."""


class Soak:
    """What runs, and how it breaks."""

    def __init__(self, stack: ExitStack, chance: Random) -> None:
        self._chance = chance
        self.postgres: PostgresServer = stack.enter_context(start_private_postgres())
        make_app(self.postgres.url)
        self._wire = stack.enter_context(CutWire(self.postgres.url))
        self._began = time.time()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        self._log = stack.enter_context((folder / "log").open("w+b"))
        self.servers = [self._start_server() for _ in range(SERVERS)]
        stack.callback(self._stop_servers)
        self.faults: Counter[str] = Counter()

    @property
    def rows(self) -> SessionRows:
        return SessionRows(self.postgres.url)

    def break_until(self, end: float) -> None:
        """One fault after the other, each mended before the next."""
        faults: list[Callable[[], None]] = [
            self.kill_server, self.stop_server, self.kill_database, self.stop_database, self.cut_connections,
            self.cut_commit, self.cut_request,
        ]  # fmt: skip
        upcoming: list[Callable[[], None]] = []
        while monotonic() < end - CALM[1]:
            upcoming = upcoming or self._chance.sample(faults, len(faults))
            fault = upcoming.pop()
            fault()
            self.faults[fault.__name__.replace("_", " ")] += 1
            sleep(self._chance.uniform(*CALM))

    # ---- faults

    def kill_server(self) -> None:
        """kill -9, and another one in its place."""
        number = self._chance.randrange(SERVERS)
        self.servers[number].stop()
        self.servers[number] = self._start_server()

    def stop_server(self) -> None:
        """SIGSTOP, and SIGCONT."""
        process = psutil.Process(self._chance.choice(self.servers).pid)
        process.suspend()
        sleep(PAUSE)
        process.resume()

    def kill_database(self) -> None:
        """kill -9 of all its processes."""
        self.postgres.kill()
        sleep(0.5)
        self.postgres.start()

    def stop_database(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        self.postgres.pause()
        sleep(PAUSE)
        self.postgres.resume()

    def cut_connections(self) -> None:
        """The database closes every connection of the servers."""
        with self.rows as rows:
            rows.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def cut_commit(self) -> None:
        """A connection is lost after a refresh was committed, before its answer."""
        self._wire.cut("UPDATE corbado_session", "after")

    def cut_request(self) -> None:
        """A connection is lost on the way of a refresh to the database."""
        self._wire.cut("UPDATE corbado_session", "before")

    def _start_server(self) -> ServerProcess:
        config = {"CORBADO_SESSION_SHORT_LIFETIME": SHORT_LIFETIME, "CORBADO_SESSION_REFRESH_AHEAD": 0.6}
        server = ServerProcess(self._through_wire(), speed=SPEED, began=self._began, log=self._log, **config)
        assert server.port  # waits until it listens
        return server

    def _through_wire(self) -> str:
        return make_url(self._wire.url).render_as_string(hide_password=False)

    def last_log(self, count: int) -> str:
        """The last lines that the servers logged."""
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-count:])

    def _stop_servers(self) -> None:
        for server in self.servers:
            server.stop()


def main() -> None:
    """Run, print the counts, and exit with 1 if one is not what it must be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000, help="repeats the choice of faults")
    options = parser.parse_args()
    print(f"{options.minutes:g} minutes, seed {options.seed}", flush=True)
    with ExitStack() as stack:
        wrong = run(stack, options.minutes * 60, Random(options.seed))
    sys.exit(1 if wrong else 0)


def run(stack: ExitStack, seconds: float, chance: Random) -> list[str]:
    """Soak for so long; what is wrong, in words."""
    soak = Soak(stack, chance)
    lives = stack.enter_context(ThreadPoolExecutor(BROWSERS + ROBBED))
    threads = stack.enter_context(ThreadPoolExecutor(2 * BROWSERS))
    browsers = [Browser(soak.servers, threads, number) for number in range(BROWSERS)]
    robbed = [Robbed(soak.servers, threads, BROWSERS + number) for number in range(ROBBED)]
    ends, done = monotonic() + seconds, threading.Event()
    running: list[Future[None]] = [lives.submit(each.live, ends, done) for each in (*browsers, *robbed)]
    try:
        soak.break_until(ends)
        for each in running:
            each.result()
    finally:
        done.set()
    return report(soak, browsers, robbed)


def report(soak: Soak, browsers: list[Browser], robbed: list[Robbed]) -> list[str]:
    """Print the counts; those that are wrong."""
    answers = sum((each.answers for each in (*browsers, *robbed)), Counter[str]())
    with soak.rows as rows:
        found = rows.all()
    reuse = Counter(
        row["user_id"] in {each.user for each in robbed} for row in found.values() if row["end_reason"] == "reuse"
    )
    lost = [each.user for each in browsers if not each.still_has_session(found)]
    counts = {
        "honest sign-outs": sum(each.signed_out for each in browsers),
        "sessions lost": len(lost),
        "5xx but the documented 503": answers["5xx"],
        "other answers than 200 and 401": answers["other"],
        "reuse found where nothing was stolen": reuse[False],
        "thefts not found": len(robbed) - reuse[True],
    }
    print(f"faults: {json.dumps(soak.faults)}")
    print(f"answers: {json.dumps(answers)}, slowest {max(each.longest for each in browsers):.1f} s")
    print(f"refreshes: {sum(row['generation'] for row in found.values()):,} steps of {len(found)} sessions")
    print(f"reuse found: {reuse[True]} of {len(robbed)} thefts")
    for each in (*browsers, *robbed):
        for answer in each.unexpected:
            print(f"unexpected: {answer}")
    for name, count in counts.items():
        print(f"{name}: {count}")
    wrong = [name for name, count in counts.items() if count]
    if wrong:
        print(f"the servers said:\n{soak.last_log(200)}")
    return wrong


if __name__ == "__main__":
    main()
