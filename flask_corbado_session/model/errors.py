"""The errors of this package. Each says what to do, and none holds a token, a cookie or a key."""

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


class CorbadoSessionError(Exception):
    """The base of every error of this package that an app may catch."""


class SettingsError(CorbadoSessionError, ValueError):
    """A ``CORBADO_SESSION_*`` setting is unknown or wrong; the text names the setting and its allowed values."""


class InvalidShortSession(CorbadoSessionError):
    """The token of a short session was refused.

    :param code: why, for machines: ``empty``, ``malformed``, ``algorithm``, ``unknown_key``, ``signature``,
        ``expired``, ``not_yet_valid``, ``issuer``, ``audience``, ``claims`` or ``revoked``. Kept as ``code``.
    :param text: why, for a log. It never holds the token.
    """

    def __init__(self, code: InvalidCode, text: str) -> None:
        super().__init__(text)
        self.code: InvalidCode = code


class StoreUnavailable(CorbadoSessionError):
    """The database, or the issuer that is asked over HTTP, did not answer in time; nothing was changed."""


class BadData(CorbadoSessionError, ValueError):
    """The database can't hold a value it was given: a character its column's charset lacks, say. Over HTTP it is a 400.

    The text never holds the value.
    """


class ConstraintViolated(Exception):
    """A row with this key exists already, or a row it refers to is gone. Caught inside the package."""


class TablesMissing(CorbadoSessionError, RuntimeError):
    """The tables of the long session are missing, or are not those of this version."""

    def __init__(self) -> None:
        super().__init__(
            "the corbado_* tables are missing, or are not as this version needs them: "
            "run `flask corbado-session init-db`, db.create_all() or your migrations"
        )


class NotOnThisApp(CorbadoSessionError, RuntimeError):
    """The extension was used with an app that ``init_app`` was not called for."""

    def __init__(self) -> None:
        super().__init__("no CorbadoSession on this app: call sessions.init_app(app)")


class SessionNotFound(CorbadoSessionError, LookupError):
    """This user has no session or device with that id. Over HTTP it is a 404."""
