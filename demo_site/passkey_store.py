"""The passkeys of users: the public keys that verify their sign-ins, and the random handle that stands for a user."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import BigInteger, CursorResult, ForeignKey, LargeBinary, String, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, foreign, joinedload, mapped_column, relationship
from webauthn.helpers import bytes_to_base64url

from .extensions import Base, db
from .passkey_refusals import MAX_PASSKEYS, PasskeyRefused

NAME_LENGTH = 80
CREDENTIAL_ID_LENGTH = 1023
"""Bytes, by the specification."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What an authenticator said when it made a passkey."""

    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    is_synced: bool
    transports: tuple[str, ...]
    name: str


class Passkey(Base):
    """A passkey of a user."""

    __tablename__ = "demo_passkey"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("demo_user.id", ondelete="CASCADE"), index=True)
    credential_digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256: a credential id can be too long for an index."""
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    is_synced: Mapped[bool]
    """Whether the authenticator may copy it to the user's other devices; never changes."""
    transports: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[int]
    last_used_at: Mapped[int | None]
    copy_refused_at: Mapped[int | None]
    """When an answer was refused because its counter had gone backwards. Seconds since the epoch, all three."""

    @property
    def amr(self) -> tuple[str, str]:
        """How a sign-in with it is recorded (RFC 8176).

        ``hwk`` if the authenticator says that the key never leaves it, ``swk`` if it syncs the key. Nobody attests
        either, so this informs the user and is no proof. ``user`` says that a person was there.
        """
        return "swk" if self.is_synced else "hwk", "user"

    @property
    def public_id(self) -> str:
        """The credential id, as browsers write it."""
        return bytes_to_base64url(self.credential_id)

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(self.created_at, UTC)

    @property
    def last_used(self) -> datetime | None:
        """When it was used last."""
        return None if self.last_used_at is None else datetime.fromtimestamp(self.last_used_at, UTC)

    @property
    def copy_refused(self) -> datetime | None:
        """When an answer of a copy was refused."""
        return None if self.copy_refused_at is None else datetime.fromtimestamp(self.copy_refused_at, UTC)


class UserHandle(Base):
    """What authenticators know a user by. It is random and says nothing about the user."""

    __tablename__ = "demo_user_handle"

    user_id: Mapped[int] = mapped_column(ForeignKey("demo_user.id", ondelete="CASCADE"), primary_key=True)
    handle: Mapped[str] = mapped_column(String(64), unique=True)
    """32 bytes as hexadecimal digits, which every database compares alike."""
    passkeys: Mapped[list[Passkey]] = relationship(
        primaryjoin=lambda: foreign(Passkey.user_id) == UserHandle.user_id, order_by=Passkey.id, viewonly=True
    )

    @property
    def public_handle(self) -> str:
        """The handle, as browsers write it."""
        return bytes_to_base64url(bytes.fromhex(self.handle))


# ---- reading


def find_holder(user_id: str) -> UserHandle | None:
    """The handle of a user together with their passkeys, in one query; None if they never had one."""
    return db.session.get(UserHandle, int(user_id), options=[joinedload(UserHandle.passkeys)])


def passkeys_of(user_id: str) -> list[Passkey]:
    """A user's passkeys, the oldest first."""
    return list(db.session.scalars(select(Passkey).where(Passkey.user_id == int(user_id)).order_by(Passkey.id)))


def find_by_credential_id(credential_id: bytes) -> Passkey | None:
    """The passkey with this credential id."""
    return db.session.scalar(select(Passkey).where(Passkey.credential_digest == _digest(credential_id)))


def handle_of(user_id: str | int) -> str | None:
    """The handle of a user; None if they never had a passkey."""
    return db.session.scalar(select(UserHandle.handle).where(UserHandle.user_id == int(user_id)))


def new_handle() -> str:
    """A random handle."""
    return secrets.token_hex(32)


# ---- writing


def find_or_create_handle(user_id: str) -> str:
    """The handle of a user. Two that are created at the same time become one."""
    handle = handle_of(user_id)
    if handle is not None:
        return handle
    handle = new_handle()
    try:
        db.session.add(UserHandle(user_id=int(user_id), handle=handle))
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return handle_of(user_id) or handle
    return handle


def add_passkey(user_id: str | int, new: NewPasskey) -> None:
    """Store a passkey and commit, together with whatever else the transaction holds.

    Raises PasskeyRefused if the passkey is stored already, or the user has ``MAX_PASSKEYS``.
    """
    count = db.session.scalar(select(func.count()).where(Passkey.user_id == int(user_id))) or 0
    if count >= MAX_PASSKEYS:
        raise PasskeyRefused("too_many_passkeys")
    db.session.add(
        Passkey(
            user_id=int(user_id),
            credential_digest=_digest(new.credential_id),
            credential_id=new.credential_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            is_synced=new.is_synced,
            transports=" ".join(new.transports),
            name=new.name,
            created_at=int(time.time()),
        )
    )
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise PasskeyRefused("passkey_exists") from None


def record_use(passkey: Passkey, sign_count: int) -> None:
    """Store the counter of a verified answer; raise PasskeyRefused if it has not gone on.

    Synced passkeys do not count: theirs stays zero. Any other must grow (Web Authentication, §6.1.1), or there are two
    of it. The row is asked in the statement that changes it, so that of two simultaneous answers one is refused.
    """
    goes_on = Passkey.sign_count < sign_count if sign_count else Passkey.sign_count == 0
    now = int(time.time())
    stmt = update(Passkey).where(Passkey.id == passkey.id, goes_on).values(sign_count=sign_count, last_used_at=now)
    result = db.session.execute(stmt, execution_options={"synchronize_session": False})
    is_copy = cast("CursorResult[Any]", result).rowcount == 0
    if is_copy:
        passkey.copy_refused_at = now
    db.session.commit()
    if is_copy:
        raise PasskeyRefused("passkey_copied")


def rename_passkey(user_id: str, passkey_id: int, name: str) -> bool:
    """Name a passkey of the user; False if the user has none with that id."""
    passkey = _find(passkeys_of(user_id), passkey_id)
    if passkey is None:
        return False
    passkey.name = name
    db.session.commit()
    return True


def remove_passkey(user_id: str, passkey_id: int, has_password: bool) -> bool:
    """Delete a passkey of the user; False if the user has none with that id.

    Raises PasskeyRefused if the user could not sign in without it.
    """
    # changing the row of the handle locks it on every database, so that two removals do not count the same passkeys
    db.session.execute(update(UserHandle).where(UserHandle.user_id == int(user_id)).values(handle=UserHandle.handle))
    passkeys = passkeys_of(user_id)
    passkey = _find(passkeys, passkey_id)
    if passkey is not None and (has_password or len(passkeys) > 1):
        db.session.delete(passkey)
        db.session.commit()
        return True
    db.session.rollback()
    if passkey is not None:
        raise PasskeyRefused("last_sign_in_method")
    return False


def _find(passkeys: Iterable[Passkey], passkey_id: int) -> Passkey | None:
    return next((passkey for passkey in passkeys if passkey.id == passkey_id), None)


def _digest(credential_id: bytes) -> str:
    return sha256(credential_id).hexdigest()
