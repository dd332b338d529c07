"""One case, measured: its instructions under callgrind, or its time behind a server of its own."""

from __future__ import annotations

import gc
import http.client
import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median
from time import perf_counter, sleep
from typing import Any

from .cases import CASES, Requests

WARM_UP = 40
ROUNDS, PER_ROUND = 15, 60


def make(name: str, database_url: str, redis_url: str | None) -> Requests:
    """The case of this name, ours or a peer's."""
    if name in CASES:
        return CASES[name](database_url)
    from .peers import PEERS  # which are installed in .bench alone

    case: Callable[..., Requests] = PEERS[name]
    return case(database_url, redis_url) if name.endswith("Redis") else case(database_url)


def run(case: Callable[[], None], requests: int, warm_up: int = WARM_UP) -> None:
    """Warm the case up, have callgrind count, and run so many requests."""
    for _ in range(warm_up):
        case()
    # a full collection of all that was imported, which comes at random, would be counted among the requests
    gc.collect()
    gc.freeze()
    _count("on")
    for _ in range(requests):
        case()
    _count("off")


def _count(state: str) -> None:
    subprocess.run(["vgdb", f"--pid={os.getpid()}", "instrumentation", state], stderr=subprocess.DEVNULL, check=True)


def instructions(command: Sequence[str], requests: int) -> int:
    """What callgrind counted while that command ran so many requests."""
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*tool, *command, "--requests", str(requests)], env=env, capture_output=True, text=True, check=False
    )
    match = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if match is None or done.returncode:
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("==")]
        raise RuntimeError(said[-1] if said else "callgrind did not count")
    return int(match[1])


class Server:
    """A case behind waitress, in a process of its own, and a client that keeps its connection."""

    def __init__(self, stack: ExitStack, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*command, "--serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        stack.callback(self._stop)
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split("\t")
        if len(line) != 3:
            raise RuntimeError("the server did not start")
        self._path, self._headers = line[1], {"Cookie": line[2].strip()}
        self._client = http.client.HTTPConnection("127.0.0.1", int(line[0]), timeout=30)
        self.statuses: set[int] = set()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def round(self, requests: int = PER_ROUND) -> float:
        """Seconds for so many requests, one after the other."""
        started = perf_counter()
        for _ in range(requests):
            self._client.request("GET", self._path, headers=self._headers)
            response = self._client.getresponse()
            response.read()
            self.statuses.add(response.status)
        return perf_counter() - started


def time_ratios(servers: dict[str, Server], bare: str) -> dict[str, float]:
    """The time of each against the bare one's in the same round; the median of the rounds, which take turns."""
    for server in servers.values():
        server.round()
    ratios: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        took = {name: server.round() for name, server in servers.items()}
        for name, seconds in took.items():
            ratios[name].append(seconds / took[bare])
    return {name: median(each) for name, each in ratios.items()}


def serve(case: Requests) -> None:
    """Serve the app of a case until the process is ended; says where, which path, and with which cookies."""
    from waitress.server import create_server

    server: Any = create_server(case.app, host="127.0.0.1", port=0, threads=2)
    print(server.effective_port, case.path, case.cookies(), sep="\t", flush=True)
    parent = os.getppid()

    def watch() -> None:  # it must not outlive the run
        while os.getppid() == parent:
            sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    server.run()
