"""The user object of this request context, kept with the id it was loaded for.

Not in ``g``, which can outlive a request, and not in the environ, which can outlive it too: the events of a socket and
a copied context share the environ of one request, and a user from there would be a detached row.
"""

from __future__ import annotations

from typing import Any

from flask import globals as flask_globals

_ATTRIBUTE = "_corbado_session_user"
NOT_LOADED = object()


def kept_user(user_id: str | None) -> Any:
    """The user kept for this id, else :data:`NOT_LOADED`; None is the id of nobody."""
    kept = getattr(_context(), _ATTRIBUTE, None)
    return kept[1] if kept is not None and kept[0] == user_id else NOT_LOADED


def keep_user(user_id: str | None, user: Any) -> None:
    """Keep a user with their id for the rest of this request context."""
    setattr(_context(), _ATTRIBUTE, (user_id, user))


def forget_user() -> None:
    """Keep nobody: the next touch loads anew."""
    setattr(_context(), _ATTRIBUTE, None)


def _context() -> Any:
    # from Flask 3.2 on the two contexts are one
    proxy: Any = vars(flask_globals).get("request_ctx") or flask_globals.app_ctx
    return proxy._get_current_object()
