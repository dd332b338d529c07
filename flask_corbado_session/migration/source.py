"""Where an old login stands in a request, and how it is taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from flask import request, session
from werkzeug.http import dump_cookie


@dataclass(frozen=True, slots=True)
class OldLogin:
    """An authentic login of another extension."""

    user_id: str
    """The user as that extension knows them."""
    persistent: bool
    issued_at: datetime | None = None
    """None where it carries no date that can be trusted. The date of a Flask session is not one: any page that writes
    to the session renews it."""


class Source(Protocol):
    """One kind of old login."""

    def find(self) -> OldLogin | None:
        """The login of this request, if its signature holds."""

    def take_away(self) -> list[str]:
        """Take it out of Flask's session; the Set-Cookie headers that take its cookies from the browser."""


class SessionKeys:
    """A user id in Flask's session, whatever keeps that: a signed cookie, or Flask-Session's server side."""

    def __init__(self, user_id_key: str, others: Iterable[str] = ()) -> None:
        self._user_id_key = user_id_key
        self._keys = (user_id_key, *others)

    def find(self) -> OldLogin | None:
        """The login, if the session holds a user id."""
        user_id = session.get(self._user_id_key)
        return OldLogin(str(user_id), session.permanent) if is_user_id(user_id) else None

    def take_away(self) -> list[str]:
        """Take the keys out of the session."""
        for key in self._keys:
            if key in session:
                del session[key]
        return []


def is_user_id(value: object) -> bool:
    """Whether this can be the id of a user."""
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))


def expired_cookies(paths: Mapping[str, str], **attributes: Any) -> list[str]:
    """Set-Cookie headers that end those of these cookies, by name and path, that came with the request.

    A cookie whose path is not this request's did not come, and is ended all the same.
    """
    return [
        dump_cookie(name, "", max_age=0, expires=0, path=path, sync_expires=False, **attributes)
        for name, path in paths.items()
        if name in request.cookies or path != "/"
    ]
