"""What of Flask-Login can't mean anything here, and how that is said: by a warning where it is used, with the reason.

docs/flask-login.md has the same list, name by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple


class HasNoEffect(UserWarning):
    """Something of Flask-Login was set or called that has no effect here; the text says why, and what to write."""


class Ignored(NamedTuple):
    """A setting that is not read."""

    reason: str
    holds_anyway: tuple[Any, ...] = ()
    """The values that describe what is done here anyway: they need no warning."""


PROTECTION = "a copied session is found out by token rotation, and a browser's address and name may change"
_COOKIE = "there is no remember cookie: see CORBADO_SESSION_"
_LIFETIME = "CORBADO_SESSION_LONG_LIFETIME and CORBADO_SESSION_IDLE_TIMEOUT say how long a session lasts"

CONFIG = {
    "SESSION_PROTECTION": Ignored(PROTECTION, (None, False, "")),
    "REMEMBER_COOKIE_NAME": Ignored(f"{_COOKIE}LONG_COOKIE"),
    "REMEMBER_COOKIE_DURATION": Ignored(_LIFETIME),
    "REMEMBER_COOKIE_DOMAIN": Ignored(f"{_COOKIE}COOKIE_DOMAIN", (None,)),
    "REMEMBER_COOKIE_PATH": Ignored("the cookies of a session have the path /", ("/", None)),
    "REMEMBER_COOKIE_SECURE": Ignored(f"{_COOKIE}COOKIE_SECURE", (True, None)),
    "REMEMBER_COOKIE_HTTPONLY": Ignored("the cookies of a session are always HttpOnly", (True, None)),
    "REMEMBER_COOKIE_SAMESITE": Ignored(f"{_COOKIE}COOKIE_SAMESITE", ("Lax", None)),
    "REMEMBER_COOKIE_REFRESH_EACH_REQUEST": Ignored(f"each refresh extends a session; {_LIFETIME}", (False, None)),
    "AUTH_HEADER_NAME": Ignored("it belongs to header_loader; read the header in a request_loader"),
}
"""Flask-Login's settings that are not read."""


def warn(name: str, reason: str, *, stacklevel: int = 3) -> None:
    """Say that something has no effect, and why."""
    warnings.warn(f"{name} has no effect here: {reason}", HasNoEffect, stacklevel=stacklevel)


def warn_of_config(config: Mapping[str, Any]) -> None:
    """Say it of every setting that asks for what is not done here."""
    for name, ignored in CONFIG.items():
        if name in config and config[name] not in ignored.holds_anyway:
            warn(name, ignored.reason, stacklevel=4)
