"""A form that was interrupted by re-authentication is not lost: it waits, encrypted, in the browser that sent it.

``fresh_login_required`` puts it into a cookie for ten minutes and asks the person to confirm who they are. ``next``
leads back to ``/session/resume``, a page with one button that sends the form again. Nothing is stored on the server.
Neither the database nor the browser can read what was typed, and only the same user gets it back.

That cookie comes with ``/session/resume`` alone, because it is large. A small one beside it says everywhere else that a
form waits, whose and for which path: once it was sent, or its user signed out, or somebody else signed in, both go.
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import new as hmac
from typing import TYPE_CHECKING, Any

from flask import request, url_for
from werkzeug.http import dump_cookie
from werkzeug.wrappers import Response

from ..model.records import ShortSession
from ..model.settings import Settings
from .challenge import requested_path
from .state import EXTENSION, RequestState, app_state, current_request_state

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

COOKIE = "cbo_resume"
MARK = "cbo_resume_mark"
LIFETIME = 600
"""Seconds a form waits."""
SIZE_LIMIT = 3500
"""Bytes of cookie; a longer form, or an upload, leads back to the page it was on."""


@dataclass(slots=True, eq=False)
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
    mark = json.dumps([short.user_id, _digest(requested_path())]).encode()
    marked = _fernet().encrypt_at_time(mark, _seconds(request_state)).decode()
    for name, content, path in zip((COOKIE, MARK), (value, marked), _paths(settings, request.script_root), strict=True):
        answer.set_cookie(
            name,
            content,
            max_age=LIFETIME,
            path=path,
            secure=settings.cookie_secure,
            httponly=True,
            samesite="Lax",
        )
    return url_for(f"{EXTENSION}.resume")


def recall(short: ShortSession) -> Remembered | None:
    """The form that waits in this browser for this user."""
    try:
        user_id, path, fields = json.loads(zlib.decompress(_opened(COOKIE, current_request_state())))
    except (ValueError, zlib.error):
        return None
    if user_id != short.user_id or _marked(current_request_state()) != (user_id, _digest(path)):
        return None
    return Remembered(user_id, path, [(name, value) for name, value in fields])


def drop(request_state: RequestState) -> None:
    """Have this answer forget the form that waits in this browser, if one does."""
    request_state.drops_form = request_state.drops_form or MARK in request.cookies


def drop_if_sent(request_state: RequestState, short: ShortSession) -> None:
    """Have this answer forget the form if this request is the one that sends it."""
    is_marked = request.method == "POST" and MARK in request.cookies
    if is_marked and _marked(request_state) == (short.user_id, _digest(requested_path())):
        drop(request_state)


def drop_unless_of(request_state: RequestState, user_id: str) -> None:
    """Have this answer forget the form of anybody but this user, who has just signed in."""
    if MARK in request.cookies and _marked(request_state)[0] != user_id:
        drop(request_state)


def forgetting_cookies(settings: Settings, environ: dict[str, Any]) -> list[str]:
    """The Set-Cookie headers that take both cookies away."""
    if settings.url_prefix is None:
        return []
    paths = _paths(settings, environ.get("SCRIPT_NAME", "").rstrip("/"))
    secure = settings.cookie_secure
    return [
        dump_cookie(name, "", max_age=0, expires=0, path=path, secure=secure, httponly=True, samesite="Lax")
        for name, path in zip((COOKIE, MARK), paths, strict=True)
    ]


def _paths(settings: Settings, script_root: str) -> tuple[str, str]:
    return f"{script_root}{settings.url_prefix}/resume", script_root or "/"


def _marked(request_state: RequestState) -> tuple[str | None, str | None]:
    """Whose form waits, and the digest of where it goes; two times None if none does."""
    try:
        user_id, digest = json.loads(_opened(MARK, request_state))
    except ValueError:
        return None, None
    return user_id, digest


def _digest(path: str) -> str:
    return sha256(path.encode()).hexdigest()[:32]


def _seconds(request_state: RequestState) -> int:
    return int(request_state.app_state.clock.now().timestamp())


def _opened(cookie: str, request_state: RequestState) -> bytes:
    """What we encrypted into a cookie of this request; ValueError if it is not ours, or too old."""
    from cryptography.fernet import InvalidToken

    try:
        value = request.cookies.get(cookie, "").encode()
        return _fernet().decrypt_at_time(value, LIFETIME, _seconds(request_state))
    except InvalidToken as error:
        raise ValueError from error


def _fernet() -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet  # which only a form that waits needs

    secrets = [secret.encode() if isinstance(secret, str) else secret for secret in app_state().secret_keys]
    # derived, so that no other use of SECRET_KEY reads what is kept here
    keys = [urlsafe_b64encode(hmac(secret, b"flask-corbado-session.resume", sha256).digest()) for secret in secrets]
    return MultiFernet([Fernet(key) for key in keys])
