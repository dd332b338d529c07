"""The measured requests: the same view bare, public, protected and refreshed.

Each request goes through the whole WSGI application in this process, with the same Cookie header. The bare app parses
that header too, because Flask reads its own session cookie from it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import CorbadoSession, login_required, login_user

Case = Callable[[], None]
SECRET = "benchmarks only: 0f6d1c9e5a"
_BODY = "hello"


def bare(database_url: str) -> Case:
    """The view in an app without the session extension, but with Flask-SQLAlchemy, like the other apps."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET, SQLALCHEMY_DATABASE_URI=database_url)
    SQLAlchemy().init_app(app)
    app.add_url_rule("/", "view", lambda: _BODY)
    cookies = _signed_in(database_url)[1]
    return _requests(app, lambda: cookies)


def public(database_url: str) -> Case:
    """The view in an app with the extension, requested by a signed-in user. The view does not read the session."""
    app, cookies, _ = _signed_in(database_url)
    return _requests(app, lambda: cookies, "/public")


def protected(database_url: str) -> Case:
    """The view behind ``login_required``, with a short session that this process has verified before."""
    app, cookies, _ = _signed_in(database_url)
    return _requests(app, lambda: cookies, "/protected", "200")


def protected_by(database_url: str, read_clock: Callable[[], datetime]) -> tuple[Flask, Case]:
    """The protected view of an app with this clock, so that it polls for ended sessions as time goes by."""
    app, cookies, _ = _signed_in(database_url)
    app.extensions["corbado_session"].clock.read = read_clock
    return app, _requests(app, lambda: cookies, "/protected", "200")


def refreshed(database_url: str) -> Case:
    """The view behind ``login_required``, without a short session: one statement and two new cookies."""
    app, cookies, clock = _signed_in(database_url)
    jar = dict(pair.split("=", 1) for pair in cookies.split("; "))
    short = next(name for name in jar if "short" in name)

    def cookie_header() -> str:
        clock[0] += timedelta(minutes=2)  # more than a minute, so that the long token rotates
        return "; ".join(f"{name}={value}" for name, value in jar.items() if name != short)

    return _requests(app, cookie_header, "/protected", "200", jar)


def _signed_in(database_url: str) -> tuple[Flask, str, list[datetime]]:
    db = SQLAlchemy()
    sessions = CorbadoSession(db)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=SECRET, SQLALCHEMY_DATABASE_URI=database_url, CORBADO_SESSION_LONG_LIFETIME=timedelta(days=3650)
    )
    db.init_app(app)
    sessions.init_app(app)
    app.add_url_rule("/public", "public", lambda: _BODY)
    app.add_url_rule("/protected", "protected", login_required(lambda: _BODY))
    app.add_url_rule("/sign-in", "sign_in", lambda: str(login_user("alice", amr=["pwd"])), methods=["POST"])
    with app.app_context():
        db.create_all()
    clock = [datetime.now(UTC)]
    app.extensions["corbado_session"].clock.read = lambda: clock[0]
    response = app.test_client().post("/sign-in")
    cookies = "; ".join(header.split(";")[0] for header in response.headers.getlist("Set-Cookie"))
    return app, cookies, clock


def _requests(
    app: Flask, cookies: Callable[[], str], path: str = "/", status: str = "200", jar: dict[str, str] | None = None
) -> Case:
    fixed = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }

    def start_response(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        if not line.startswith(status):
            raise RuntimeError(f"a measured request returned {line}")
        if jar is not None:
            written = [value.split(";")[0].split("=", 1) for name, value in headers if name == "Set-Cookie"]
            if len(written) != 2:
                raise RuntimeError("a measured refresh did not write both cookies")
            jar.update((name, value) for name, value in written)

    def request() -> None:
        environ = {**fixed, "HTTP_COOKIE": cookies(), "wsgi.input": io.BytesIO()}
        b"".join(app(environ, start_response))  # type: ignore[arg-type]

    return request


CASES: dict[str, Callable[[str], Case]] = {
    "bare": bare,
    "public": public,
    "protected": protected,
    "refreshed": refreshed,
}
