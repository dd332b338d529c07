"""Sockets as a Flask app has them: Flask-Sock's views, Flask-SocketIO's events. Neither package is imported."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Request, current_app, request

from .state import RequestState, current_request

POLICY_VIOLATION = 1008
"""How a WebSocket is closed for somebody who may not have it (RFC 6455 §7.4.1)."""

_SERVER_SOCKETS = ("werkzeug.socket", "gunicorn.socket")


def is_websocket(environ: Mapping[str, Any]) -> bool:
    """Whether this request asks to become a WebSocket (RFC 6455 §4.1)."""
    return bool(environ.get("HTTP_UPGRADE", "").lower() == "websocket")


def is_socket(current: Request | None = None) -> bool:
    """Whether this is the handshake of a WebSocket, or an event of Flask-SocketIO, which may come by polling."""
    current = current or current_request()
    environ = current.environ
    # Flask-SocketIO puts the app into every environ, and the client's id on the request of an event
    return ("HTTP_UPGRADE" in environ and is_websocket(environ)) or ("flask.app" in environ and hasattr(current, "sid"))


def is_connection(request_state: RequestState) -> bool:
    """Whether no answer can carry a cookie: the handshake of a socket, or a context that came after the first one."""
    return request_state.handshake is not None or is_socket()


def hang_up(args: tuple[Any, ...]) -> bool | None:
    """Close the socket whose handler has just been kept from running. ``args`` are what it was called with.

    :returns: what the handler is to return: False refuses a Flask-SocketIO connection.
    """
    client = socketio_client()
    if client is not None:
        if getattr(request, "event", {}).get("message") == "connect":
            return False
        client.disconnect()
    elif args and callable(close := getattr(args[0], "close", None)):
        with suppress(Exception):  # it may be closed already
            close(POLICY_VIOLATION, "unauthenticated")
    return None


class SocketIOClient:
    """The client whose event Flask-SocketIO is handling."""

    __slots__ = ("_namespace", "_server", "_sid")

    def __init__(self, server: Any, sid: str, namespace: str) -> None:
        self._server, self._sid, self._namespace = server, sid, namespace

    def disconnect(self) -> None:
        """End its connection to the namespace."""
        self._server.disconnect(self._sid, namespace=self._namespace)

    def is_connected(self) -> bool:
        """Whether it is there; it is not yet, while its connection is being accepted."""
        return bool(self._server.manager.is_connected(self._sid, self._namespace))


def socketio_client() -> SocketIOClient | None:
    """The client of the current event, in an event of Flask-SocketIO."""
    sid, socketio = getattr(request, "sid", None), current_app.extensions.get("socketio")
    if sid is None or socketio is None:
        return None
    return SocketIOClient(socketio.server, sid, getattr(request, "namespace", "/"))


def shut_down(environ: Mapping[str, Any]) -> None:
    """Cut the connection of a request, where the server says which socket it is: a peer that was told to go and stays,
    or a source that is silent, must not keep it open."""
    for name in _SERVER_SOCKETS:
        connection = environ.get(name)
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
