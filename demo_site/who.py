"""Who is signed in, for views that ``login_required`` guards."""

from __future__ import annotations

from flask_corbado_session import current_session


def current_user_id() -> str:
    """The id of the signed-in user, known without a database query."""
    user_id = current_session.user_id
    if user_id is None:
        raise RuntimeError("current_user_id() is for views under @login_required")
    return user_id
