"""A live feed, which ends before one's eyes when another browser signs this one out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import BoundedSemaphore

from flask import Blueprint, Response, render_template

from flask_corbado_session import login_required

from .extensions import sessions
from .serving import STOPPING

blueprint = Blueprint("live", __name__, url_prefix="/live")

MAX_FEEDS = 16
"""Feeds at a time: each of them keeps one of the server's threads busy."""
EVENTS = 300
"""Events of one feed; the browser then asks for the next one."""
_free = BoundedSemaphore(MAX_FEEDS)


@blueprint.get("")
@login_required
def page() -> str:
    """The page; its script opens the feed."""
    return render_template("live.html")


@blueprint.get("/feed")
@login_required
def feed() -> Response:
    """An event each second (server-sent events), for as long as the session lasts."""
    return Response(sessions.guard_stream(_events()), mimetype="text/event-stream")


def _events() -> Iterator[str]:
    if not _free.acquire(blocking=False):
        yield "event: busy\ndata:\n\n"
        return
    try:
        yield "retry: 500\n\n"
        for _ in range(EVENTS):
            yield f"data: {datetime.now(UTC).isoformat(timespec='seconds')}\n\n"
            if STOPPING.wait(1):
                return
    finally:
        _free.release()
