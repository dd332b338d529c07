"""Flask-Login's constants. Those of its remember cookie and of session protection are here to be imported only."""

from __future__ import annotations

from datetime import timedelta

COOKIE_NAME = "remember_token"
COOKIE_DURATION = timedelta(days=365)
COOKIE_SECURE = False
COOKIE_HTTPONLY = True
COOKIE_SAMESITE = None

LOGIN_MESSAGE = "Please log in to access this page."
LOGIN_MESSAGE_CATEGORY = "message"
REFRESH_MESSAGE = "Please reauthenticate to access this page."
REFRESH_MESSAGE_CATEGORY = "message"

ID_ATTRIBUTE = "get_id"
"""The method of a user object that returns its id."""
AUTH_HEADER_NAME = "Authorization"

SESSION_KEYS = {"_user_id", "_remember", "_remember_seconds", "_id", "_fresh", "next"}
"""The keys of Flask's session that Flask-Login used; here only ``next`` is written."""
EXEMPT_METHODS = {"OPTIONS"}
"""Methods that pass ``login_required`` and ``fresh_login_required`` unasked. The set may be changed in place."""
USE_SESSION_FOR_NEXT = False
"""Whether the page asked for goes into Flask's session, and not into the URL of the login view."""
