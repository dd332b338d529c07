"""The notes of the single-page app. Users see and change only their own."""

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
MAX_NOTES = 50
"""How many notes a user may have."""


class Note(Base):
    """A note: something to do."""

    __tablename__ = "demo_note"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("demo_user.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    done: Mapped[bool] = mapped_column(default=False)

    def as_json(self) -> dict[str, Any]:
        """The note as the API returns it."""
        return {"id": self.id, "text": self.text, "done": self.done}


def notes_of(user_id: str) -> list[Note]:
    """A user's notes, the oldest first."""
    return list(db.session.scalars(select(Note).where(Note.user_id == int(user_id)).order_by(Note.id)))


def add_note(user_id: str, text: str, done: bool) -> Note | None:
    """Add a note and commit; None if the user has ``MAX_NOTES`` already."""
    count = db.session.scalar(select(func.count()).where(Note.user_id == int(user_id))) or 0
    if count >= MAX_NOTES:
        return None
    note = Note(user_id=int(user_id), text=text, done=done)
    db.session.add(note)
    db.session.commit()
    return note


def change_note(user_id: str, note_id: int, text: str, done: bool) -> bool:
    """Change a note of the user; False if the user has no note with that id."""
    return _changes_a_row(update(Note).where(_is_note(user_id, note_id)).values(text=text, done=done))


def remove_note(user_id: str, note_id: int) -> bool:
    """Delete a note of the user; False if the user has no note with that id."""
    return _changes_a_row(delete(Note).where(_is_note(user_id, note_id)))


def _is_note(user_id: str, note_id: int) -> ColumnElement[bool]:
    is_id = note_id < 2**31  # databases refuse a larger number, and no note has such an id
    return and_(Note.id == note_id, Note.user_id == int(user_id)) if is_id else false()


def _changes_a_row(statement: Update | Delete) -> bool:
    result = db.session.execute(statement)
    db.session.commit()
    return cast("CursorResult[Any]", result).rowcount == 1


def is_note_text(text: Any) -> TypeGuard[str]:
    """Whether a value can be the text of a note: a string of one line, not too long."""
    return isinstance(text, str) and 1 <= len(text.strip()) <= TEXT_LENGTH and text.isprintable()
