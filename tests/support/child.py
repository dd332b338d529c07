"""A child process that does not outlive the tests.

``python -m tests.support.child MODULE`` runs MODULE as a program, and ends when whoever started it is gone, so that a
killed test run leaves nothing behind.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def start(module: str, env: Mapping[str, str], **how: Any) -> subprocess.Popen[bytes]:
    """Run a module as a program until it is stopped or we are gone: its input is a pipe that ends with us."""
    command = [sys.executable, "-m", __name__, module]
    return subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.PIPE, cwd=ROOT, **how)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, for certain and at once."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _end_with_the_tests() -> None:
    os.read(sys.stdin.fileno(), 1)  # unbuffered: a lock held at exit would be fatal
    os._exit(0)  # no signal: waitress would end in order, which takes as long as its slowest request


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
