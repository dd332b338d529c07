"""The site's users."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import String, select
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

from .extensions import Base, db, sessions
from .notices import Told, named

EMAIL_LENGTH = 254
PASSWORD_LENGTH = range(8, 257)
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class Prepared(NamedTuple):
    """A user a first run makes, shown on the sign-in page."""

    email: str = "demo@example.com"
    password: str = "correct horse battery"
    role: str = "user"


PREPARED = (Prepared(), Prepared("operator@example.com", "battery staple operator", "operator"))


def _now() -> datetime:
    return datetime.now(UTC)


class User(Base):
    """Somebody with an account."""

    __tablename__ = "demo_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    role: Mapped[str] = mapped_column(String(16), default="user")
    created_at: Mapped[datetime] = mapped_column(default=_now)
    told: Mapped[list[Told]] = relationship(
        primaryjoin=lambda: (Told.user_id == User.id) & Told.put_away.is_(False),
        order_by=Told.id.desc(),
        viewonly=True,
    )

    def set_password(self, password: str) -> None:
        """Keep the hash of a new password."""
        self.password_hash = _hash(password)


def normalise_email(text: str) -> str | None:
    """The address in lower case, or None if it is none."""
    email = unicodedata.normalize("NFC", text.strip()).lower()
    sound = len(email) <= EMAIL_LENGTH and email.isprintable() and "\ufffd" not in email
    return email if sound and _EMAIL.fullmatch(email) else None


def wrong_password(text: str) -> str | None:
    """What is wrong with a password somebody chose, in words; None if nothing is."""
    if len(text) not in PASSWORD_LENGTH:
        return f"A password has {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters."
    if not text.isprintable() or "\ufffd" in text:
        return "This password has characters that can't be typed again."
    return None


def find_by_email(email: str) -> User | None:
    """The user with this address."""
    return db.session.scalar(select(User).where(User.email == email))


def check_password(email: str | None, password: str) -> User | None:
    """The user these belong to. Unknown addresses cost one hash too, so that time does not tell them apart."""
    user = find_by_email(email) if email else None
    stored = user.password_hash if user else decoy_hash(_hash_method())
    right = check_password_hash(stored, password[: PASSWORD_LENGTH.stop])
    return user if right else None


@cache
def decoy_hash(method: str) -> str:
    """The hash an unknown user's password is checked against, made by the method of the real ones."""
    return generate_password_hash("of nobody", method)


def _hash(password: str) -> str:
    return generate_password_hash(password, _hash_method())


def _hash_method() -> str:
    method: str = current_app.config["DEMO_PASSWORD_HASH"]
    return method


def add_user(email: str, password: str, role: str = "user") -> User | None:
    """A new user, committed; None if the address is taken."""
    user = User(email=email, role=role)
    user.set_password(password)
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return None
    return user


def prepare() -> None:
    """Make what is missing: the tables and the prepared users."""
    decoy_hash(_hash_method())
    try:
        db.create_all()
    except (IntegrityError, OperationalError, ProgrammingError):
        db.create_all()  # two processes started at once; now all tables are there, or the error is a real one
    for prepared in PREPARED if current_app.config["DEMO_PREPARED_USER"] else ():
        if find_by_email(prepared.email) is None:
            add_user(*prepared)


@sessions.user_loader
def load_user(user_id: str) -> User | None:
    """Who ``current_user`` is, with what there is to tell him: both in one statement."""
    return db.session.get(User, int(user_id), options=[joinedload(User.told)]) if user_id.isdecimal() else None


@sessions.claims_loader
def load_claims(user_id: str) -> dict[str, Any]:
    """What the short session carries, so that no page needs the database to greet."""
    user = load_user(user_id)
    if user is None:
        return {}
    claims = {"email": user.email, "role": user.role}
    notices = named(user.told)
    return {**claims, "notices": notices} if notices else claims
