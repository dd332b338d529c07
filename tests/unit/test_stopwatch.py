"""The tests' own stopwatch: a machine that stood still fails no promise, and a library that waited does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from time import process_time, sleep

import psutil
import pytest

from tests.support.stopwatch import Stopwatch

MEASURE = "from tests.support.stopwatch import Stopwatch; since = Stopwatch(); input(); print(since.seconds)"


def test_a_wait_counts() -> None:
    since = Stopwatch()
    sleep(0.5)
    assert since.elapsed >= 0.5
    assert since.seconds >= 0.1  # a busy machine may let this process wait longer than that


def test_work_that_lets_no_other_thread_run_counts() -> None:
    since, began = Stopwatch(), process_time()
    re.match("(a|a)*b", "a" * 23)  # which backtracks, and holds the interpreter's lock
    worked = process_time() - began
    assert worked > 0.3, "this machine is too fast for the experiment"
    assert since.seconds > worked / 2


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
