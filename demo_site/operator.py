"""The extension's operator pages, for users with the operator role."""

from __future__ import annotations

from collections.abc import Collection

from flask import Blueprint
from sqlalchemy import select

from .extensions import db, sessions
from .models import User


def make_blueprint() -> Blueprint:
    """The blueprint of one app."""
    return sessions.operator_blueprint(allow=is_operator, display_names=emails_of)


def is_operator(user: User) -> bool:
    """Checked at each request, and read from the row rather than the claims, so that a removed role stops at once."""
    return user.role == "operator"


def emails_of(user_ids: Collection[str]) -> dict[str, str]:
    """The email addresses of these users, which the pages show as their names."""
    ids = [int(user_id) for user_id in user_ids if user_id.isdecimal() and len(user_id) < 19]
    rows = db.session.execute(select(User.id, User.email).where(User.id.in_(ids))).all()
    return {str(row.id): row.email for row in rows}
