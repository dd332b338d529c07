"""What can go wrong below the floor of HTTP. Each error says what to do, none holds a token, cookie or key."""

from __future__ import annotations

from typing import Literal

InvalidCode = Literal[
    "empty",
    "malformed",
    "algorithm",
    "unknown_key",
    "signature",
    "expired",
    "not_yet_valid",
    "issuer",
    "audience",
    "claims",
    "revoked",
]


class SettingsError(ValueError):
    """A ``CORBADO_SESSION_*`` setting is unknown or wrong; the text names the key and what it may be."""


class InvalidShortSession(Exception):
    """A short session's token was refused. ``code`` is for machines; the text never holds the token."""

    def __init__(self, code: InvalidCode, text: str) -> None:
        super().__init__(text)
        self.code: InvalidCode = code


class StoreUnavailable(Exception):
    """The database did not answer in time; nothing was changed."""


class ConstraintViolated(Exception):
    """A row of this key exists already, or one it refers to is gone."""


class TablesMissing(RuntimeError):
    """The tables of the long session do not exist yet."""

    def __init__(self) -> None:
        super().__init__(
            "the corbado_* tables are missing, or are not as this version needs them: "
            "run `flask corbado-session init-db`, db.create_all() or your migrations"
        )


class NotOnThisApp(RuntimeError):
    """The extension was used on an app it was not set up for."""

    def __init__(self) -> None:
        super().__init__("no CorbadoSession on this app: call sessions.init_app(app)")


class SessionNotFound(LookupError):
    """No session or device of that id belongs to that user; the HTTP floor answers 404."""
