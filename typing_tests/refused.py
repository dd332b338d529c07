"""Lines that mypy must refuse. Each carries the code of its error: an ignore that is not needed fails the check."""

from __future__ import annotations

from flask_corbado_session import CorbadoSession, current_session, fresh_login_required, login_required, login_user

sessions = CorbadoSession()


@sessions.user_loader  # type: ignore[type-var]
def load_without_an_id() -> None: ...


@sessions.user_loader  # type: ignore[type-var]
def load_by_number(user_id: int) -> None: ...


@sessions.claims_loader  # type: ignore[type-var]
def claims_as_a_list(user_id: str) -> list[str]:
    return [user_id]


@sessions.notifier  # type: ignore[type-var]
def notify_of_two(one: str, other: str) -> None: ...


@sessions.anonymous_user  # type: ignore[type-var]
def guest_of_an_id(user_id: str) -> str:
    return user_id


@sessions.unauthorized_handler  # type: ignore[type-var]
def handle_an_error(error: Exception) -> str:
    return str(error)


@login_required
def view(number: int) -> str:
    return str(number)


view("one")  # type: ignore[arg-type]
user_id: str = current_session.user_id  # type: ignore[assignment]
sessions.revoke(7)  # type: ignore[arg-type]
sessions.revoke_user(7, except_session_id=7)  # type: ignore[arg-type]
login_required(recheck="yes")  # type: ignore[call-overload]
fresh_login_required(max_age="five minutes")  # type: ignore[call-overload]
login_user("alice", amr=7)  # type: ignore[arg-type]
login_user("alice", force="yes")  # type: ignore[arg-type]
sessions.devices(b"alice")  # type: ignore[arg-type]
sessions.revoke_user(object())  # type: ignore[arg-type]
