"""Challenges: what an authenticator signs, so that its answer is good once, for one purpose and in one browser.

A challenge is a signed token, so that nothing is stored for the many that are never answered: the sign-in page asks for
one whenever it is opened. Only an answered challenge leaves a row, until it would have expired. The row's primary key
lets one answer win, whichever process it reaches.
"""

from __future__ import annotations

import hmac
import secrets
import time
from hashlib import sha256
from typing import Any, Literal

from flask import after_this_request, current_app, request
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import String, delete, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.wrappers import Response

from .extensions import Base, db
from .passkey_refusals import PasskeyRefused

Purpose = Literal["sign-in", "sign-up", "add", "confirm"]

LIFETIME = 600
"""Seconds within which a challenge must be answered. The sign-in page asks for a new one before that."""
_COOKIE = "demo_passkey"
_COOKIE_LENGTH = 100


class SpentChallenge(Base):
    """The digest of a challenge that was answered."""

    __tablename__ = "demo_spent_challenge"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[int] = mapped_column(index=True)
    """Seconds since the epoch."""


def issue(purpose: Purpose, **facts: Any) -> bytes:
    """A new challenge for this browser. ``facts`` come back when it is redeemed; whoever reads it can read them."""
    # the nonce makes it unguessable and different from any other, also within the second that the token records
    token = _serializer().dumps([purpose, _digest(_browser()), secrets.token_urlsafe(16), facts])
    return str(token).encode()


def redeem(challenge: bytes, purpose: Purpose) -> dict[str, Any]:
    """Spend a challenge and return its facts; commits.

    It is spent before the answer is verified, so that nobody gets a second try with the same one.
    """
    try:
        issued_for, browser, _, facts = _serializer().loads(challenge, max_age=LIFETIME)
    except SignatureExpired:
        raise PasskeyRefused("challenge_expired") from None
    except BadData:
        raise PasskeyRefused("challenge_unknown") from None
    if issued_for != purpose or not hmac.compare_digest(browser, _digest(request.cookies.get(_cookie_name(), ""))):
        raise PasskeyRefused("challenge_unknown")
    _spend(sha256(challenge).hexdigest())
    redeemed: dict[str, Any] = facts
    return redeemed


def _spend(digest: str) -> None:
    now = int(time.time())
    try:
        db.session.execute(delete(SpentChallenge).where(SpentChallenge.expires_at < now))
        db.session.execute(insert(SpentChallenge).values(digest=digest, expires_at=now + LIFETIME + 1))
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise PasskeyRefused("challenge_spent") from None


def _browser() -> str:
    """What this browser is known by while it answers: a cookie of ten minutes, shared by its tabs."""
    name = _cookie_name()
    browser = request.cookies.get(name, "")
    if not 0 < len(browser) <= _COOKIE_LENGTH:
        browser = secrets.token_urlsafe(16)

    @after_this_request
    def keep(response: Response) -> Response:
        secure = name != _COOKIE
        response.set_cookie(name, browser, max_age=LIFETIME, secure=secure, httponly=True, samesite="Strict")
        return response

    return browser


def _cookie_name() -> str:
    return f"__Host-{_COOKIE}" if current_app.config["CORBADO_SESSION_COOKIE_SECURE"] else _COOKIE


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:32]


def _serializer() -> URLSafeTimedSerializer:
    # the newest key signs and stands last
    keys = [*(current_app.config.get("SECRET_KEY_FALLBACKS") or ()), current_app.config["SECRET_KEY"]]
    signer = {"key_derivation": "hmac", "digest_method": sha256}
    return URLSafeTimedSerializer(keys, salt="demo_site.passkeys", signer_kwargs=signer)
