"""A shared cache in front of a server, as RFC 9111 allows it to be at its most eager."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from werkzeug.http import parse_cache_control_header, parse_set_header
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

Application = Callable[..., Iterable[bytes]]
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


class CachingProxy:
    """Stores every 200 to a GET that it may (§3), by the request headers that Vary names (§4.1), and for ever.

    Set-Cookie keeps nothing from being stored (§7.3), nor does the want of a lifetime (§4.2.2).
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._stored: dict[str, list[tuple[dict[str, str | None], Response]]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        response = self._find(request) if request.method == "GET" else None
        if response is None:
            response = self._forward(request)
            response.headers["X-Cache"] = "miss"
        return response(environ, start_response)

    def _find(self, request: Request) -> Response | None:
        for varying, stored in self._stored.get(request.full_path, []):
            if all(request.headers.get(name) == value for name, value in varying.items()):
                response = Response(stored.get_data(), stored.status_code, stored.headers)
                response.headers["X-Cache"] = "hit"
                return response
        return None

    def _forward(self, request: Request) -> Response:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            headers = {name: value for name, value in request.headers if name.lower() not in _HOP_BY_HOP}
            connection.request(request.method, request.full_path, request.get_data(), headers)
            answer = connection.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
            response = Response(answer.read(), answer.status, kept)
        finally:
            connection.close()
        if self._may_store(request, response):
            names = parse_set_header(", ".join(response.headers.getlist("Vary")))
            varying = {name: request.headers.get(name) for name in names}
            self._stored.setdefault(request.full_path, []).append((varying, response))
        return response

    @staticmethod
    def _may_store(request: Request, response: Response) -> bool:
        control = parse_cache_control_header(response.headers.get("Cache-Control"))
        refused = {"no-store", "private", "no-cache"} & set(control)
        varies = "*" in response.headers.get("Vary", "")
        return request.method == "GET" and response.status_code == 200 and not refused and not varies


@contextmanager
def serving(application: Application) -> Iterator[int]:
    """A server of this application on loopback; its port."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
