"""A form that was interrupted by re-authentication is not lost: it waits, encrypted, in the browser that sent it.

``fresh_login_required`` puts it into a cookie for ten minutes and asks the person to confirm who they are. ``next``
leads back to ``/session/resume``, a page with one button that sends the form again. Nothing is stored on the server.
Neither the database nor the browser can read what was typed, and only the same user gets it back.
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import new as hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import request, url_for
from werkzeug.wrappers import Response

from ..model.records import ShortSession
from .challenge import requested_path
from .state import EXTENSION, RequestState, app_state, current_request_state

COOKIE = "cbo_resume"
LIFETIME = 600
"""Seconds a form waits."""
SIZE_LIMIT = 3500
"""Bytes of cookie; a longer form, or an upload, leads back to the page it was on."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A form as it was sent, to be sent once more to ``path``."""

    user_id: str
    path: str
    fields: list[tuple[str, str]] = field(repr=False)


def remember(request_state: RequestState, short: ShortSession | None, answer: Response) -> str | None:
    """Put the form of this request into ``answer``'s cookie; the URL that sends it again, or None if it can't wait."""
    settings = request_state.app_state.settings
    is_form = request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded"
    if short is None or settings.url_prefix is None or not is_form:
        return None
    body = json.dumps([short.user_id, requested_path(), list(request.form.items(multi=True))]).encode()
    value = _fernet().encrypt_at_time(zlib.compress(body), _seconds(request_state)).decode()
    if len(value) > SIZE_LIMIT:
        return None
    answer.set_cookie(
        COOKIE,
        value,
        max_age=LIFETIME,
        path=request.script_root + settings.url_prefix + "/resume",
        secure=settings.cookie_secure,
        httponly=True,
        samesite="Lax",
    )
    return url_for(f"{EXTENSION}.resume")


def recall(short: ShortSession) -> Remembered | None:
    """The form that waits in this browser for this user."""
    try:
        value = request.cookies.get(COOKIE, "").encode()
        opened = _fernet().decrypt_at_time(value, LIFETIME, _seconds(current_request_state()))
        user_id, path, fields = json.loads(zlib.decompress(opened))
    except (InvalidToken, ValueError, zlib.error):
        return None
    return Remembered(user_id, path, [(name, value) for name, value in fields]) if user_id == short.user_id else None


def _seconds(request_state: RequestState) -> int:
    return int(request_state.app_state.clock.now().timestamp())


def _fernet() -> MultiFernet:
    secrets = [secret.encode() if isinstance(secret, str) else secret for secret in app_state().secret_keys]
    # derived, so that no other use of SECRET_KEY reads what is kept here
    keys = [urlsafe_b64encode(hmac(secret, b"flask-corbado-session.resume", sha256).digest()) for secret in secrets]
    return MultiFernet([Fernet(key) for key in keys])
