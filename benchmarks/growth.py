"""``python -m benchmarks.growth``: what each operation costs in a large table, as a ratio to a small one.

Every operation runs on two databases of each kind, one with ten thousand sessions and one with ``--rows``. It prints
the median milliseconds of both, their ratio, and the slowest statement in the large one: the library's limit for a
statement is 2,000 ms. On PostgreSQL it also prints what a refresh writes, with and without the fill factor.

``--rows 5000000`` takes a quarter of an hour, most of it to fill the tables.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import create_engine, make_url, text

from flask_corbado_session.database.tables import SESSION_FILLFACTOR
from flask_corbado_session.model.clock import to_ms

from .growing import SMALL, Site, fill_new, site_on
from .rows import DAY

GOAL = 1.5
"""The ratio that nothing a person waits for should exceed."""


def main() -> None:
    """Measure on PostgreSQL and SQLite."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="sessions in the large table (default: 200,000)")
    parser.add_argument("--server", help="URL of a PostgreSQL server to make databases on (default: one of its own)")
    parser.add_argument("--only", choices=["postgresql", "sqlite"], help="measure this kind of database only")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.only != "sqlite" and (server := options.server or _server(stack, folder)):
            names = [f"growth_{rows}" for rows in (SMALL, options.rows)]
            compare(options.rows, *(_database(stack, server, name) for name in names))
            _what_a_refresh_writes(stack, server)
        if options.only != "postgresql":
            compare(options.rows, *(f"sqlite:///{folder / name}.sqlite" for name in ("small", "large")))


def _server(stack: ExitStack, folder: Path) -> str | None:
    try:
        from tests.support.databases import start_private_postgres

        return stack.enter_context(start_private_postgres(folder)).url
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL: {error}")
        return None


def _database(stack: ExitStack, server: str, name: str) -> str:
    """The URL of a new database, which is dropped at the end."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")

    def drop() -> None:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    drop()
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    stack.callback(engine.dispose)
    stack.callback(drop)
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def compare(rows: int, small_url: str, large_url: str) -> None:
    """Print what each operation takes in the small and in the large database."""
    sites = []
    for url, number in ((small_url, SMALL), (large_url, rows)):
        started = perf_counter()
        fill_new(url, number)
        sites.append(site_on(url, number))
        print(f"{url.partition(':')[0].partition('+')[0]}: {number:,} sessions in {perf_counter() - started:.0f} s")
    small, large = sites
    print(f"\n{'operation':<34}{'small':>9}{'large':>9}{'ratio':>8}{'slowest statement':>20}")
    for name, (rounds, is_waited_for) in OPERATIONS.items():
        a, b = _times(small, name, rounds, large)
        note = f"   goal: at most {GOAL}" if is_waited_for else ""
        slowest = max(large.statements.times, default=0.0)
        print(f"{name:<34}{a:>6.2f} ms{b:>6.2f} ms{b / a:>8.2f}{slowest:>17.0f} ms{note}", flush=True)
    print()
    for site in sites:
        site.database.dispose()


OPERATIONS: dict[str, tuple[int, bool]] = {
    "refresh": (300, True),
    "sign-in, new device": (300, True),
    "sign-in, known device": (300, True),
    "a user's devices": (300, True),
    "a user's history": (300, True),
    "recheck": (300, True),
    "poll": (100, True),
    "revoke a session": (300, True),
    "revoke a user's": (300, True),
    "cleanup: a batch of sessions": (6, False),
    "cleanup: a window of devices": (4, False),
    "stats": (1, False),
    "operators: overview": (1, False),
    "operators: API by lastAction": (1, False),
}
"""How often each is measured, and whether somebody waits for it."""


def _times(small: Site, name: str, rounds: int, large: Site) -> tuple[float, float]:
    """Median milliseconds on both; they take turns, so that a busy machine is as busy for both."""
    calls = [site.operation(name, rounds) for site in (small, large)]
    for call in calls:
        call()  # connections, compiled statements
    large.statements.times.clear()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, took in zip(calls, times, strict=True):
            took.append(_milliseconds(call))
    return median(times[0]), median(times[1])


def _milliseconds(call: Callable[[], Any]) -> float:
    started = perf_counter()
    call()
    return (perf_counter() - started) * 1000


def _what_a_refresh_writes(stack: ExitStack, server: str, rows: int = 60_000) -> None:
    """Print how many refreshes were heap-only updates, and the bytes of WAL of each."""
    print(f"{'fill factor':<14}{'heap-only':>10}{'WAL per refresh':>18}   (live sessions, each refreshed three times)")
    for fillfactor in (100, SESSION_FILLFACTOR):
        url = _database(stack, server, f"growth_fill_{fillfactor}")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        fill_new(url, rows, fillfactor)
        with engine.connect() as connection:  # live sessions alone, as close together as the fill factor lets them
            old = text("DELETE FROM corbado_session WHERE ended_at IS NOT NULL OR idle_expires_at < :now")
            connection.execute(old, {"now": to_ms(datetime.now(UTC)) + DAY})
            connection.execute(text("VACUUM FULL corbado_session"))
        site = site_on(url, rows)
        with engine.connect() as connection:
            before = connection.execute(text("SELECT pg_current_wal_lsn()")).scalar_one()
            refreshes = _refresh_all(site)
            site.database.dispose()  # a server's process counts to the end when it ends
            written = text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), CAST(:before AS pg_lsn))")
            size = connection.execute(written, {"before": str(before)}).scalar_one()
            updated, hot = _updates(connection, refreshes)
        print(f"{fillfactor:<14}{hot / max(updated, 1):>10.1%}{size / refreshes:>16,.0f} B", flush=True)
        engine.dispose()
    print()


def _updates(connection: Any, expected: int) -> tuple[int, int]:
    stmt = text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'corbado_session'")
    deadline = perf_counter() + 5
    while True:
        updated, hot = connection.execute(stmt).one()
        if updated >= expected or perf_counter() > deadline:
            return int(updated), int(hot)


def _refresh_all(site: Site) -> int:
    tokens, at = site.tokens(None), datetime.now(UTC)
    for turn in range(3):
        random.Random(turn).shuffle(tokens)
        for token in tokens:
            site.refresh(token, at + timedelta(minutes=2 + 20 * turn))
    return 3 * len(tokens)


if __name__ == "__main__":
    main()
