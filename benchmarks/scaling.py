"""``python -m benchmarks.scaling``: the figures of docs/scaling.md, on a PostgreSQL started for this run.

For a number of sessions: what one takes on disk; what a refresh costs in statements, bytes on the wire and WAL, and how
many are heap-only updates; what a poll for ended sessions brings; how long what people wait for takes. A
checkpoint comes before each round of refreshes, so with full page writes each page it touches is written whole once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import Any

from flask import Flask
from sqlalchemy import Engine, NullPool, create_engine

from benchmarks.rows import fill
from flask_corbado_session.database.sessions import SessionStore
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app, rows_of, statements
from tests.support.jars import Jar, asked
from tests.support.partitions import partition
from tests.support.postgres import PostgresServer
from tests.support.wire_cutter import CutWire

ROUNDS, PEOPLE = 3, 800
"""Refreshes of each of so many people, whose sessions are added to those that are there."""

LEAVES = """SELECT CAST('corbado_session' AS regclass) UNION ALL
    SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST('corbado_session' AS regclass)"""
"""The session table, and its partitions."""


class Measured:
    """An app whose library reaches its filled database by way of a wire that counts."""

    def __init__(self, url: str, wire: CutWire, rows: int, *, partitioned: bool, fill_factor: int | None) -> None:
        self.wire = wire
        self.app: Flask = make_app(wire.url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=10_000)[0]
        self.clock: MovingClock = move_clock(self.app)
        self.direct: Engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        if partitioned:
            partition(url)
        elif fill_factor is not None:
            self.ask(f"ALTER TABLE corbado_session SET (fillfactor = {fill_factor})")
        fill(self.direct, rows_of(self.app).database.tables, rows, int(self.clock.at.timestamp() * 1000))

    def ask(self, statement: str) -> Any:
        """The first value of what the server answers, or None."""
        with self.direct.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else None

    def signed_in(self, count: int) -> list[Jar]:
        """New browsers, each of a user of its own."""
        jars = [
            Jar(user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
            for _ in range(count)
        ]
        for number, jar in enumerate(jars):
            asked(self.app, jar, "/sign-in", "POST", user=f"measured-{number}")
        return jars

    @contextmanager
    def wal(self, into: dict[str, float], name: str, per: int) -> Iterator[None]:
        """Bytes of WAL meanwhile, for each of so many."""
        before = self.ask("SELECT pg_current_wal_insert_lsn()")
        yield
        into[name] = float(self.ask(f"SELECT pg_current_wal_insert_lsn() - CAST('{before}' AS pg_lsn)")) / per


def storage(measured: Measured, rows: int) -> dict[str, float]:
    """Bytes for each session."""
    return {
        "row, bytes": measured.ask(f"SELECT sum(pg_table_size(r)) FROM ({LEAVES}) AS t(r)") / rows,
        "its indexes, bytes": measured.ask(f"SELECT sum(pg_indexes_size(r)) FROM ({LEAVES}) AS t(r)") / rows,
        "device and its indexes, bytes per device": measured.ask("SELECT pg_total_relation_size('corbado_device')")
        / (rows * 2 // 5),
    }


def refreshes(measured: Measured, jars: list[Jar]) -> dict[str, float]:
    """What each costs."""
    found: dict[str, float] = {}
    # spread over the table, as the sessions of people who come at random are
    measured.ask("CLUSTER corbado_session USING pk_corbado_session")
    asked(measured.app, jars[0])
    measured.ask("SELECT pg_stat_reset()")
    sent, received, count = measured.wire.sent, measured.wire.received, ROUNDS * len(jars)
    with statements(measured.app) as seen, measured.wal(found, "WAL, bytes", count):
        for _ in range(ROUNDS):
            measured.clock.move(minutes=10)
            measured.ask("CHECKPOINT")
            for jar in jars:
                asked(measured.app, jar)
    found["statements (polls beside them)"] = seen.verbs.count("UPDATE") / count
    found["to the server, bytes"] = (measured.wire.sent - sent) / count
    found["from the server, bytes"] = (measured.wire.received - received) / count
    rows_of(measured.app).database.dispose()  # whose processes tell what they counted when they end
    found["heap-only, percent"] = 100 * float(
        measured.ask(
            f"SELECT sum(n_tup_hot_upd)::float / sum(n_tup_upd) FROM pg_stat_user_tables WHERE relid IN ({LEAVES})"
        )
    )
    return found


def poll(measured: Measured, ended: int) -> dict[str, float]:
    """What a process asks once a second, when so many sessions have ended within the last minute."""
    now = int(measured.clock.at.timestamp() * 1000)
    some = f"SELECT id FROM corbado_session WHERE ended_at IS NULL LIMIT {ended}"
    measured.ask(f"UPDATE corbado_session SET ended_at = {now}, end_reason = 'revoked' WHERE id IN ({some})")
    store, received = SessionStore(rows_of(measured.app).database), measured.wire.received
    took = _timed(lambda: store.changes_since(now - 60_000), 5)
    return {f"{ended:,} ended, ms": took, f"{ended:,} ended, bytes": (measured.wire.received - received) / 6}


def waits(measured: Measured, jars: list[Jar]) -> dict[str, float]:
    """Milliseconds, the median, of what people wait for."""
    revocation, upcoming = rows_of(measured.app).revocation, iter(jars)

    def refresh() -> None:
        asked(measured.app, next(upcoming))

    measured.clock.move(minutes=10)
    found = {"refresh, ms": _timed(refresh, len(jars) - 1)}
    found["sign-in, ms"] = _timed(lambda: asked(measured.app, Jar(), "/sign-in", "POST", user="user-0000007"), 30)
    found["list a user's devices, ms"] = _timed(lambda: revocation.devices("user-0000008", None), 30)
    return found


def _timed(work: Callable[[], object], times: int) -> float:
    work()
    took = []
    for _ in range(times):
        started = perf_counter()
        work()
        took.append((perf_counter() - started) * 1000)
    return median(took)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--partitioned", action="store_true", help="by the statements of docs/scaling.md")
    parser.add_argument("--fill-factor", type=int)
    parser.add_argument("--full-page-writes", action="store_true", help="on, as servers have it")
    options = parser.parse_args()
    settings = [
        f"full_page_writes={'on' if options.full_page_writes else 'off'}",
        "shared_buffers=256MB",
        "max_wal_size=4GB",
    ]
    with PostgresServer(settings=settings) as server:
        server.start()
        with CutWire(server.url) as wire:
            measured = Measured(
                server.url, wire, options.rows, partitioned=options.partitioned, fill_factor=options.fill_factor
            )
            print(f"{options.rows:,} sessions, {vars(options)}, {datetime.now(UTC):%Y-%m-%d}")
            _print("storage", storage(measured, options.rows))
            jars = measured.signed_in(PEOPLE)
            _print("a refresh", refreshes(measured, jars))
            _print("people wait", waits(measured, jars))
            for ended in (0, 100, 10_000):
                _print("a poll", poll(measured, ended))


def _print(title: str, figures: dict[str, float]) -> None:
    for name, figure in figures.items():
        print(f"  {title}: {name:<44} {figure:10,.1f}", flush=True)


if __name__ == "__main__":
    main()
