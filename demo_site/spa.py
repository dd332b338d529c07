"""A single-page app on the session host: a page rendered by script, and a JSON API that reads the session cookie."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from flask_corbado_session import login_required

from .errors import problem
from .notes import MAX_NOTES, TEXT_LENGTH, add_note, change_note, is_note_text, notes_of, remove_note
from .who import current_user_id

blueprint = Blueprint("spa", __name__, url_prefix="/spa")


@blueprint.get("")
def page() -> str:
    """The page, the same for everyone. Its script asks the API who is signed in."""
    return render_template("spa.html", text_length=TEXT_LENGTH)


@blueprint.get("/api/notes")
@login_required
def notes() -> ResponseReturnValue:
    """List the notes of the signed-in user."""
    return jsonify(notes=[note.as_json() for note in notes_of(current_user_id())])


@blueprint.post("/api/notes")
@login_required
def add() -> ResponseReturnValue:
    """Add a note from ``{"text": …}``."""
    note = add_note(current_user_id(), *_read_note())
    if note is None:
        return problem(409, "too_many_notes", f"You already have {MAX_NOTES} notes. Remove one first.")
    return jsonify(note.as_json()), 201, {"Location": url_for("spa.change", note_id=note.id)}


@blueprint.put("/api/notes/<int:note_id>")
@login_required
def change(note_id: int) -> ResponseReturnValue:
    """Replace a note with ``{"text": …, "done": …}``."""
    text, done = _read_note()
    if not change_note(current_user_id(), note_id, text, done):
        return _note_not_found()
    return jsonify(id=note_id, text=text, done=done)


@blueprint.delete("/api/notes/<int:note_id>")
@login_required
def remove(note_id: int) -> ResponseReturnValue:
    """Remove a note."""
    if not remove_note(current_user_id(), note_id):
        return _note_not_found()
    return "", 204


def _note_not_found() -> ResponseReturnValue:
    return problem(404, "not_found", "You have no such note. It may have been removed already.")


def _read_note() -> tuple[str, bool]:
    """The text and the state of the note in the request body; 422 if the body is not a note."""
    try:
        body: Any = request.get_json(silent=True)
    except RecursionError:
        body = None
    if not isinstance(body, dict):
        abort(problem(422, "invalid_note", "Send a JSON object, as application/json."))
    text, done = body.get("text"), body.get("done", False)
    if not is_note_text(text):
        abort(problem(422, "invalid_note", f"The field 'text' must be one line of 1 to {TEXT_LENGTH} characters."))
    if not isinstance(done, bool):
        abort(problem(422, "invalid_note", "The field 'done' must be true or false."))
    return text.strip(), done
