"""A real Chromium that binds sessions to keys, the app it talks to over https, and what both said.

Chromium registers nothing without its feature flags, and nothing over a certificate it does not take for valid: the
certificate is made at run time and named to it by the hash of its key. The keys are software, in the profile.
"""

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
from playwright.sync_api import BrowserContext, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_corbado_session import login_required, login_user, logout_user
from flask_corbado_session.testing import MovingClock
from tests.support.apps import state_of
from tests.support.bound_site import REFRESH, REGISTER, BoundSite
from tests.support.bound_wire import Reply
from tests.support.certificates import public_key_hash
from tests.support.jars import SHORT

SOFTWARE_KEYS = "EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
HOST, SIBLING, FOREIGN = "app.bound.test", "www.bound.test", "elsewhere.test"
PATIENCE = 10.0
"""Seconds for what is waited for."""
ASSETS = 12
_EPOCH = datetime.fromtimestamp(0, UTC)

PAGE = """<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">{assets}
<form method="post" action="/form"><input name="text" value="kept"><button>Send</button></form>
<form method="post" action="/proven"><input name="text" value="kept"><button>Prove</button></form>
<form method="post" action="/leave"><button>Leave</button></form></html>"""


def chromium_arguments(shown: Path, quota: bool = False) -> list[str]:
    """For a browser that takes this certificate for valid; every ``*.test`` is loopback."""
    binding = "DeviceBoundSessions" if quota else "DeviceBoundSessions:RefreshQuota/false"
    return [
        f"--enable-features={binding},{SOFTWARE_KEYS}",
        f"--ignore-certificate-errors-spki-list={public_key_hash(shown)}",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
    ]


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


class Chromium:
    """One person's browser at the site, and what its DevTools told of bound sessions."""

    def __init__(self, context: BrowserContext, site: HttpsSite) -> None:
        self.context, self.site = context, site
        self.events: list[dict[str, Any]] = []
        self.page = context.pages[0] if context.pages else context.new_page()
        self._watch(self.page)

    def _watch(self, page: Page) -> None:
        session = self.context.new_cdp_session(page)
        session.on("Network.deviceBoundSessionEventOccurred", lambda event: self.events.append(event))
        session.send("Network.enable")
        session.send("Network.enableDeviceBoundSessions", {"enable": True})

    # ---- doing

    def open(self, path: str = "/page", host: str = HOST) -> int:
        """Type an address; the status of what comes in the end."""
        response = self.page.goto(self.site.origin(host) + path)
        assert response is not None
        return response.status

    def sign_in(self, user: str = "alice", more: str = "") -> Chromium:
        """And wait until the key is registered."""
        before = len(self.told("creation"))
        assert self.open(f"/enter?user={user}{more}") == 200
        self.wait(lambda: len(self.told("creation")) > before)
        assert self.told("creation")[-1]["succeeded"], self.summary()
        return self

    def lose_short_session(self) -> None:
        """What the browser does when the cookie runs out."""
        self.context.clear_cookies(name=SHORT)

    def fetch(self, path: str, method: str = "GET", body: str | None = None) -> Any:
        """As script on the page does: the status and the text."""
        return self.page.evaluate(
            "([path, method, body]) => fetch(path, { method, body: body && new URLSearchParams(body) })"
            ".then(async (response) => [response.status, await response.text()])",
            [path, method, body],
        )

    # ---- looking

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind: creation, refresh, challenge or termination."""
        return [event for event in self.events if f"{kind}EventDetails" in event]

    def summary(self) -> list[str]:
        """What the events say, in a line each."""
        return [_in_a_line(event) for event in self.events]

    def cookies(self) -> dict[str, str]:
        """Those of the site."""
        return {cookie["name"]: cookie["value"] for cookie in self.context.cookies(self.site.origin())}

    def wait(self, is_true: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Until it is so; events come in while the page is asked to wait."""
        deadline = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < deadline, self.summary()
            self.page.wait_for_timeout(20)

    def steal(self) -> dict[str, str]:
        """The headers of somebody with a copy of the cookies."""
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies().items())}


def _in_a_line(event: dict[str, Any]) -> str:
    (kind,) = (name for name in event if name.endswith("EventDetails"))
    details = event[kind]
    facts = [str(details[name]) for name in ("refreshResult", "fetchResult", "deletionReason") if name in details]
    if details.get("wasFullyProactiveRefresh"):
        facts.append("proactive")
    return f"{kind.removesuffix('EventDetails')}: {'ok' if event['succeeded'] else 'failed'} {', '.join(facts)}".strip()
