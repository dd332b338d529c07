"""Two sessions that work together for Flask: a signed short one without a database, a long one that can be revoked."""

from __future__ import annotations

from .extension import ANY_USER, CorbadoSession
from .keys.rotation import generate as generate_keys
from .model.errors import InvalidShortSession, SettingsError
from .model.records import Context, Device, LongSession, Notice, ShortSession
from .model.signals import (
    device_added,
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
from .web.problems import SessionNotFoundProblem as SessionNotFound
from .web.step_up import confirm_login, fresh_login_required

__version__ = "0.1.0"

__all__ = [
    "ANY_USER",
    "AnonymousUser",
    "Context",
    "CorbadoSession",
    "Device",
    "InvalidShortSession",
    "LongSession",
    "Notice",
    "Problem",
    "SessionNotFound",
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
