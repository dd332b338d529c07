"""``make bench``: every figure is a ratio to the bare view, measured in the same run.

Time is the least of several rounds, taken in turn. Instructions are counted by ``valgrind --tool=callgrind`` where it
is installed: they repeat, whatever else the machine does. Each case runs in two processes that differ in the number
of requests alone, and the difference is what a request costs.
"""

from __future__ import annotations

import argparse
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

AIMS = {"public": 1.05, "protected": 1.25, "refreshed": 6.2}
_WARM = 60
_FEW, _MANY = 40, 240


def main() -> None:
    """Measure all cases, or run one of them for callgrind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--database-url", help="default: a PostgreSQL made for this run, else SQLite in a file")
    parser.add_argument("--time-only", action="store_true", help="leave callgrind out")
    parser.add_argument("--run", nargs=2, metavar=("CASE", "REQUESTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run(CASES[options.run[0]](options.database_url), int(options.run[1]))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = options.database_url or _database(stack, folder)
        print(f"database: {url.partition(':')[0]}; every figure is a ratio to the bare view\n")
        _print("time (least of 7 rounds)", measure_time(url))
        if options.time_only:
            return
        if shutil.which("valgrind") is None:
            print("valgrind is not installed: instructions were not counted")
            return
        _print("instructions (callgrind)", count_instructions(url, folder))


def _database(stack: ExitStack, folder: Path) -> str:
    try:
        from tests.support.databases import start_private_postgres

        return stack.enter_context(start_private_postgres(folder)).url
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL ({error}); SQLite instead")
        return f"sqlite:///{folder / 'bench.sqlite'}"


def measure_time(url: str, rounds: int = 7, requests: int = 300) -> dict[str, float]:
    """Seconds a request, the least of the rounds."""
    cases = {name: make(url) for name, make in CASES.items()}
    least = dict.fromkeys(cases, float("inf"))
    for _ in range(rounds):
        for name, case in cases.items():
            started = perf_counter()
            _run(case, requests, warm=0)
            least[name] = min(least[name], (perf_counter() - started) / requests)
    return least


def count_instructions(url: str, folder: Path) -> dict[str, float]:
    """Instructions a request."""
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
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if found is None:
        raise RuntimeError(f"callgrind did not count {name}: {done.stderr[-500:]}")
    return int(found[1])


def _run(case: Case, requests: int, warm: int = _WARM) -> None:
    for _ in range(warm + requests):
        case()


def _print(title: str, measured: dict[str, float]) -> None:
    print(title)
    for name, value in measured.items():
        aim = f"   aim: at most {AIMS[name]}" if name in AIMS else ""
        shown = f"{value * 1e6:9.1f} us" if value < 1 else f"{value:12,.0f}"
        print(f"  {name:<10} {shown}   {value / measured['bare']:6.3f}{aim}")
    print()


if __name__ == "__main__":
    main()
