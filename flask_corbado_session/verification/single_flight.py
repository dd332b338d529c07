"""Work in the background that many callers may ask for and that runs once at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class SingleFlight:
    """Runs some work in a background thread, one run at a time."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._started_at = float("-inf")

    def start(self, pause: float = 0.0) -> None:
        """Start, unless it is running, or was last started less than ``pause`` seconds ago."""
        with self._lock:
            now = monotonic()
            if not self._done.is_set() or now - self._started_at < pause:
                return
            done = threading.Event()
            threading.Thread(target=self._run, args=(done,), name="corbado-session-fetch", daemon=True).start()
            self._done, self._started_at = done, now

    def wait(self, seconds: float) -> bool:
        """Wait until it is not running, so many seconds at most; False if it still is."""
        return self._done.wait(seconds)

    def _run(self, done: threading.Event) -> None:
        try:
            self._work()
        finally:
            done.set()
