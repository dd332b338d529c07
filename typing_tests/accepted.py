"""A small app that mypy accepts in strict mode: what the public face promises to type checkers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import (
    ANY_USER,
    CorbadoSession,
    CorbadoSessionError,
    Device,
    InvalidShortSession,
    Notice,
    SessionNotFound,
    ShortSession,
    ShortSessionVerifier,
    current_session,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
)
from flask_corbado_session.migration import (
    move_flask_login,
    move_flask_security_login,
    move_jwt_extended_login,
    move_session_login,
)

db = SQLAlchemy()
sessions = CorbadoSession(db)
app = Flask(__name__)
sessions.init_app(app)
move_flask_login(app, until=date(2027, 2, 1))
move_session_login(app, until=datetime(2027, 2, 1).astimezone(), key="uid", find_user=lambda user_id: int(user_id))
move_flask_security_login(app, until=date(2027, 2, 1), find_user={"an fs_uniquifier": 7}.get)
move_jwt_extended_login(app, until=date(2027, 2, 1), is_blocked=lambda claims: claims["jti"] in {"a jti"})


class User:
    """Somebody."""

    id: int


@sessions.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


@sessions.anonymous_user
class Guest:
    """Nobody, with a name."""

    name = "a guest"


@sessions.claims_loader
async def load_claims(user_id: str) -> Mapping[str, Any]:
    return {"role": "reader"}


@sessions.notifier
def notify(notice: Notice) -> None:
    print(notice.user_id, notice.device_label)


@sessions.ip_locator
def locate(ip: str) -> str | None:
    return None


@app.post("/sign-in")
def sign_in() -> str:
    login_user(User(), remember=False, claims={"plan": "pro"}, amr=["pwd"])
    login_user(UUID(int=1))
    login_user(7)
    return sessions.next_url("/")


@app.get("/dashboard")
@login_required
def dashboard() -> str:
    user_id: str | None = current_session.user_id
    expires_at: datetime | None = current_session.expires_at
    claims: dict[str, Any] = current_session.claims
    device: Device | None = current_session.device
    return f"{user_id} {expires_at} {claims} {device} {current_user.id}"


@login_required(recheck=True)
@fresh_login_required(max_age=timedelta(minutes=5), amr=["pwd"])
def guarded(number: int) -> str:
    return str(number)


kept: str = guarded(1)


def revoke(session_id: str) -> None:
    try:
        sessions.revoke(session_id, user_id=ANY_USER)
        sessions.revoke_user(UUID(int=1), except_session_id=session_id)
    except SessionNotFound as error:
        caught: CorbadoSessionError = error
        print(caught)


def verify(token: str) -> ShortSession | str:
    verifier = ShortSessionVerifier(issuer="https://auth.example.com", jwks_url="https://auth.example.com/jwks")
    try:
        return verifier.verify(token)
    except InvalidShortSession as error:
        return error.code
