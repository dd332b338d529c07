"""A form that was interrupted by re-authentication is not lost: it waits, encrypted, in the browser that sent it.

``fresh_login_required`` puts it into a cookie for ten minutes and sends the person to prove who he is; ``next`` leads
back to ``/session/resume``, a page that shows one button which sends it again. Nothing is stored on the server; what
was typed is readable to neither the database nor the browser, and counts for the same user alone.
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import new as hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app, request, url_for
from werkzeug.wrappers import Response

from ..model.records import ShortSession
from .challenge import asked_path
from .state import EXTENSION, RequestState, current_request_state

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
    settings = request_state.state.settings
    is_form = request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded"
    if short is None or settings.url_prefix is None or not is_form:
        return None
    body = json.dumps([short.user_id, asked_path(), list(request.form.items(multi=True))]).encode()
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
    return int(request_state.state.clock.now().timestamp())


def _fernet() -> MultiFernet:
    config = current_app.config
    secrets = [config["SECRET_KEY"], *(config.get("SECRET_KEY_FALLBACKS") or [])]
    raw = [secret.encode() if isinstance(secret, str) else secret for secret in secrets]
    keys = [urlsafe_b64encode(hmac(each, b"flask-corbado-session.resume", sha256).digest()) for each in raw]
    return MultiFernet([Fernet(key) for key in keys])
