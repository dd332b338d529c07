"""Flask-Login's remember cookie: ``user_id|HMAC-SHA512(SECRET_KEY, user_id)``, undated, alike in all browsers."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha512

from flask import current_app, request, session

from .source import OldLogin, expired_cookies

_IGNORED = "clear"
"""What Flask-Login leaves in the session when it wants the cookie gone and could not say so yet."""


class RememberCookie:
    """The cookie as the app's ``REMEMBER_COOKIE_*`` settings describe it, by Flask-Login's defaults."""

    def __init__(self, secret_keys: Sequence[str | bytes]) -> None:
        self._keys = [key.encode("latin-1", "replace") if isinstance(key, str) else key for key in secret_keys]

    def find(self) -> OldLogin | None:
        """The login, if the cookie's signature holds under ``SECRET_KEY`` or one of its fallbacks."""
        if session.get("_remember") == _IGNORED:
            return None
        users = (self._user_id(value) for value in request.cookies.getlist(_name()))  # of two paths there are two
        user_id = next(filter(None, users), None)
        return None if user_id is None else OldLogin(user_id, persistent=True)

    def take_away(self) -> list[str]:
        """The header that deletes it."""
        config = current_app.config
        return expired_cookies(
            {_name(): config.get("REMEMBER_COOKIE_PATH", "/")},
            domain=config.get("REMEMBER_COOKIE_DOMAIN"),
            secure=config.get("REMEMBER_COOKIE_SECURE", False),
            httponly=config.get("REMEMBER_COOKIE_HTTPONLY", True),
            samesite=config.get("REMEMBER_COOKIE_SAMESITE"),
        )

    def _user_id(self, value: str) -> str | None:
        user_id, _, digest = value.rpartition("|")
        return user_id if any(self._signs(key, user_id, digest) for key in self._keys) else None

    @staticmethod
    def _signs(key: bytes, user_id: str, digest: str) -> bool:
        expected = hmac.new(key, user_id.encode(), sha512).hexdigest()
        return hmac.compare_digest(expected.encode(), digest.encode())


def _name() -> str:
    name: str = current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token")
    return name
