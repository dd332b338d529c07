"""``python -m demo_site``: run the site, the page on another host and the orders service, each in its own process.

They use three consecutive ports, starting at 8000 or ``PORT``, and run until Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from typing import IO, cast

from .serving import STOP_SIGNALS, UNTIL_STDIN_ENDS, prepare_to_stop, read_addresses

MODULES = ("demo_site.site", "demo_site.spa_host", "demo_site.orders_service")
STOP_TIMEOUT = 10.0
"""Seconds a server gets to finish its open requests."""

Child = subprocess.Popen[bytes]


def main() -> None:
    """Start the three servers and print their addresses. Stop all of them when one exits, or on a signal."""
    read_addresses()  # so that a wrong PORT is reported once, not three times
    prepare_to_stop()
    children: dict[str, Child] = {}
    try:
        for module in MODULES:
            children[module] = _start(module)
        exited = _print_addresses(children) or _wait_for_exit(children)
        sys.exit(f"{exited} has exited, so the other servers are stopped too.")
    finally:
        _stop(children.values())


def _start(module: str) -> Child:
    """Start a server in its own process group, so that Ctrl-C reaches only this process, which then stops it."""
    command = [sys.executable, "-m", module, UNTIL_STDIN_ENDS]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)


def _print_addresses(children: Mapping[str, Child]) -> str | None:
    """Print the line that each server writes once it listens. Return the module that exited before it did."""
    for module, child in children.items():
        line = _output(child).readline().decode()
        if not line:
            return module
        print(line, end="", flush=True)
    print("Press Ctrl-C to stop all three.", flush=True)
    return None


def _wait_for_exit(children: Mapping[str, Child]) -> str:
    """Wait until a server exits. They are asked in turn, because Windows can't wait for one of several pipes."""
    while True:
        for module, child in children.items():
            if child.poll() is not None:
                return module
        time.sleep(0.2)


def _output(child: Child) -> IO[bytes]:
    return cast(IO[bytes], child.stdout)  # a pipe, see _start


def _stop(children: Collection[Child]) -> None:
    """Terminate every server by its pid; kill one that does not stop in time."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the servers are being stopped already
    for child in children:
        child.terminate()
    for child in children:
        with child:  # closes its pipes and waits for it
            try:
                child.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                child.kill()


if __name__ == "__main__":
    main()
