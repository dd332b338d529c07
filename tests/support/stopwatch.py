"""How long something took, less what the machine itself stood still: a virtual machine may be stopped for seconds."""

from __future__ import annotations

import gc
import threading
from time import perf_counter, process_time, sleep
from typing import Any

from flask_corbado_session.model.process import PerProcess

BEAT = 0.02
"""Seconds between two heartbeats."""

BUSY = 0.1
"""Seconds that a thread may wait for its turn while others run; what is beyond is a standstill, unless this process
itself was at work. Python's garbage collection among thousands of finished tests is none of the library's."""


class _Heart:
    """A thread that wants to wake at every beat, and adds up how late it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stood_still = 0.0
        self._collected = self._collecting_since = 0.0
        gc.callbacks.append(self._note_collection)
        self._begin_beat()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while True:
            sleep(BEAT)
            with self._lock:
                self._stood_still += self._late()
                self._begin_beat()

    def _begin_beat(self) -> None:
        self._next, self._worked, self._collected = perf_counter() + BEAT, process_time(), 0.0

    def _note_collection(self, phase: str, _: Any) -> None:
        if phase == "start":
            self._collecting_since = process_time()
        else:
            self._collected += process_time() - self._collecting_since

    def _late(self) -> float:
        late, worked = perf_counter() - self._next, process_time() - self._worked - self._collected
        return max(0.0, late - worked) if late > BUSY else 0.0

    def stood_still(self) -> float:
        with self._lock:
            return self._stood_still + self._late()  # the thread may wake later than who asks


_hearts = PerProcess(_Heart)


class Stopwatch:
    """Started when it is made; read in the same process."""

    def __init__(self) -> None:
        self._stood_still = _hearts.get().stood_still()
        self._began = perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds until now, whatever the machine did: for what must not come too soon."""
        return perf_counter() - self._began

    @property
    def seconds(self) -> float:
        """Seconds until now in which this process ran, waited or could have run: for what must not come too late."""
        return self.elapsed - (_hearts.get().stood_still() - self._stood_still)
