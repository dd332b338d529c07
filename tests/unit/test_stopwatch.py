"""The tests' own stopwatch: a machine that stood still fails no promise, and a library that waited does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from time import perf_counter, sleep

import psutil
import pytest

from tests.support.stopwatch import Stopwatch

MEASURE = "from tests.support.stopwatch import Stopwatch; since = Stopwatch(); input(); print(since.seconds)"


def test_a_wait_counts() -> None:
    since = Stopwatch()
    sleep(0.5)
    assert since.seconds >= 0.4


def test_work_that_lets_no_other_thread_run_counts() -> None:
    since, began = Stopwatch(), perf_counter()
    re.match("(a|a)*b", "a" * 23)  # which backtracks, and holds the interpreter's lock
    took = perf_counter() - began
    assert took > 0.3, "this machine is too fast for the experiment"
    assert since.seconds > took / 2


@pytest.mark.skipif(os.name == "nt", reason="Windows stops no process")
def test_a_process_that_was_stopped_for_a_second_waited_for_none_of_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", MEASURE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process = psutil.Process(child.pid)
    sleep(1)
    process.suspend()
    sleep(2)
    process.resume()
    output, _ = child.communicate("\n", timeout=30)
    assert float(output) < 2
