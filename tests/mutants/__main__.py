"""Apply each mutant to a copy of the checkout and run the test that must notice it: ``make mutants``.

Prints a table and the score. Exits with 1 if a mutant lives, or if something could not be run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from . import MUTANTS, worker
from .mutant import BROWSER, PACKAGE, ROOT, Mutant

Result = Literal["killed", "ALIVE", "equivalent", "not run", "BROKEN"]

_TIMEOUT = 180
"""Seconds for the tests of one mutant; one that hangs is ended by pytest-timeout before that."""
_PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-o", "timeout=60")
_SQLITE = ("-k", "not postgresql")
"""The line is the same on every database, and a PostgreSQL server of its own takes longer than most tests."""
_COUNTER = count(1)
_LEFT_OUT = shutil.ignore_patterns(".venv*", ".git", ".mypy_cache", ".ruff_cache", ".hypothesis", "__pycache__", "dist")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that the arguments name, all of them by default."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="", help="those whose file, test or meaning contains this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at once")
    parser.add_argument("--first", type=int, default=1, help="begin with the mutant of this number")
    parser.add_argument("--last", type=int, default=len(MUTANTS), help="end with the mutant of this number")
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if options.only in f"{mutant.file} {mutant.test} {mutant.means}"]
    chosen = chosen[options.first - 1 : options.last]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [_copy(Path(folder) / str(number)) for number in range(options.jobs)]
        failing = _failing_unmutated(copies[0], chosen)
        if failing:
            print(f"without any mutant these fail already:\n{failing}")
            return 1
        results = _run_all(chosen, copies)
    return _report(Counter(results))


def _copy(target: Path) -> Path:
    """A copy of the checkout; Python started in it imports the package from there."""
    shutil.copytree(ROOT, target, ignore=_LEFT_OUT)
    return target


def _failing_unmutated(copy: Path, mutants: Sequence[Mutant]) -> str:
    """What pytest says of the named tests on the code as it is, if one of them fails."""
    tests = sorted({mutant.test_id for mutant in mutants})
    # the browser's in a process of their own, as in the Makefile
    groups = [[test for test in tests if test.startswith(BROWSER) is in_browser] for in_browser in (False, True)]
    for group in filter(None, groups):
        status, output = _pytest(copy, group, timeout=20 * _TIMEOUT)
        if status != 0:  # a busy machine is too slow for a browser now and then
            status, output = _pytest(copy, group, timeout=20 * _TIMEOUT)
        if status != 0:
            return output
    return ""


def _run_all(mutants: Sequence[Mutant], copies: Sequence[Path]) -> list[Result]:
    """Run them, as many at once as there are copies, and print a row for each, in order."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def run(mutant: Mutant) -> Result:
        copy = free.get()
        try:
            return _run(mutant, copy)
        finally:
            free.put(copy)

    results: list[Result] = []
    with ThreadPoolExecutor(len(copies)) as threads:
        for number, (mutant, result) in enumerate(zip(mutants, threads.map(run, mutants), strict=True), 1):
            results.append(result)
            _print_row(number, mutant, result)
    return results


def _print_row(number: int, mutant: Mutant, result: Result) -> None:
    where = f"{mutant.file}:{mutant.line_in(mutant.path.read_text(encoding='utf-8'))}"
    test = mutant.test_id.partition("::")[2]
    print(f"{number:3} {result:10} {where:34} {mutant.means}\n{'':15}by {test}", flush=True)


def _run(mutant: Mutant, copy: Path) -> Result:
    if mutant.equivalent:
        return "equivalent"
    with _applied(mutant, copy):
        status, output = _pytest(copy, [mutant.test_id], timeout=_TIMEOUT)
    if status == 1:
        return "killed"
    if status == 0:
        return "not run" if " skipped" in output and " passed" not in output else "ALIVE"
    print(output)
    return "BROKEN"


@contextmanager
def _applied(mutant: Mutant, copy: Path) -> Iterator[None]:
    path = copy / PACKAGE / mutant.file
    text = path.read_text(encoding="utf-8")
    before = path.stat().st_mtime
    path.write_text(mutant.applied_to(text), encoding="utf-8")
    # bytecode is kept by a file's time in seconds, and two edits of one second may be of one length
    os.utime(path, (before, before + next(_COUNTER)))
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (before, before))


def _pytest(copy: Path, tests: Sequence[str], timeout: float) -> tuple[int, str]:
    """The exit status and the output of pytest: 0 all passed, 1 some failed, anything else could not be run."""
    arguments = [*_PYTEST, *_SQLITE, *tests]
    if not tests[0].startswith(BROWSER):
        return worker.run(copy, arguments, timeout)
    command = [sys.executable, "-m", "pytest", *arguments]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return -1, f"took longer than {timeout:g} seconds: {' '.join(tests)}"
    return done.returncode, done.stdout + done.stderr


def _report(counts: Counter[Result]) -> int:
    killed, alive = counts["killed"], counts["ALIVE"] + counts["BROKEN"]
    score = 100 * killed / max(1, killed + alive)
    print(f"\n{killed} of {killed + alive} mutants are killed: a score of {score:.1f} %", end="")
    print(f" ({counts['equivalent']} equivalent, {counts['not run']} not run here)")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
