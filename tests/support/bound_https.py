"""The tests' app with device binding, served over https for a real Chromium, and what it was asked."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from flask import Response, jsonify, redirect, request
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_corbado_session import login_required, login_user, logout_user
from flask_corbado_session.testing import MovingClock
from tests.support.apps import state_of
from tests.support.bound_site import REFRESH, REGISTER, BoundSite
from tests.support.bound_wire import Reply

HOST, SIBLING, FOREIGN = "app.bound.test", "www.bound.test", "elsewhere.test"
ASSETS = 12
_EPOCH = datetime.fromtimestamp(0, UTC)

PAGE = """<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">{assets}
<form method="post" action="/form"><input name="text" value="kept"><button>Send</button></form>
<form method="post" action="/proven"><input name="text" value="kept"><button>Prove</button></form>
<form method="post" action="/leave"><button>Leave</button></form></html>"""


class RunningClock(MovingClock):
    """Goes on by itself, and can be moved."""

    def __call__(self) -> datetime:
        return datetime.now(UTC) + (self.at - _EPOCH)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """The log of requests is :attr:`HttpsSite.log`."""


class HttpsSite(BoundSite):
    """The app, served over https by threads of this process; its clock is the tests'."""

    def __init__(self, database_url: str, tls: tuple[Path, Path], *, port: int = 0, **config: Any) -> None:
        super().__init__(database_url, **{"CORBADO_SESSION_LOGIN_VIEW": "/enter", **config})
        self.log: list[str] = []
        """Method, path, "+proof" where one came, and status."""
        self.headers: list[dict[str, str]] = []
        """Of the requests to the two routes of device binding: names, and the values that are no secrets."""
        self.failing = 0
        """How many of the next refreshes get a 503 before the app sees them."""
        self.port = port
        self._tls = tls
        self.clock = RunningClock(_EPOCH)
        state_of(self.app).clock.read = self.clock
        self._add_pages()
        wsgi_app: Any = self.app.wsgi_app
        self.app.wsgi_app = self._watched(wsgi_app)  # type: ignore[method-assign]

    @contextmanager
    def served(self) -> Iterator[HttpsSite]:
        """While it is served."""
        self._server = server = make_server(
            "127.0.0.1", self.port, self.app, threaded=True, ssl_context=_strings(self._tls), request_handler=_Quiet
        )
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def started_anew(self, **config: Any) -> HttpsSite:
        """The site after a restart with other settings: its database, port, clock and log are the same."""
        site = HttpsSite(self.url, self._tls, port=self.port, **config)
        site.log, site.clock = self.log, self.clock
        state_of(site.app).clock.read = self.clock
        self._server.app = site.app
        return site

    def origin(self, host: str = HOST) -> str:
        """Of the site, by one of its names."""
        return f"https://{host}:{self.port}"

    def wire(self, method: str, path: str, headers: Any, body: bytes) -> Reply:
        """A plain client without a browser."""
        connection = HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context(), timeout=10)
        try:
            connection.request(method, path, body, {"Host": f"{HOST}:{self.port}", **headers})
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def said(self, since: int = 0) -> list[str]:
        """The log from there on, assets and icons left out."""
        return [line for line in self.log[since:] if not any(each in line for each in ("/asset/", "/static/", ".ico"))]

    def proofs(self, since: int = 0) -> int:
        """How many refreshes with a proof there were."""
        return sum(line == f"POST {REFRESH}+proof 200" for line in self.log[since:])

    def _watched(self, app: Callable[..., Any]) -> Callable[..., Any]:
        def watch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            path = environ["PATH_INFO"]
            if path in (REGISTER, REFRESH):
                self.headers.append(_told(environ))
            proof = "+proof" if "HTTP_SECURE_SESSION_RESPONSE" in environ else ""
            said = f"{environ['REQUEST_METHOD']} {path}{proof}"

            def start(status: str, headers: Any, *more: Any) -> Any:
                self.log.append(f"{said} {status[:3]}")
                return start_response(status, headers, *more)

            if path == REFRESH and self.failing:
                self.failing -= 1
                start("503 Service Unavailable", [("Content-Length", "0"), ("Retry-After", "1")])
                return [b""]
            return app(environ, start)

        return watch

    def _add_pages(self) -> None:
        app = self.app

        @app.get("/enter")
        def enter() -> Response:
            user = request.args.get("user")
            if user is None:
                return Response("<!doctype html><title>Sign in</title><link rel=icon href=data:,>")
            login_user(user, remember=request.args.get("remember") != "no", amr=["pwd"])
            return Response("<!doctype html><title>Welcome</title><link rel=icon href=data:,>")

        @app.post("/leave")
        def leave() -> Any:
            logout_user()
            return redirect("/enter", 303)

        @app.get("/page")
        @login_required
        def page() -> str:
            wanted = int(request.args.get("assets", 0))
            return PAGE.format(assets="".join(f'<img alt="" src="/asset/{number}">' for number in range(wanted)))

        @app.get("/asset/<int:number>")
        @login_required
        def asset(number: int) -> Response:
            time.sleep(0.02)
            return Response('<svg xmlns="http://www.w3.org/2000/svg"/>', mimetype="image/svg+xml")

        @app.post("/form")
        @login_required
        def form() -> Response:
            return jsonify(form=request.form.to_dict())

        @app.get("/links")
        def links() -> str:
            to = f"https://{HOST}:{self.port}"
            return f"""<!doctype html><title>Elsewhere</title><link rel=icon href=data:,>
                <a href="{to}/page?from=a-link">Go</a>
                <a href="{to}/page?from=a-link#part">Go to a part</a>
                <form method="post" action="{to}/form"><input name="text" value="kept"><button>Send</button></form>"""


def _told(environ: dict[str, Any]) -> dict[str, str]:
    names = {"HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE", "CONTENT_LENGTH", "CONTENT_TYPE"}
    return {name: str(value) for name, value in environ.items() if name in names and value != ""}


def _strings(tls: tuple[Path, Path]) -> tuple[str, str]:
    return str(tls[0]), str(tls[1])
