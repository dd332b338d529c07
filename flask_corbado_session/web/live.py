"""Live connections: what goes on after its request, a stream or a socket, ends with its session."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

from flask import Flask, current_app
from werkzeug.local import LocalProxy

from ..model.records import ShortSession
from .challenge import abort_unauthenticated
from .current import current_user
from .request import current_short
from .sockets import is_websocket, shut_down, socketio_client
from .state import current_request, current_request_state
from .watcher import LiveConnection, watcher

log = logging.getLogger("flask_corbado_session")
T = TypeVar("T")


def end_on_revocation(close: Callable[[], object]) -> LiveConnection:
    """Have ``close`` called once the session of this request has ended."""
    environ = current_request().environ
    connection = _connection(close, lambda: shut_down(environ) if is_websocket(environ) else None)
    watcher.add(connection)
    return connection


def guard_stream(iterable: Iterable[T]) -> GuardedStream[T]:
    """The items, until the session of this request has ended."""
    environ = current_request().environ
    return GuardedStream(iterable, _connection(lambda: None, lambda: shut_down(environ)))


class GuardedStream(Generic[T]):
    """Items for a response. Nothing is handed out after the session's end, not what was made before it either.

    A source that is silent meanwhile can't be interrupted; the connection is then cut where the server allows it.
    """

    def __init__(self, items: Iterable[T], connection: LiveConnection) -> None:
        self._items = items
        self._connection = connection
        self._iterator: Iterator[T] | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._iterator is None:  # a response to HEAD is never iterated, and never closed
            self._iterator = iter(self._items)
            watcher.add(self._connection)
            weakref.finalize(self, self._connection.forget).atexit = False  # for a server that does not close it
        if not self._connection.is_over():
            try:
                item = next(self._iterator)
            except BaseException:
                self._connection.forget()
                raise
            if not self._connection.is_over():
                return item
        self.close()
        raise StopIteration

    def close(self) -> None:
        """The response has been sent, or the client is gone."""
        self._connection.forget()
        for source in {id(source): source for source in (self._iterator, self._items)}.values():
            if callable(close := getattr(source, "close", None)):
                close()


def _connection(close: Callable[[], object], cut: Callable[[], object]) -> LiveConnection:
    """The connection of this request; nobody signed in is the 401."""
    short = current_short()
    if short is None:
        abort_unauthenticated()
    request_state, client = current_request_state(), socketio_client()
    app = cast("LocalProxy[Flask]", current_app)._get_current_object()
    environ = dict(current_request().environ)  # a copy: another thread may be at work on the request itself

    def check() -> ShortSession | None:
        if client is not None and not client.is_connected():
            connection.forget()
            return short
        try:
            return _serves_now(app, environ)
        except Exception:  # the database is down, or the app's loader failed: that signs nobody out
            log.warning("a live connection goes on, since its user could not be loaded", exc_info=True)
            return short

    connection = LiveConnection(app, request_state.app_state, short, check=check, close=close, cut=cut)
    return connection


def _serves_now(app: Flask, environ: dict[str, Any]) -> ShortSession | None:
    """The short session by which an event of this connection would be served now."""
    with app.request_context(environ):
        current_user._get_current_object()  # the app may no longer know this user, or its loader may fail
        return current_short()
