"""``python -m benchmarks.bound_soak --refreshes 10000``: bound sessions whose browsers lose a quarter of the answers.

A server process with sixteen threads, on SQLite or on a PostgreSQL of the run's own; browsers in software, three tabs
each, that prove their keys as Chromium does; copied jars beside them. Prints the counts, and exits with 1 if an honest
browser was signed out, a session was lost, or a copy was served after its short session's end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.support.apps import make_app
from tests.support.bound_load import SHARE, SHORT_LIFETIME, SPEED, TABS, Counts, load
from tests.support.databases import start_private_postgres


def main() -> None:
    """Run, print the counts, and exit with 1 if one is not what it must be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bound_soak", description=__doc__)
    parser.add_argument("--refreshes", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=24, help=f"browsers, of {TABS} tabs each")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so many, whatever was done")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bound-soak-")))
        url = f"sqlite:///{folder / 'soak.sqlite'}"
        if options.database == "postgresql":
            url = stack.enter_context(start_private_postgres()).url
        make_app(url)
        log = stack.enter_context((folder / "log").open("w+b"))
        counts = load(
            url, refreshes=options.refreshes, people=options.people, thieves=2, seconds=options.minutes * 60, log=log
        )
        report(counts, options.database)
        if counts.wrong:
            log.seek(0)
            print("the server said:\n" + "\n".join(log.read().decode(errors="replace").splitlines()[-100:]))
    sys.exit(1 if counts.wrong else 0)


def report(counts: Counts, database: str) -> None:
    """Print what came of it."""
    print(f"{database}, short sessions of {SHORT_LIFETIME} s at {SPEED} times the speed, {SHARE:.0%} of answers spoilt")
    print(f"refreshes with a proof: {counts.refreshes:,} in {counts.seconds:.0f} s")
    print(f"spoilt answers: {json.dumps(counts.faults)}")
    print(f"pages: {json.dumps(counts.pages)}")
    print(f"browsers' events: {json.dumps(counts.events)}")
    for name in ("honest_sign_outs", "sessions_lost", "keys_forgotten", "copies_served_late", "copies_refreshed"):
        print(f"{name.replace('_', ' ')}: {getattr(counts, name)}")
    for name, count in counts.wrong.items():
        print(f"WRONG: {name.replace('_', ' ')} {count}")


if __name__ == "__main__":
    main()
