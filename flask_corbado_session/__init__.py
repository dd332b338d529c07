"""Two sessions that work together for Flask: a signed short one without a database, a long one that can be revoked."""

from __future__ import annotations

from .current import current_session, current_user
from .errors import InvalidShortSession, SettingsError
from .extension import ANY_USER, CorbadoSession
from .freshness import confirm_login, fresh_login_required
from .guards import login_required, login_user, logout_user
from .key_rotation import generate as generate_keys
from .notices import Notice
from .problems import Problem
from .problems import SessionNotFound as NotFound
from .records import AnonymousUser, Context, Device, LongSession, SessionUser, ShortSession, UserMixin
from .signals import (
    device_added,
    session_ended,
    session_refreshed,
    session_reuse_detected,
    session_revoked,
    session_started,
)
from .verifier import ShortSessionVerifier

__version__ = "0.1.0"

__all__ = [
    "ANY_USER",
    "AnonymousUser",
    "Context",
    "CorbadoSession",
    "Device",
    "InvalidShortSession",
    "LongSession",
    "NotFound",
    "Notice",
    "Problem",
    "SessionUser",
    "SettingsError",
    "ShortSession",
    "ShortSessionVerifier",
    "UserMixin",
    "confirm_login",
    "current_session",
    "current_user",
    "device_added",
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
