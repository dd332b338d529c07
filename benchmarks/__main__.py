"""``make bench``: every figure is a ratio to the bare view, measured in the same run.

Time is the minimum of several rounds; the cases take turns. If ``valgrind --tool=callgrind`` is installed, it counts
instructions, which do not depend on the machine's load. Each case runs in two processes that differ only in
the number of requests; the difference, divided by that number, is the cost of one request.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from .cases import CASES, Case

TARGETS = {"public": 1.05, "protected": 1.25, "refreshed": 6.2}
_WARM_UP = 60
_FEW, _MANY = 40, 240


def main() -> None:
    """Measure every case, or run a single one under callgrind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--database-url", help="default: a PostgreSQL server started for this run, or SQLite if there is none"
    )
    parser.add_argument("--time-only", action="store_true", help="do not run callgrind")
    parser.add_argument("--run", nargs=2, metavar=("CASE", "REQUESTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run(CASES[options.run[0]](options.database_url), int(options.run[1]))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = options.database_url or _database(stack, folder)
        print(f"database: {url.partition(':')[0]}; each figure is a ratio to the bare view\n")
        _print("time (minimum of 7 rounds)", measure_time(url))
        if options.time_only:
            return
        if shutil.which("valgrind") is None:
            print("valgrind is not installed, so instructions were not counted")
            return
        _print("instructions (callgrind)", count_instructions(url, folder))


def _database(stack: ExitStack, folder: Path) -> str:
    try:
        from tests.support.databases import start_private_postgres

        return stack.enter_context(start_private_postgres(folder)).url
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL ({error}), so SQLite is used")
        return f"sqlite:///{folder / 'bench.sqlite'}"


def measure_time(url: str, rounds: int = 7, requests: int = 300) -> dict[str, float]:
    """Seconds per request: the minimum of the rounds."""
    cases = {name: make(url) for name, make in CASES.items()}
    minimum = dict.fromkeys(cases, float("inf"))
    for _ in range(rounds):
        for name, case in cases.items():
            started = perf_counter()
            _run(case, requests, warm_up=0)
            minimum[name] = min(minimum[name], (perf_counter() - started) / requests)
    return minimum


def count_instructions(url: str, folder: Path) -> dict[str, float]:
    """Instructions per request."""
    counted = {}
    for name in CASES:
        few, many = (_callgrind(url, name, requests, folder) for requests in (_FEW, _MANY))
        counted[name] = (many - few) / (_MANY - _FEW)
    return counted


def _callgrind(url: str, name: str, requests: int, folder: Path) -> int:
    inner = [sys.executable, "-m", "benchmarks", "--database-url", url, "--run", name, str(requests)]
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind'}"]
    done = subprocess.run(
        [*tool, *inner], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
    )
    match = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if match is None:
        raise RuntimeError(f"callgrind did not count {name}: {done.stderr[-500:]}")
    return int(match[1])


def _run(case: Case, requests: int, warm_up: int = _WARM_UP) -> None:
    for _ in range(warm_up):
        case()
    # a full collection of all that was imported, which comes at random, would be counted among the requests
    gc.collect()
    gc.freeze()
    for _ in range(requests):
        case()


def _print(title: str, measured: dict[str, float]) -> None:
    print(title)
    for name, value in measured.items():
        target = f"   target: at most {TARGETS[name]}" if name in TARGETS else ""
        figure = f"{value * 1e6:9.1f} us" if value < 1 else f"{value:12,.0f}"
        print(f"  {name:<10} {figure}   {value / measured['bare']:6.3f}{target}")
    print()


if __name__ == "__main__":
    main()
