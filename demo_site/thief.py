"""What a thief of one's cookies gets: a second client with a copy of them, beside the browser they were copied from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from math import ceil
from typing import cast

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from flask_corbado_session import current_session, login_required

from . import notices
from .copies import KEPT_FOR, THIEF, THIEF_IP, CopiedJar, Copies, short_cookie_name
from .extensions import limiter, sessions

blueprint = Blueprint("thief", __name__, url_prefix="/thief")

MIN_AGE = 61
"""Seconds: a long session's token that was used less than a minute ago is not replaced."""


def init_app(app: Flask) -> None:
    """Give the app its copies."""
    app.extensions["demo_copies"] = Copies(app)


@blueprint.get("")
@login_required
def page() -> str:
    """The page; its script does the rest."""
    told = next((notice for notice in notices.open_notices() if notice.kind == "reuse"), None)
    moved_at = current_session.issued_at or datetime.now(UTC)  # or before: each move gives a new short session
    age = (datetime.now(UTC) - moved_at).total_seconds()
    wait = min(max(0, ceil(MIN_AGE - age)), MIN_AGE)
    return render_template("thief.html", told=told, wait=wait, thief=THIEF["User-Agent"], thief_ip=THIEF_IP)


@blueprint.post("/copy")
@limiter.limit("10 per minute")
@login_required
def copy() -> ResponseReturnValue:
    """Copy the cookies of the browser that asks, and of no other."""
    handle, copied = _copies().make(request)
    return jsonify(handle=handle, bound=current_session.bound, kept_for=KEPT_FOR, **_seen(copied))


@blueprint.post("/look")
@limiter.limit("60 per minute")
def look() -> ResponseReturnValue:
    """What the thief is served now. Somebody who has been signed out may ask, too: so may the story end."""
    return jsonify(_seen(_find_copy()))


@blueprint.post("/end-short-session")
@limiter.limit("20 per minute")
def end_short_session() -> Response:
    """Let the short session end in both jars, as its lifetime does by itself within a quarter of an hour.

    This asks for no identity, so that nothing is refreshed in this very request.
    """
    _find_copy().end_short_session()
    response, name = Response(status=204), short_cookie_name(request)
    if name is not None:
        response.delete_cookie(name, secure=name.startswith("__Host-"), httponly=True, samesite="Lax")
    return response


def _seen(copied: CopiedJar) -> dict[str, object]:
    seen = copied.look(_path("account.dashboard"), _path("corbado_session.who_am_i"))
    return {"you": {"token": copied.token_of(request)}, "thief": {**asdict(seen), "token": copied.token()}}


def _path(endpoint: str) -> str:
    """From where the app is mounted."""
    return url_for(endpoint).removeprefix(request.script_root)


def _find_copy() -> CopiedJar:
    sessions.check_origin()
    sent = request.get_json(silent=True)
    return _copies().find(sent.get("handle") if isinstance(sent, dict) else None, request) or abort(404)


def _copies() -> Copies:
    return cast(Copies, current_app.extensions["demo_copies"])
