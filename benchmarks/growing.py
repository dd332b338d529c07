"""The operations that ``benchmarks.growth`` measures, over a database of many sessions."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, create_engine, select, text

from flask_corbado_session.database.cleanup import Cleanup
from flask_corbado_session.database.conditions import is_live
from flask_corbado_session.database.devices import DeviceStore
from flask_corbado_session.database.engine import Database
from flask_corbado_session.database.rotation import Rotation
from flask_corbado_session.database.sessions import SessionStore
from flask_corbado_session.database.tables import tables_in
from flask_corbado_session.database.verdicts import Accepted
from flask_corbado_session.model.clock import to_ms
from flask_corbado_session.model.records import Context
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.testing import signed_in

from .operator import PROJECT, SECRET, Statements, make_app
from .rows import fill

SMALL = 10_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MIN_AGE = timedelta(minutes=2)
"""Old enough for a token to rotate."""
Call = Callable[[], object]


def fill_new(url: str, rows: int, fillfactor: int | None = None) -> None:
    """Make the tables in an empty database and fill them."""
    engine, metadata = create_engine(url), MetaData()
    tables = tables_in(metadata)
    metadata.create_all(engine)
    if fillfactor is not None:
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE corbado_session SET (fillfactor = {fillfactor})"))
    fill(engine, tables, rows, to_ms(datetime.now(UTC)))
    engine.dispose()


@dataclass(frozen=True, slots=True)
class Token:
    """The child of a row's token, as a browser would present it."""

    session_id: str
    user_id: str
    secret_hash: bytes
    generation: int
    hash: bytes
    parent_hash: bytes

    def child(self) -> Token:
        """What the browser got in return."""
        following = hashlib.sha256(self.hash).digest()
        return replace(self, generation=self.generation + 1, parent_hash=self.hash, hash=following)


class Site:
    """One app on a filled database."""

    def __init__(self, app: Flask, db: SQLAlchemy, users: int) -> None:
        self._app, self._users = app, users
        self._state = app.extensions["corbado_session"]
        self._parts = self._state.with_database()
        self.database: Database = self._parts.database
        self._sessions = SessionStore(self.database)
        self._devices = DeviceStore(self.database, self._sessions)
        self._rotation = Rotation(self.database, timedelta(days=7))
        self._latest: dict[str, Token] = {}
        self._random = random.Random(7)
        self.statements = Statements(app)
        self._operations: dict[str, Callable[[Iterator[Token]], Call]] = {
            "refresh": lambda tokens: lambda: self.refresh(next(tokens), datetime.now(UTC) + MIN_AGE),
            "sign-in, new device": lambda tokens: lambda: self._sign_in(self._user(), []),
            "sign-in, known device": lambda tokens: self._known(),
            "a user's devices": lambda tokens: lambda: self._devices.of_user(self._user(), datetime.now(UTC), None),
            "a user's history": lambda tokens: lambda: self._sessions.history(self._user(), 50, 0),
            "recheck": lambda tokens: lambda: self._sessions.is_live(next(tokens).session_id, datetime.now(UTC)),
            "poll": lambda tokens: lambda: self._sessions.changes_since(to_ms(datetime.now(UTC)) - 1000),
            "revoke a session": lambda tokens: lambda: self._end_one(next(tokens).session_id),
            "revoke a user's": lambda tokens: lambda: self._end_all(next(tokens).user_id),
            "cleanup: a batch of sessions": lambda tokens: self._next_of(30, "sessions"),
            "cleanup: a window of devices": lambda tokens: self._next_of(30, "devices"),
            "stats": lambda tokens: self._count,
            "operators: overview": lambda tokens: self._get("/operator/"),
            "operators: API by lastAction": lambda tokens: self._get("/v2/sessions?sort=lastAction:desc", api=True),
        }

    def operation(self, name: str, rounds: int) -> Call:
        """What is to be measured, each time for somebody else."""
        return self._operations[name](iter(self.tokens(rounds + 1)))

    def tokens(self, number: int | None) -> list[Token]:
        """Tokens of so many live sessions, spread over the whole table; of all for None."""
        c = self.database.tables.session.c
        stmt = select(c.id, c.user_id, c.secret_hash, c.generation, c.token_hash).where(
            is_live(c, to_ms(datetime.now(UTC)))
        )
        if number is not None:
            share = self._random.sample(range(self._users), min(12 * number, self._users))
            stmt = stmt.where(c.user_id.in_([f"user-{user:07}" for user in share])).limit(4 * number)
        rows = self.database.run(lambda connection: connection.execute(stmt).all())
        tokens = [Token(row[0], row[1], row[2], row[3] + 1, secrets.token_bytes(32), row[4]) for row in rows]
        return tokens if number is None else [*{token.user_id: token for token in tokens}.values()][:number]

    def refresh(self, token: Token, at: datetime) -> None:
        """Refresh as a browser does that comes with this session's latest token."""
        latest = self._latest.get(token.session_id, token)
        accepted = self._rotation.present(latest, Context("192.0.2.1", AGENT), at)
        if not isinstance(accepted, Accepted) or accepted.kind != "promote":
            raise RuntimeError(f"a measured refresh was {accepted}")
        self._latest[token.session_id] = latest.child()

    def _user(self) -> str:
        return f"user-{self._random.randrange(self._users):07}"

    def _sign_in(self, user_id: str, device: list[str]) -> str:
        presented = PresentedTokens(device=device)
        started = self._parts.sign_in.start(user_id, presented, persistent=True, claims={}, amr=("pwd",))
        return str(started.device_token)

    def _known(self) -> Call:
        devices = {user: self._sign_in(user, []) for user in (self._user() for _ in range(100))}
        return lambda: self._sign_in(user := self._random.choice([*devices]), [devices[user]])

    def _end_one(self, session_id: str) -> None:
        if self._sessions.end_session(session_id, "revoked", datetime.now(UTC)) != [session_id]:
            raise RuntimeError("a measured session had ended already")

    def _end_all(self, user_id: str) -> None:
        self._sessions.end_user(user_id, "revoked", datetime.now(UTC))

    def _next_of(self, days: int, kind: str) -> Call:
        """The next batch of old sessions or window of devices."""
        cleanup, before = Cleanup(self.database), datetime.now(UTC) - timedelta(days=days)
        batches = cleanup.device_batches(before) if kind == "devices" else cleanup.session_batches(before)
        return lambda: next(batches)

    def _count(self) -> None:
        now = datetime.now(UTC)
        Cleanup(self.database).stats(now, now - timedelta(days=1))

    def _get(self, path: str, api: bool = False) -> Call:
        client = self._app.test_client() if api else signed_in(self._app, "operator")
        how: dict[str, Any] = {"auth": (PROJECT, SECRET)} if api else {"headers": {"Accept": "text/html"}}

        def get() -> None:
            self._app.extensions.pop("corbado_operator", None)  # what the charts remember
            status = client.get(path, **how).status_code
            if status != 200:
                print(f"{path} returned {status}")

        return get


def site_on(url: str, rows: int) -> Site:
    """An app on a filled database."""
    app, db = make_app(url)
    return Site(app, db, max(rows // 5, 1))
