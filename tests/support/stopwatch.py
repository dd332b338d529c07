"""How long something took, less what the machine itself stood still: a virtual machine may be stopped for seconds."""

from __future__ import annotations

import threading
from functools import cache
from time import perf_counter, sleep

BEAT = 0.02
"""Seconds between two heartbeats."""

BUSY = 0.1
"""Seconds that a thread may wait for its turn while others run; what is beyond is a standstill."""


class _Heart:
    """A thread that wants to wake at every beat, and adds up how late it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stood_still = 0.0
        self._next = perf_counter() + BEAT
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while True:
            sleep(BEAT)
            with self._lock:
                self._stood_still += self._late()
                self._next = perf_counter() + BEAT

    def _late(self) -> float:
        late = perf_counter() - self._next
        return late if late > BUSY else 0.0

    def stood_still(self) -> float:
        with self._lock:
            return self._stood_still + self._late()  # the thread may wake later than who asks


_heart = cache(_Heart)


class Stopwatch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._stood_still = _heart().stood_still()
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds until now in which this process could run."""
        return perf_counter() - self._began - (_heart().stood_still() - self._stood_still)
