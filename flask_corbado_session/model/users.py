"""Users: those the library makes itself, and the id of the app's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

UserId = str | int | UUID
"""What may stand for a user; a session always holds ``str()`` of it."""

USER_ID_LENGTH = 255
"""Characters of a user id at most."""


@dataclass(frozen=True, slots=True)
class SessionUser:
    """The signed-in user of an app that has set no ``user_loader``: made from the claims, without a query.

    :param id: the user id, as it was given to ``login_user``.
    :param claims: the claims of the short session; a copy.
    """

    id: str
    claims: Mapping[str, Any] = field(default_factory=dict)

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """The user id, as Flask-Login's users give it.

        :returns: the id.
        """
        return self.id


class UserMixin:
    """What Flask-Login's mixin of that name gives a user class that has an ``id``."""

    __slots__ = ()
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """The id as text.

        :returns: ``str(self.id)``.
        """
        return str(self.id)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class AnonymousUser:
    """Nobody; what ``current_user`` is when no session came with the request, and outside a request.

    :param id: None, always.
    """

    id: None = None

    is_authenticated = False
    is_active = False
    is_anonymous = True

    def get_id(self) -> None:
        """None, as Flask-Login's anonymous user gives it."""
        return None


def is_active(user: Any) -> bool:
    """Whether this user may be signed in: False for None, and for a user whose ``is_active`` is false."""
    if user is None:
        return False
    value = getattr(user, "is_active", True)
    return bool(value() if callable(value) else value)


def user_id_of(user: Any) -> str:
    """The id of a user as a string: that of ``get_id()``, else of ``id``, else of the value itself.

    :raises TypeError: for what has no user id: bytes, a list, an arbitrary object, a row that was not flushed yet.
    :raises ValueError: for an id that no database column can hold.
    """
    value = user
    if not isinstance(user, (str, int, UUID)):
        value = user.get_id() if callable(getattr(user, "get_id", None)) else getattr(user, "id", None)
    # "None" is what a `get_id()` makes of a row that has no id yet
    if not isinstance(value, (str, int, UUID)) or isinstance(value, bool) or value == "None":
        raise TypeError(
            f"a {type(user).__name__} has no user id: give it an `id` or a `get_id()` that is a string, an integer or "
            "a UUID, or pass the id itself; a new row has its id after db.session.flush()"
        )
    text = str(value)
    if not 0 < len(text) <= USER_ID_LENGTH or "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"a user id must be 1 to {USER_ID_LENGTH} characters long, without NUL or lone surrogates")
    return text
