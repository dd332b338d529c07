"""Fuzz every target for its share of the time: ``make fuzz MINUTES=10``.

Prints a table; the exit status is 1 if something was found. It lies in ``.fuzz/findings`` then, to be tried again by
``python -m tests.fuzz --again FILE``. The inputs that reached new code stay in
``.fuzz/corpus``, where the next run begins.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from .target import Target
from .targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS, FINDINGS = ROOT / ".fuzz" / "corpus", ROOT / ".fuzz" / "findings"
LIMITS = ("-max_len=8192", "-timeout=5", "-rss_limit_mb=1500", "-print_final_stats=1")
"""libFuzzer's: an input that takes longer than five seconds, or more memory, is a finding."""


class Run(NamedTuple):
    """What came of one target."""

    executions: int
    covered: int
    """Edges of the instrumented modules."""
    finding: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the targets that the arguments name, all of them by default."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--only", choices=TARGETS, action="append", help="a target; may be given more than once")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at once")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try a finding again")
    options = parser.parse_args(arguments)
    if options.again is not None:
        TARGETS[options.again.name.partition("-")[0]].check(options.again.read_bytes())
        return 0
    targets = [TARGETS[name] for name in options.only or TARGETS]
    seconds = max(1, round(options.minutes * 60 * options.jobs / len(targets)))
    print(f"{len(targets)} targets, {seconds} seconds each, {options.jobs} at once\n", flush=True)
    print(f"{'target':22} {'executions':>12} {'edges':>7}  finding")
    with ThreadPoolExecutor(options.jobs) as threads:
        runs = []
        for target, run in zip(targets, threads.map(lambda target: fuzz(target, seconds), targets), strict=True):
            runs.append(run)
            print(f"{target.name:22} {run.executions:12,} {run.covered:7,}  {run.finding}", flush=True)
    findings = sum(1 for run in runs if run.finding)
    print(f"\n{sum(run.executions for run in runs):,} executions, {findings} findings")
    return 1 if findings else 0


def fuzz(target: Target, seconds: int) -> Run:
    """Run a target in a process of its own, for so many seconds."""
    corpus = CORPUS / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / sha256(seed).hexdigest()[:40]).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-artifact_prefix={FINDINGS}/{target.name}-", *LIMITS]
    command = [sys.executable, "-m", "tests.fuzz.one", target.name, *limits, str(corpus)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=seconds + 120, check=False)
    output = (done.stdout + done.stderr).decode(errors="replace")
    executions = _last_number(r"stat::number_of_executed_units: +(\d+)", output)
    finding = "" if done.returncode == 0 else _finding(output)
    return Run(executions, _last_number(r" cov: (\d+)", output), finding)


def _last_number(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _finding(output: str) -> str:
    """The file to try again, and the last line of the traceback; the output's end where there is no file."""
    file = re.search(r"Test unit written to (\S+)", output)
    error = re.search(r"^(\w[\w.]*(?:Error|Exception|Warning)\b.*|ALARM.*|.*out-of-memory.*)$", output, re.MULTILINE)
    where = str(Path(file[1]).relative_to(ROOT)) if file else output[-300:]
    return f"{error[1][:100] if error else ''} {where}"


if __name__ == "__main__":
    sys.exit(main())
