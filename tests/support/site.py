"""The tests' app on a database of its own, with a clock to move and browsers to sign in with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_corbado_session import Device
from flask_corbado_session.testing import MovingClock, move_clock, signed_in
from tests.support.apps import Statements, make_app, rows_of, state_of, statements, unprepared_app
from tests.support.jars import SHORT
from tests.support.rules import heard


def cookie_of(client: FlaskClient, name: str = SHORT) -> str:
    """The value of a cookie this browser has; of the short session's unless told."""
    cookie = client.get_cookie(name)
    assert cookie is not None, f"this browser has no {name}"
    return cookie.value


def look_up_ended(app: Flask) -> None:
    """Bring the set of ended sessions up to date, so that nobody needs to for another second."""
    ended = state_of(app).short_sessions.ended
    assert ended is not None
    ended.bring_up_to_date()


class Response:
    """A response, the statements it cost, and the signals that were sent meanwhile."""

    def __init__(self, response: TestResponse, seen: Statements, signals: list[str]) -> None:
        self.response, self.statements, self.signals = response, seen.verbs, signals

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = self.response.get_json()
        return document

    @property
    def cookies(self) -> dict[str, str]:
        """Each cookie's name and its whole Set-Cookie header."""
        return {header.partition("=")[0]: header for header in self.response.headers.getlist("Set-Cookie")}

    @property
    def facts(self) -> tuple[int, list[str], list[str]]:
        """Status, statements, and the names of the cookies that were set."""
        return self.status, self.statements, list(self.cookies)

    @property
    def is_private(self) -> bool:
        """Whether no cache may keep it or give it to somebody else."""
        headers = self.response.headers
        return headers.get("Cache-Control") == "no-store" and "Cookie" in headers.get("Vary", "")


class Site:
    """One app, its database and its clock, which stands still until it is moved."""

    def __init__(self, database_url: str, **config: Any) -> None:
        self.url, self.config = database_url, config
        self.app, self.db, self.sessions = make_app(database_url, **config)
        self.clock: MovingClock = move_clock(self.app)

    def signed_in(self, user: Any = "alice", **how: Any) -> FlaskClient:
        """A browser this user signed in with just now; :func:`~flask_corbado_session.testing.signed_in` says how."""
        return signed_in(self.app, user, **how)

    def nobody(self) -> FlaskClient:
        """A browser without a cookie."""
        return self.app.test_client()

    def second_server(self) -> Flask:
        """Another server of the same site: its database, its settings and its clock."""
        app, _, _ = unprepared_app(self.url, **self.config)
        state_of(app).clock.read = self.clock
        return app

    def ask(self, client: FlaskClient, path: str = "/protected", method: str = "GET", **how: Any) -> Response:
        """Send a request, and count what it costs beside looking up which sessions have ended."""
        look_up_ended(self.app)
        with self.statements() as seen, heard(self.app) as signals:
            response = client.open(path, method=method, **how)
        return Response(response, seen, [name for name, _ in signals])

    def statements(self) -> AbstractContextManager[Statements]:
        """Every statement the library runs meanwhile."""
        return statements(self.app)

    # ---- rows

    def devices(self, user_id: str = "alice") -> list[Device]:
        """The user's devices, those seen last first."""
        return list(rows_of(self.app).revocation.devices(user_id, None))

    def ids(self, user_id: str = "alice") -> tuple[str, str]:
        """The ids of the latest session of a user, and of its device."""
        device = self.devices(user_id)[0]
        return device.sessions[0].session_id, device.id

    def end_reasons(self, user_id: str = "alice") -> list[str | None]:
        """Why each of the user's ended sessions has ended, the latest first."""
        return [session.end_reason for session in rows_of(self.app).revocation.history(user_id)]
