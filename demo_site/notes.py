"""What the single-page app keeps for its users: notes, each its owner's alone."""

from __future__ import annotations

from typing import Any, TypeGuard, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    ForeignKey,
    String,
    Update,
    and_,
    delete,
    false,
    func,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from .extensions import Base, db

TEXT_LENGTH = 200
LIMIT = 50
"""Notes of one user."""


class Note(Base):
    """Something to do."""

    __tablename__ = "demo_note"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("demo_user.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    done: Mapped[bool] = mapped_column(default=False)

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"id": self.id, "text": self.text, "done": self.done}


def notes_of(user_id: str) -> list[Note]:
    """All of them, the oldest first."""
    return list(db.session.scalars(select(Note).where(Note.user_id == int(user_id)).order_by(Note.id)))


def add_note(user_id: str, text: str, done: bool) -> Note | None:
    """A new one, committed; None for somebody who has enough of them."""
    count = db.session.scalar(select(func.count()).where(Note.user_id == int(user_id))) or 0
    if count >= LIMIT:
        return None
    note = Note(user_id=int(user_id), text=text, done=done)
    db.session.add(note)
    db.session.commit()
    return note


def change_note(user_id: str, note_id: int, text: str, done: bool) -> bool:
    """Put this in the place of the user's note; False if there is none of that id, or no longer."""
    return _done(update(Note).where(_is(user_id, note_id)).values(text=text, done=done))


def remove_note(user_id: str, note_id: int) -> bool:
    """Forget the user's note; False if there is none of that id, or no longer."""
    return _done(delete(Note).where(_is(user_id, note_id)))


def _is(user_id: str, note_id: int) -> ColumnElement[bool]:
    known = note_id < 2**31  # a larger number is an error to databases, and the id of nothing
    return and_(Note.id == note_id, Note.user_id == int(user_id)) if known else false()


def _done(statement: Update | Delete) -> bool:
    result = db.session.execute(statement)
    db.session.commit()
    return cast("CursorResult[Any]", result).rowcount == 1


def is_sound(text: Any) -> TypeGuard[str]:
    """Whether it can be the text of a note: one line, and not too long."""
    return isinstance(text, str) and 1 <= len(text.strip()) <= TEXT_LENGTH and text.isprintable()
