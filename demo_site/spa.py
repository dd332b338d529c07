"""A single-page app on the session's own host: a page of script, and a JSON API that knows sessions by cookie."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from flask_corbado_session import current_session, login_required

from .errors import problem
from .notes import LIMIT, TEXT_LENGTH, add_note, change_note, is_sound, notes_of, remove_note

blueprint = Blueprint("spa", __name__, url_prefix="/spa")


@blueprint.get("")
def page() -> str:
    """The same for everybody; its script asks who is there."""
    return render_template("spa.html", text_length=TEXT_LENGTH)


@blueprint.get("/api/notes")
@login_required
def notes() -> ResponseReturnValue:
    """Those of the signed-in user."""
    return jsonify(notes=[note.as_json() for note in notes_of(current_session.user_id)])


@blueprint.post("/api/notes")
@login_required
def add() -> ResponseReturnValue:
    """A new one of ``{"text": …}``."""
    note = add_note(current_session.user_id, *_sent())
    if note is None:
        return problem(409, "too_many_notes", f"There are {LIMIT} notes already; remove one first.")
    return jsonify(note.as_json()), 201, {"Location": url_for("spa.change", note_id=note.id)}


@blueprint.put("/api/notes/<int:note_id>")
@login_required
def change(note_id: int) -> ResponseReturnValue:
    """``{"text": …, "done": …}`` in the note's place."""
    text, done = _sent()
    if not change_note(current_session.user_id, note_id, text, done):
        return _no_such_note()
    return jsonify(id=note_id, text=text, done=done)


@blueprint.delete("/api/notes/<int:note_id>")
@login_required
def remove(note_id: int) -> ResponseReturnValue:
    """Nothing, when it is gone."""
    if not remove_note(current_session.user_id, note_id):
        return _no_such_note()
    return "", 204


def _no_such_note() -> ResponseReturnValue:
    return problem(404, "not_found", "You have no such note; it may have been removed already.")


def _sent() -> tuple[str, bool]:
    """The text and the state of the note in the request's body; whatever can't be one is a 422."""
    try:
        sent: Any = request.get_json(silent=True)
    except RecursionError:
        sent = None
    if not isinstance(sent, dict):
        abort(problem(422, "invalid_note", "Send a JSON object, as application/json."))
    text, done = sent.get("text"), sent.get("done", False)
    if not is_sound(text):
        abort(problem(422, "invalid_note", f"The field 'text' must be one line of 1 to {TEXT_LENGTH} characters."))
    if not isinstance(done, bool):
        abort(problem(422, "invalid_note", "The field 'done' must be true or false."))
    return text.strip(), done
