"""``python -m demo_site``: site, other-host page and orders service, a process each, until Ctrl-C or SIGTERM.

They take three ports from 8000 on, or from ``PORT``.
"""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from typing import IO

from .serving import STOPPING, UNTIL_STDIN_ENDS, prepare_to_stop, read_addresses

MODULES = ("demo_site.site", "demo_site.spa_host", "demo_site.orders_service")
PATIENCE = 10.0
"""Seconds a server has for the requests under way."""

Child = subprocess.Popen[bytes]


def main() -> None:
    """Start the three, say where they are, and stop all of them when one ends or we are told to."""
    read_addresses()  # a wrong PORT is told once, not three times
    prepare_to_stop()
    children: dict[str, Child] = {}
    try:
        for module in MODULES:
            children[module] = _start(module)
        ended = _announce(children) or _first_to_end(children)
        sys.exit(f"{ended} has ended, so the others are stopped too.")
    finally:
        _stop(children.values())


def _start(module: str) -> Child:
    """A server as our child; in a process group of its own, so that Ctrl-C reaches it through us alone."""
    command = [sys.executable, "-m", module, UNTIL_STDIN_ENDS]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)


def _announce(children: Mapping[str, Child]) -> str | None:
    """Print the line each says when it listens; which one ended without a word, if one did."""
    for module, child in children.items():
        line = _output(child).readline().decode()
        if not line:
            return module
        print(line, end="", flush=True)
    print("Ctrl-C stops all three.", flush=True)
    return None


def _first_to_end(children: Mapping[str, Child]) -> str:
    """Wait for it: the pipe of an ended process is at its end, and none says more than its one line."""
    modules = {_output(child): module for module, child in children.items()}
    ended, _, _ = select.select(list(modules), [], [])
    return modules[ended[0]]


def _output(child: Child) -> IO[bytes]:
    assert child.stdout is not None
    return child.stdout


def _stop(children: Collection[Child]) -> None:
    """End each by its pid, for certain."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # it is being done
    for child in children:
        child.terminate()
    for child in children:
        with child:  # which closes its pipes and waits
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()


if __name__ == "__main__":
    main()
