"""``python -m benchmarks.devices``: the devices page of a user with 300 sessions, on SQLite and PostgreSQL.

For each page it prints the number of statements, the milliseconds per request including the template (minimum, median
and 95th percentile of 60 requests, and the median CPU time of this process), and the size of the page.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

from flask_corbado_session import CorbadoSession, login_user

SESSIONS = 300
ROUNDS = 60
_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
)
_DEVICE = "__Host-cbo_device"


def main() -> None:
    """Measure every page on each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="number of live sessions, and of ended ones")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for url in _databases(stack, folder):
            print(f"{url.partition(':')[0]}, {options.sessions} live sessions and {options.sessions} ended ones")
            measure(url, options.sessions)


def _databases(stack: ExitStack, folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'bench.sqlite'}"
    try:
        from tests.support.databases import start_private_postgres

        yield stack.enter_context(start_private_postgres(folder)).url
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL ({error})")


def measure(url: str, sessions: int) -> None:
    """Print one line per page, for a user with one device per session and a user with all sessions on one device."""
    app = _app(url)
    many, one = (
        _user_with_sessions(app, "many", sessions, one_device=False),
        _user_with_sessions(app, "one", sessions, one_device=True),
    )
    device = one.get("/session/devices", headers={"Accept": "application/json"}).get_json()["devices"][0]["id"]
    html, json = "text/html", "application/json"
    _line(app, "a device per session, page 1", many, "/session/devices", html)
    _line(app, "a device per session, last page", many, "/session/devices?page=99999", html)
    _line(app, "a device per session, history page 6", many, "/session/devices?history=6", html)
    _line(app, "a device per session, JSON", many, "/session/devices", json)
    _line(app, "all on one device", one, "/session/devices", html)
    _line(app, "all on one device, its page 1", one, f"/session/devices?device={device}", html)
    print()


def _line(app: Flask, title: str, client: FlaskClient, path: str, accept: str) -> None:
    statements: list[str] = []
    engine = app.extensions["corbado_session"].rows.database.engine

    def count(*rest: Any) -> None:
        statements.append(rest[2])

    def request() -> int:
        response = client.get(path, headers={"Accept": accept})
        if response.status_code != 200:
            raise RuntimeError(f"{path} returned {response.status_code}")
        return len(response.data)

    size = request()
    event.listen(engine, "before_cursor_execute", count)
    request()
    event.remove(engine, "before_cursor_execute", count)
    times, cpu_times = [], []
    for _ in range(ROUNDS):
        started, cpu_started = perf_counter(), process_time()
        request()
        times.append((perf_counter() - started) * 1000)
        cpu_times.append((process_time() - cpu_started) * 1000)
    took = (
        f"{min(times):6.1f} {median(times):6.1f} {quantiles(times, n=20)[-1]:6.1f} ms, CPU {median(cpu_times):5.1f} ms"
    )
    print(f"  {title:<38} {len(statements)} statements {took} {size / 1024:5.0f} KiB")


def _app(url: str) -> Flask:
    app, db = Flask(__name__), SQLAlchemy()
    app.config.update(
        SECRET_KEY="benchmarks only: 1c9e5a0f6d",
        SQLALCHEMY_DATABASE_URI=url,
        CORBADO_SESSION_MAX_SESSIONS_PER_USER=10_000,
        CORBADO_SESSION_REVOCATION_INTERVAL=60,  # so that the poll for ended sessions is not counted
    )
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    app.add_url_rule("/in/<user>", "sign_in", lambda user: str(login_user(user, amr=["pwd"])), methods=["POST"])
    with app.app_context():
        db.create_all()
    return app


def _user_with_sessions(app: Flask, user: str, sessions: int, one_device: bool) -> FlaskClient:
    """Sign a user in: that many live sessions, after as many that were ended."""
    _sign_in_often(app, user, sessions, one_device).post("/session/revoke-others")
    return _sign_in_often(app, user, sessions - 1, one_device)


def _sign_in_often(app: Flask, user: str, times: int, one_device: bool) -> FlaskClient:
    client, device = app.test_client(), None
    for number in range(times):
        client = app.test_client()
        client.environ_base |= {"HTTP_USER_AGENT": _AGENTS[number % 3], "REMOTE_ADDR": f"198.51.100.{number % 250}"}
        if one_device and device is not None:
            client.set_cookie(_DEVICE, device)
        client.post(f"/in/{user}")
        cookie = client.get_cookie(_DEVICE)
        device = cookie.value if cookie else None
    return client


if __name__ == "__main__":
    main()
