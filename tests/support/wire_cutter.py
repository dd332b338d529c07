"""A wire between an app and its PostgreSQL that the test can cut at the very moment it chooses."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal

from sqlalchemy import URL, make_url

Moment = Literal["before", "after"]
"""Cut before the statement reaches the server, or after it was committed and before the answer comes back."""


class CutWire:
    """Listens on loopback and passes everything on to the server of ``database_url``."""

    def __init__(self, database_url: str) -> None:
        self._url = make_url(database_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._cut: tuple[bytes, Moment] | None = None
        self._ends: list[socket.socket] = []
        self.cuts = 0
        self.sent, self.received = 0, 0
        """Bytes that went to the server, and came from it."""
        self.refuses = False
        """Whether new connections are closed at once."""
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def url(self) -> str:
        """The same database, by way of this wire."""
        port: int = self._listener.getsockname()[1]
        through: URL = self._url.set(host="127.0.0.1", port=port)
        return through.render_as_string(hide_password=False)

    def cut(self, statement: str, moment: Moment, *, refuse: bool = False) -> None:
        """Cut the connection over which this statement goes next, once; with ``refuse`` there is none afterwards."""
        self._cut = statement.encode(), moment
        self._refuses_then = refuse

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                app, _ = self._listener.accept()
                if self.refuses:
                    app.close()
                    continue
                try:
                    server = socket.create_connection((self._url.host or "127.0.0.1", self._url.port or 5432))
                except OSError:  # the database is down
                    app.close()
                    continue
                self._ends += [app, server]
                self._doomed: set[socket.socket] = set()
                threading.Thread(target=self._pass_on, args=(app, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, app, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, from_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if from_server:
                    self.received += len(data)
                else:
                    self.sent += len(data)
                if from_server and sink in self._doomed:
                    break
                if not from_server and self._cut is not None and self._cut[0] in data:
                    moment, self._cut, self.cuts = self._cut[1], None, self.cuts + 1
                    self.refuses = self._refuses_then
                    if moment == "before":
                        break
                    self._doomed.add(source)  # PostgreSQL says nothing before it has committed
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> CutWire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._thread.join()
