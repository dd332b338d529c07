"""The user object of this request context, kept with the id it was loaded for.

It is kept with the state of the context, and so for no longer: the events of a socket and a copied context share the
environ of one request, and a user from there would be a detached row.
"""

from __future__ import annotations

from typing import Any

from .state import current_request_state

NOT_LOADED = object()


def kept_user(user_id: str | None) -> Any:
    """The user kept for this id, else :data:`NOT_LOADED`; None is the id of nobody."""
    kept = current_request_state().user
    return kept[1] if kept is not None and kept[0] == user_id else NOT_LOADED


def keep_user(user_id: str | None, user: Any) -> None:
    """Keep a user with their id for the rest of this request context."""
    current_request_state().user = user_id, user


def forget_user() -> None:
    """Keep nobody: the next touch loads anew."""
    current_request_state().user = None
