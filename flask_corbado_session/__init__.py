"""Two sessions that work together for Flask: a signed short one without a database, a long one that can be revoked.

The names are imported when they are first used. A service that only verifies short sessions imports neither Flask nor
SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .extension import ANY_USER, CorbadoSession
    from .keys.file import KeyFileError
    from .keys.rotation import generate as generate_keys
    from .model.errors import (
        CorbadoSessionError,
        InvalidShortSession,
        SessionNotFound,
        SettingsError,
        StoreUnavailable,
        TablesMissing,
    )
    from .model.records import Context, Device, LongSession, Notice, ShortSession
    from .model.signals import (
        device_added,
        device_binding_failed,
        session_ended,
        session_refreshed,
        session_reuse_detected,
        session_revoked,
        session_started,
    )
    from .model.users import AnonymousUser, SessionUser, UserMixin
    from .verification.verifier import ShortSessionVerifier
    from .web.current import current_session, current_user
    from .web.guards import login_required, login_user, logout_user
    from .web.problems import Problem
    from .web.step_up import confirm_login, fresh_login_required

__version__ = "0.1.0"

__all__ = [
    "ANY_USER",
    "AnonymousUser",
    "Context",
    "CorbadoSession",
    "CorbadoSessionError",
    "Device",
    "InvalidShortSession",
    "KeyFileError",
    "LongSession",
    "Notice",
    "Problem",
    "SessionNotFound",
    "SessionUser",
    "SettingsError",
    "ShortSession",
    "ShortSessionVerifier",
    "StoreUnavailable",
    "TablesMissing",
    "UserMixin",
    "confirm_login",
    "current_session",
    "current_user",
    "device_added",
    "device_binding_failed",
    "fresh_login_required",
    "generate_keys",
    "login_required",
    "login_user",
    "logout_user",
    "session_ended",
    "session_refreshed",
    "session_reuse_detected",
    "session_revoked",
    "session_started",
]

_MODULES = {
    "extension": ("ANY_USER", "CorbadoSession"),
    "keys.file": ("KeyFileError",),
    "keys.rotation": ("generate_keys",),
    "model.errors": (
        "CorbadoSessionError", "InvalidShortSession", "SessionNotFound", "SettingsError", "StoreUnavailable",
        "TablesMissing",
    ),
    "model.records": ("Context", "Device", "LongSession", "Notice", "ShortSession"),
    "model.signals": (
        "device_added", "device_binding_failed", "session_ended", "session_refreshed", "session_reuse_detected",
        "session_revoked", "session_started",
    ),
    "model.users": ("AnonymousUser", "SessionUser", "UserMixin"),
    "verification.verifier": ("ShortSessionVerifier",),
    "web.current": ("current_session", "current_user"),
    "web.guards": ("login_required", "login_user", "logout_user"),
    "web.problems": ("Problem",),
    "web.step_up": ("confirm_login", "fresh_login_required"),
}  # fmt: skip
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_NAME_AT_HOME = {"generate_keys": "generate"}


def __getattr__(name: str) -> Any:
    """A public name, imported at its first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), _NAME_AT_HOME.get(name, name))
    globals()[name] = value  # so that this is asked once
    return value


def __dir__() -> list[str]:
    """The public names, imported yet or not."""
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
