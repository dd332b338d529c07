"""``python -m benchmarks.operator``: the operator pages, and the operator API, over a million sessions.

Each page is requested as by a browser, in this process. The figures are the milliseconds of the first request (which
counts for the charts) and of the best of five, the library's statements, and the milliseconds of the slowest of them.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

from flask_corbado_session import CorbadoSession
from flask_corbado_session.database.sessions import SessionStore
from flask_corbado_session.database.tables import tables_in
from flask_corbado_session.model.clock import to_ms
from flask_corbado_session.sessions.parts import AppState
from flask_corbado_session.testing import signed_in

from .rows import fill

PROJECT, SECRET = "pro-1", "corbado1_of_the_benchmarks"
DEVICE = "D" + "7919".zfill(29)
NEXT = "next"
PAGES = {
    "overview": "/operator/",
    "sessions": "/operator/sessions",
    "sessions, next page": NEXT,
    "sessions, oldest first": "/operator/sessions?sort=old",
    "sessions, recently ended": "/operator/sessions?sort=ended",
    "sessions, by user": "/operator/sessions?sort=user",
    "sessions of a user": "/operator/sessions?q=user:user-0003959",
    "sessions of a device": f"/operator/sessions?q=device:{DEVICE}",
    "sessions before a day": "/operator/sessions?q=before:{day}",
    "live sessions": "/operator/sessions?q=status:live",
    "reused sessions": "/operator/sessions?q=reason:reuse",
    "browser and system": "/operator/sessions?q=browser:Firefox+system:Linux",
    "an address in use": "/operator/sessions?q=ip:10.1.1.7",
    "an unknown address": "/operator/sessions?q=ip:9.9.9.9",
    "users": "/operator/users",
    "users, next page": NEXT,
    "users with a live session": "/operator/users?q=status:live",
    "users of an address": "/operator/users?q=ip:9.9.9.9",
    "devices": "/operator/devices",
    "devices, a browser": "/operator/devices?q=browser:Edge",
    "devices, no such browser": "/operator/devices?q=browser:Mosaic",
    "confirm: a user": "/operator/revoke?user=user-0003959",
    "confirm: everyone": "/operator/revoke?before=2999-01-01",
    "actions": "/operator/actions",
}
CALLS = {
    "list": "/v2/sessions",
    "page 10,000": "/v2/sessions?page=10000",
    "by userID": "/v2/sessions?sort=userID:asc",
    "by expires": "/v2/sessions?sort=expires:desc",
    "by lastAction": "/v2/sessions?sort=lastAction:desc",
    "of a user": "/v2/sessions?filter[]=userID:eq:user-0003959",
    "that are active": "/v2/sessions?filter[]=status:eq:active",
    "created this year": "/v2/sessions?filter[]=created:gt:2026-01-01T00:00:00",
}


def main() -> None:
    """Measure on PostgreSQL and SQLite, or on the database of ``--database-url``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="the number of sessions (default: a million)")
    parser.add_argument("--database-url", help="an empty database (default: a temporary PostgreSQL, and SQLite)")
    parser.add_argument("--filled", action="store_true", help="the database of --database-url holds the rows already")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for url in [options.database_url] if options.database_url else _databases(stack, folder):
            _measure(url, options.rows, options.filled)


def _databases(stack: ExitStack, folder: Path) -> list[str]:
    urls = [f"sqlite:///{folder / 'operator.sqlite'}"]
    try:
        from tests.support.databases import start_private_postgres

        urls.insert(0, stack.enter_context(start_private_postgres(folder)).url)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL: {error}")
    return urls


def _measure(url: str, rows: int, filled: bool) -> None:
    app, db = make_app(url)
    state: AppState = app.extensions["corbado_session"]
    started = perf_counter()
    with app.app_context():
        db.create_all()
        if not filled:  # by the app's own engine, which has no statement timeout
            fill(db.engine, tables_in(db.metadata), rows, to_ms(state.clock.now()))
            db.engine.dispose()
    print(f"\n{url.partition(':')[0]}, {rows:,} sessions (inserted in {perf_counter() - started:.0f} s)")
    statements = Statements(app)
    operator = signed_in(app, "operator")
    print(f"{'page':<28}{'first':>8}{'best':>8}{'statements':>12}{'slowest':>9}")
    following = ""
    for name, path in PAGES.items():
        path = following if path == NEXT else path.replace("{day}", f"{state.clock.now() - timedelta(45):%Y-%m-%d}")
        following = _figures(name, operator, path, statements)
    for name, path in CALLS.items():
        _figures(f"API: {name}", app.test_client(), path, statements, auth=(PROJECT, SECRET))
    _revoke_all(operator, statements)


def make_app(url: str) -> tuple[Flask, SQLAlchemy]:
    app, db = Flask("benchmarks.operator"), SQLAlchemy()
    app.config.update(SECRET_KEY="benchmarks only: 0f6d1c9e5a", SQLALCHEMY_DATABASE_URI=url, TESTING=True)
    app.config.update(CORBADO_SESSION_API_SECRET=SECRET, CORBADO_SESSION_PROJECT_ID=PROJECT)
    db.init_app(app)
    sessions = CorbadoSession(db)
    sessions.init_app(app)
    app.register_blueprint(sessions.operator_blueprint(allow=lambda user: True), url_prefix="/operator")
    return app, db


class Statements:
    """How long each statement of the library took, in milliseconds."""

    def __init__(self, app: Flask) -> None:
        engine = app.extensions["corbado_session"].with_database().database.engine
        self.times: list[float] = []
        self._begun = 0.0
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def _begin(self, *_: Any) -> None:
        self._begun = perf_counter()

    def _end(self, *_: Any) -> None:
        self.times.append((perf_counter() - self._begun) * 1000)


def _figures(name: str, client: FlaskClient, path: str, statements: Statements, **how: Any) -> str:
    """Print the figures of a page; the URL of the page after it."""
    times, most, slowest, text = [], 0, 0.0, ""
    for _ in range(5):
        statements.times.clear()
        started = perf_counter()
        answer = client.get(path, headers={"Accept": "text/html"}, **how)
        times.append((perf_counter() - started) * 1000)
        most, slowest = max(most, len(statements.times)), max(slowest, *statements.times)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} returned {answer.status}: {answer.text[:300]}")
        text = answer.text
    print(f"{name:<28}{times[0]:8.1f}{min(times):8.1f}{most:12}{slowest:9.1f}", flush=True)
    before, _, _ = text.partition('" rel="next"')
    return before.rpartition('href="')[2].replace("&amp;", "&") if '" rel="next"' in text else ""


def _revoke_all(operator: FlaskClient, statements: Statements) -> None:
    """One request that revokes all sessions (it stops after some seconds), and the poll of other processes after it."""
    state: AppState = operator.application.extensions["corbado_session"]
    statements.times.clear()
    started = perf_counter()
    operator.post("/operator/revoke", data={"before": "2999-01-01"}, headers={"Accept": "text/html"})
    took, slowest = perf_counter() - started, max(statements.times)
    since = to_ms(state.clock.now()) - 60_000
    store = SessionStore(state.with_database().database)
    started = perf_counter()
    ended = len(store.changes_since(since).ended)
    polled = (perf_counter() - started) * 1000
    print(f"revoking all: {ended:,} in {took:.1f} s, slowest statement {slowest:.0f} ms; the poll: {polled:.0f} ms")


if __name__ == "__main__":
    main()
