"""The one background thread of a process that ends its live connections; it runs while there are any.

It asks the ended set of each app, which costs one query a second whatever the number of connections. A connection
whose short session has run out is asked about once, as an event of it would be.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from flask import Flask

from ..model.records import ShortSession
from ..sessions.parts import AppState

log = logging.getLogger("flask_corbado_session")

TICKS = 4
"""How often within a revocation interval the connections are looked at."""

GRACE = 1.0
"""Seconds that a connection which was told to end may take before it is cut."""

PAUSE = timedelta(seconds=5)
"""After how long a connection is asked about again when the database did not answer."""

_CLOSES_WITHIN = 0.05
"""Seconds for which the others wait while one connection is closed."""


class LiveConnection:
    """An open connection of a session. As a context manager, it is forgotten when the block is left.

    ``check`` returns the short session by which it goes on, or None; ``cut`` ends it where ``close`` does not.
    """

    __slots__ = ("app", "check", "close", "cut", "cut_at", "due", "session_id", "state")

    def __init__(
        self,
        app: Flask,
        state: AppState,
        short: ShortSession,
        *,
        check: Callable[[], ShortSession | None],
        close: Callable[[], object],
        cut: Callable[[], object],
    ) -> None:
        self.app, self.state = app, state
        self.session_id, self.due = short.session_id, short.expires_at
        self.check, self.close, self.cut = check, close, cut
        self.cut_at: float | None = None
        """Once it was told to end: when it is cut."""

    def forget(self) -> None:
        """The connection has closed by itself."""
        watcher.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.forget()

    def is_over(self) -> bool:
        """Whether its session was ended, as far as this process knows; what others did is known within an interval."""
        ended = self.state.short_sessions.ended
        return self.cut_at is not None or (
            ended is not None and self.session_id is not None and ended.holds(self.session_id, self.state.clock.now())
        )

    def has_expired(self) -> bool:
        """Whether its short session has run out, and the session serves no longer."""
        now = self.state.clock.now()
        if now < self.due:
            return False
        short = self.check()
        if short is not None:
            self.due = max(short.expires_at, now + PAUSE)
        return short is None

    def end(self) -> None:
        """Close it; in the app's context."""
        try:
            with self.app.app_context():
                self.close()
        except Exception:
            log.debug("a connection whose session has ended could not be closed", exc_info=True)


class Watcher:
    """The live connections of this process. A forked process begins with none: its parent's are the parent's."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._connections: dict[LiveConnection, None] = {}
        self._thread: threading.Thread | None = None

    def add(self, connection: LiveConnection) -> None:
        """Watch a connection; the first one starts the thread."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            self._connections[connection] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="flask-corbado-session-live", daemon=True)
                self._thread.start()

    def remove(self, connection: LiveConnection) -> None:
        """Watch it no longer. Without the lock: a stream that nobody closed is removed when it is garbage-collected,
        in whatever thread that happens."""
        if self._pid == os.getpid():
            self._connections.pop(connection, None)

    @property
    def count(self) -> int:
        """How many connections are watched."""
        return len(self._connections) if self._pid == os.getpid() else 0

    def _watch(self) -> None:
        while connections := self._watched():
            time.sleep(min(each.state.settings.revocation_interval.total_seconds() for each in connections) / TICKS)
            for connection in connections:
                try:
                    self._look_at(connection)
                except Exception:
                    log.exception("a live connection could not be looked at; it is looked at again")

    def _watched(self) -> list[LiveConnection]:
        """Those there are; when there are none, this thread is done."""
        with self._lock:
            if not self._connections:
                self._thread = None
            return list(self._connections)

    def _look_at(self, connection: LiveConnection) -> None:
        if connection not in self._connections:
            return
        if connection.cut_at is not None:
            if time.monotonic() >= connection.cut_at:
                self.remove(connection)
                connection.cut()
        elif connection.is_over() or connection.has_expired():
            connection.cut_at = time.monotonic() + GRACE
            # in a thread of its own: a peer that reads nothing can keep whoever writes to it waiting
            closing = threading.Thread(target=connection.end, daemon=True)
            closing.start()
            closing.join(_CLOSES_WITHIN)


watcher = Watcher()
