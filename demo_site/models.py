"""The users of the site."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import String, select
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Mapped, column_property, joinedload, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

from .extensions import Base, db, sessions
from .notices import StoredNotice, claim_of
from .passkey_refusals import PasskeyRefused
from .passkey_store import NewPasskey, Passkey, UserHandle, add_passkey

EMAIL_LENGTH = 254
PASSWORD_LENGTH = range(8, 257)
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class DemoAccount(NamedTuple):
    """An account that the first run creates. The sign-in page lists it."""

    email: str = "demo@example.com"
    password: str = "correct horse battery"
    role: str = "user"


DEMO_ACCOUNTS = (DemoAccount(), DemoAccount("operator@example.com", "battery staple operator", "operator"))


def _now() -> datetime:
    return datetime.now(UTC)


class User(Base):
    """A user of the site."""

    __tablename__ = "demo_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    """Empty if the user has no password and signs in with a passkey."""
    role: Mapped[str] = mapped_column(String(16), default="user")
    created_at: Mapped[datetime] = mapped_column(default=_now)
    notices: Mapped[list[StoredNotice]] = relationship(
        primaryjoin=lambda: (StoredNotice.user_id == User.id) & StoredNotice.dismissed.is_(False),
        order_by=StoredNotice.id.desc(),
        viewonly=True,
    )
    has_passkey: Mapped[bool] = column_property(select(Passkey.id).where(Passkey.user_id == id).exists())

    @property
    def has_password(self) -> bool:
        """Whether the user can sign in with a password."""
        return self.password_hash != ""

    def set_password(self, password: str) -> None:
        """Store the hash of a new password."""
        self.password_hash = generate_password_hash(password, _hash_method())


def normalise_email(text: str) -> str | None:
    """The address in lower case; None if it is not a valid address."""
    email = unicodedata.normalize("NFC", text.strip()).lower()
    is_valid = len(email) <= EMAIL_LENGTH and email.isprintable() and "\ufffd" not in email
    return email if is_valid and _EMAIL.fullmatch(email) else None


def password_problem(text: str) -> str | None:
    """What is wrong with a new password, in words; None if it is fine."""
    if len(text) not in PASSWORD_LENGTH:
        return f"Use {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters."
    if not text.isprintable() or "\ufffd" in text:
        return "This password contains characters that cannot be typed."
    return None


def find_by_id(user_id: int) -> User | None:
    """The user with this id."""
    return db.session.get(User, user_id)


def find_by_email(email: str) -> User | None:
    """The user with this address."""
    return db.session.scalar(select(User).where(User.email == email))


def check_password(email: str | None, password: str) -> User | None:
    """The user with this address and password.

    An unknown address costs one hash as well, and so does a user without a password, so that the response time does not
    reveal who has an account.
    """
    user = find_by_email(email) if email else None
    has_password = user is not None and user.has_password
    stored = user.password_hash if user and has_password else decoy_hash(_hash_method())
    matches = check_password_hash(stored, password[: PASSWORD_LENGTH.stop])
    return user if matches and has_password else None


@cache
def decoy_hash(method: str) -> str:
    """The hash that the password of an unknown user is checked against, by the method of the real ones."""
    return generate_password_hash("the password of nobody", method)


def _hash_method() -> str:
    method: str = current_app.config["DEMO_PASSWORD_HASH"]
    return method


def add_user(email: str, password: str, role: str = "user") -> User | None:
    """Add a user and commit; None if the address is taken."""
    user = User(email=email, role=role)
    user.set_password(password)
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return None
    return user


def add_user_with_passkey(email: str, handle: str, passkey: NewPasskey) -> User:
    """Add a user without a password and commit; raise PasskeyRefused if the address or the passkey is taken."""
    user = User(email=email, password_hash="")
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise PasskeyRefused("email_taken") from None
    db.session.add(UserHandle(user_id=user.id, handle=handle))
    add_passkey(user.id, passkey)
    return user


def create_missing() -> None:
    """Create the tables and the demo accounts that do not exist yet."""
    decoy_hash(_hash_method())
    try:
        db.create_all()
    except (IntegrityError, OperationalError, ProgrammingError):
        db.create_all()  # another process created tables at the same time; if this fails too, the error is real
    for account in DEMO_ACCOUNTS if current_app.config["DEMO_ACCOUNTS"] else ():
        if find_by_email(account.email) is None:
            add_user(*account)


@sessions.user_loader
def load_user(user_id: str) -> User | None:
    """The user behind ``current_user`` and their open notices, in one query."""
    return db.session.get(User, int(user_id), options=[joinedload(User.notices)]) if user_id.isdecimal() else None


@sessions.claims_loader
def load_claims(user_id: str) -> dict[str, Any]:
    """The claims of the short session, so that pages can show the user's address without a query."""
    user = load_user(user_id)
    if user is None:
        return {}
    claims: dict[str, Any] = {"email": user.email, "role": user.role}
    if user.has_passkey:
        claims["passkey"] = True
    notices = claim_of(user.notices)
    return {**claims, "notices": notices} if notices else claims
