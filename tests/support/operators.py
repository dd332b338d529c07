"""An app with the operator pages, and rows for them to show."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Row, Table, insert, select, update

from flask_corbado_session import CorbadoSession
from flask_corbado_session.database.tables import Tables, tables_in
from flask_corbado_session.model.clock import to_ms
from flask_corbado_session.operators.panel import DisplayNames
from flask_corbado_session.testing import signed_in
from flask_corbado_session.tokens.ids import new_id
from tests.support.apps import rows_of, state_of, unprepared_app

PAGE = {"Accept": "text/html"}
SECRET_COLUMNS = {"secret_hash": b"s" * 32, "generation": 1, "token_hash": b"c" * 32, "reopened": 0, "last_step": 0}
DAY = 86_400_000


def operator_app(
    database_url: str, display_names: DisplayNames | None = None, **config: Any
) -> tuple[Flask, SQLAlchemy, CorbadoSession]:
    """The tests' app with the pages at ``/operator``, for the users whose id begins with "operator"."""
    config = {"CORBADO_SESSION_COOKIE_SECURE": False, **config}
    app, db, sessions = unprepared_app(database_url, **config)
    pages = sessions.operator_blueprint(allow=lambda user: user.id.startswith("operator"), display_names=display_names)
    app.register_blueprint(pages, url_prefix="/operator")
    app.add_url_rule("/confirm", "confirm", lambda: "confirm that it is you")
    with app.app_context():
        db.create_all()
    return app, db, sessions


def an_operator(app: Flask, user_id: str = "operator") -> FlaskClient:
    """A browser in which an operator is signed in."""
    return signed_in(app, user_id, amr=["pwd"])


def tables_of(app: Flask) -> Tables:
    """The app's tables."""
    return tables_in(rows_of(app).database.metadata)


def now_of(app: Flask) -> int:
    """The app's time in milliseconds."""
    return to_ms(state_of(app).clock.now())


def add_device(app: Flask, user_id: str = "alice", **columns: Any) -> str:
    """Insert a device; its id."""
    row: dict[str, Any] = {"id": new_id(), "user_id": user_id, "cookie_hash": new_id().encode(), "browser": "Firefox"}
    row |= {"system": "Linux", "device_type": "desktop", "first_seen_at": now_of(app), **columns}
    _insert(app, tables_of(app).device, [row])
    return str(row["id"])


def add_sessions(app: Flask, number: int, device_id: str, user_id: str = "alice", **columns: Any) -> list[str]:
    """Insert sessions, each started a second after the one before; their ids."""
    now = now_of(app)
    rows = []
    for n in range(number):
        created_at = columns.get("created_at", now - number * 1000) + n * 1000
        times = {"rotated_at": created_at, "last_seen_at": created_at, "auth_time": created_at}
        ends = {"idle_expires_at": now + 7 * DAY, "expires_at": now + 30 * DAY}
        what = {"id": new_id(), "user_id": user_id, "device_id": device_id, "persistent": True, "claims": "{}"}
        rows.append({**SECRET_COLUMNS, **times, **ends, **what, "amr": "pwd", "ip": "192.0.2.7", **columns})
        rows[-1]["created_at"] = created_at
    _insert(app, tables_of(app).session, rows)
    return [str(row["id"]) for row in rows]


def live_ids(app: Flask, user_id: str | None = None) -> set[str]:
    """The sessions that have not been ended (of one user)."""
    c = tables_of(app).session.c
    stmt = select(c.id).where(c.ended_at.is_(None))
    stmt = stmt if user_id is None else stmt.where(c.user_id == user_id)
    return set(rows_of(app).database.run(lambda connection: connection.execute(stmt).scalars().all()))


def end_elsewhere(app: Flask, user_id: str) -> None:
    """End the sessions of a user in the table alone, as another process does."""
    table = tables_of(app).session
    stmt = update(table).where(table.c.user_id == user_id).values(ended_at=now_of(app), end_reason="revoked")
    rows_of(app).database.run(lambda connection: connection.execute(stmt))


def recorded(app: Flask) -> list[Row[Any]]:
    """The recorded actions of operators, the first one first."""
    table = tables_of(app).operator_action
    return rows_of(app).database.run(lambda connection: list(connection.execute(select(table).order_by(table.c.at))))


def _insert(app: Flask, table: Table, rows: list[dict[str, Any]]) -> None:
    rows_of(app).database.run(lambda connection: connection.execute(insert(table), rows))
