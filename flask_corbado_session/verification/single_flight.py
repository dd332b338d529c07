"""Work in the background that many callers may ask for and that runs once at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from ..model.process import PerProcess


class SingleFlight:
    """Runs some work in a background thread, one run at a time in each process: a forked child has no thread of its
    parent's, and waits for none."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._flights = PerProcess(_Flight)

    def start(self, pause: float = 0.0, *, if_still: Callable[[], bool] = lambda: True) -> None:
        """Start, unless it is running, or was last started less than ``pause`` seconds ago.

        ``if_still`` says whether it is still needed: a run that was just over may have done what is asked for.
        """
        flight = self._flights.get()
        with flight.lock:
            now = monotonic()
            if not flight.done.is_set() or now - flight.started_at < pause or not if_still():
                return
            done = threading.Event()
            threading.Thread(target=self._run, args=(done,), name="corbado-session-fetch", daemon=True).start()
            flight.done, flight.started_at = done, now

    def wait(self, seconds: float) -> bool:
        """Wait until it is not running, so many seconds at most; False if it still is."""
        return self._flights.get().done.wait(seconds)

    def _run(self, done: threading.Event) -> None:
        try:
            self._work()
        finally:
            done.set()


class _Flight:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.done.set()
        self.started_at = float("-inf")
