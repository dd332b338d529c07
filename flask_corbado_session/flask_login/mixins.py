"""Base classes for the app's users, and for who ``current_user`` is when nobody is signed in."""

from __future__ import annotations

from typing import Any


class UserMixin:
    """What a user class that has an ``id`` needs. A model may override any of it, ``is_active`` with a column too."""

    # no __slots__: a subclass with slots of its own may still keep attributes beside them, as in Flask-Login

    __hash__ = object.__hash__  # which defining __eq__ would take away

    @property
    def is_active(self) -> bool:
        """Whether the user may sign in."""
        return True

    @property
    def is_authenticated(self) -> bool:
        """True for a user who is active."""
        return self.is_active

    @property
    def is_anonymous(self) -> bool:
        """False, always."""
        return False

    def get_id(self) -> str:
        """The id as a string.

        :returns: ``str(self.id)``.
        :raises NotImplementedError: for a class without an ``id``.
        """
        try:
            return str(self.id)  # type: ignore[attr-defined]
        except AttributeError:
            raise NotImplementedError("No `id` attribute - override `get_id`") from None

    def __eq__(self, other: object) -> Any:
        """Whether both are the same user, by ``get_id``."""
        return self.get_id() == other.get_id() if isinstance(other, UserMixin) else NotImplemented


class AnonymousUserMixin:
    """Nobody: what ``current_user`` is when nobody is signed in."""

    @property
    def is_authenticated(self) -> bool:
        """False, always."""
        return False

    @property
    def is_active(self) -> bool:
        """False, always."""
        return False

    @property
    def is_anonymous(self) -> bool:
        """True, always."""
        return True

    def get_id(self) -> None:
        """None."""
        return None
