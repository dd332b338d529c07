"""The extension's operator pages, for users with the operator role."""

from __future__ import annotations

from collections.abc import Collection

from flask import Blueprint
from sqlalchemy import select

from .extensions import db, sessions
from .models import User


def pages() -> Blueprint:
    """A blueprint of one app's own; it is registered at ``/operator``."""
    return sessions.operator_blueprint(allow=is_operator, display_names=emails)


def is_operator(user: User) -> bool:
    """Asked at each request, of the row and not of the claims: a role taken away is gone at once."""
    return user.role == "operator"


def emails(user_ids: Collection[str]) -> dict[str, str]:
    """What the pages call people."""
    ids = [int(user_id) for user_id in user_ids if user_id.isdecimal() and len(user_id) < 19]
    found = db.session.execute(select(User.id, User.email).where(User.id.in_(ids))).all()
    return {str(row.id): row.email for row in found}
