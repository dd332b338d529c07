"""``python -m benchmarks.ended``: what it costs when very many sessions end at once.

Each process polls the ends of the last minute every second, so for that minute each poll reads all of them. It prints
the time of a poll, of the feed for services that only verify, the memory, and the CPU time per request of the
protected view, polls included, as a ratio to the bare one. The ends are written in batches, as an operator's are.
"""

from __future__ import annotations

import argparse
import tempfile
import tracemalloc
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time

from sqlalchemy import MetaData, create_engine, text

from flask_corbado_session.database.engine import Database
from flask_corbado_session.database.sessions import SessionStore
from flask_corbado_session.model.clock import Clock, to_ms
from flask_corbado_session.sessions.parts import AppState
from flask_corbado_session.verification.ended import EndedSet

from .cases import Case, bare, protected_by
from .growing import fill_new

GOAL = 1.2
"""The ratio of the protected view while the polls go on."""
SECONDS = 3
ROUNDS = 3
KEEPS = timedelta(minutes=15)


def main() -> None:
    """Measure on PostgreSQL, or on SQLite if there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ended", description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000, help="sessions in the table (default: 400,000)")
    parser.add_argument("--database-url", help="an empty database (default: a temporary PostgreSQL)")
    parser.add_argument("--ended", type=int, nargs="*", default=[0, 10_000, 100_000], help="how many end at once")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.database_url or _database(stack)
        fill_new(url, options.rows)
        print(f"{url.partition(':')[0]}, {options.rows:,} sessions; goal: protected at most {GOAL} times bare\n")
        heads = (
            "ended",
            "poll",
            "its CPU",
            "feed",
            "memory",
            "bare",
            "protected",
            "ratio",
            "p99 bare",
            "p99 protected",
        )
        print("".join(f"{head:>15}" for head in heads))
        for number in options.ended:
            measure(url, number)


def _database(stack: ExitStack) -> str:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    try:
        from tests.support.databases import start_private_postgres

        return stack.enter_context(start_private_postgres(folder)).url
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL ({error}), so SQLite is used")
        return f"sqlite:///{folder / 'ended.sqlite'}"


def measure(url: str, number: int) -> None:
    """End that many sessions and print what it costs."""
    app, protected = protected_by(url, lambda: datetime.now(UTC))
    end(url, number)
    state: AppState = app.extensions["corbado_session"]
    poll, cpu, feed, memory = _poll(state.with_database().database, number)
    both = _in_turns({"bare": bare(url), "protected": protected})
    (mean_bare, p99_bare), (mean, p99) = (both[name] for name in ("bare", "protected"))
    cells = [f"{number:,}", f"{poll:.1f} ms", f"{cpu:.1f} ms", f"{feed:.1f} ms", f"{memory:.1f} MB"]
    cells += [f"{mean_bare:.0f} us", f"{mean:.0f} us", f"{mean / mean_bare:.2f}", f"{p99_bare:.0f} us", f"{p99:.0f} us"]
    print("".join(f"{cell:>15}" for cell in cells), flush=True)


def end(url: str, number: int) -> None:
    """End so many sessions, 500 each quarter of a second up to now, and a little later than now for the rest."""
    engine, now = create_engine(url), to_ms(datetime.now(UTC))
    ids = "SELECT id FROM corbado_session WHERE ended_at IS NULL AND user_id <> 'alice' LIMIT :number"
    stmt = text(f"UPDATE corbado_session SET ended_at = :at, end_reason = 'operator' WHERE id IN ({ids})")
    batch = max(number // 40, 1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE corbado_session SET ended_at = 1 WHERE ended_at > :at"), {"at": now - 120_000})
        for n in range(40 if number else 0):
            connection.execute(stmt, {"number": batch, "at": now + n * 250})
    engine.dispose()


def _poll(database: Database, number: int) -> tuple[float, float, float, float]:
    """Milliseconds of a poll, of its CPU time in this process and of a feed's answer; megabytes of the set."""
    store, clock = SessionStore(Database(database._locate, MetaData())), Clock()
    ended = EndedSet(store.changes_since, clock, timedelta(seconds=1), KEEPS)
    tracemalloc.start()
    ended.bring_up_to_date()
    ended._flight.wait(10)
    memory = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    times, cpu_times = [], []
    for _ in range(5):
        started, cpu_started = perf_counter(), process_time()
        ended._refresh()
        times.append((perf_counter() - started) * 1000)
        cpu_times.append((process_time() - cpu_started) * 1000)
    started = perf_counter()
    ended.since(to_ms(clock.now()) - 60_000, 20_000)
    feed = (perf_counter() - started) * 1000
    if len(ended._ended) < number:
        raise RuntimeError(f"{len(ended._ended)} ids were polled, {number} have ended")
    store._database.dispose()
    return min(times), min(cpu_times), feed, memory


def _in_turns(cases: dict[str, Case]) -> dict[str, tuple[float, float]]:
    """Mean CPU time of a request, the polls of its process included, and the 99th percentile of the time it took; both
    in microseconds. The cases take turns, a few seconds each."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    used = dict.fromkeys(cases, 0.0)
    for case in cases.values():
        case()
    for _ in range(ROUNDS):
        for name, case in cases.items():
            begun, deadline = process_time(), perf_counter() + SECONDS
            while (started := perf_counter()) < deadline:
                case()
                times[name].append(perf_counter() - started)
            used[name] += process_time() - begun
    return {name: (used[name] / len(times[name]) * 1e6, quantiles(times[name], n=100)[-1] * 1e6) for name in cases}


if __name__ == "__main__":
    main()
