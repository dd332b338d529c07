"""What each process makes for itself: connections, locks, background work."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value of which each process has one of its own, made when it is first asked for.

    The pid decides. A server may fork without telling Python (uWSGI does), so that no hook of ours would run, and
    Windows has no such hook. What the parent made is kept and left alone: closing its sockets is the parent's business.
    """

    __slots__ = ("_by_pid", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._by_pid: dict[int, T] = {}

    def get(self) -> T:
        """This process's value."""
        pid = os.getpid()
        try:
            return self._by_pid[pid]
        except KeyError:
            return self._by_pid.setdefault(pid, self._make())  # of two threads at once both get the first one's


class ProcessLock:
    """A lock that a forked child never finds held by a thread that only its parent had."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks = PerProcess(Lock)

    def __enter__(self) -> None:
        self._locks.get().acquire()

    def __exit__(self, *_: object) -> None:
        self._locks.get().release()
