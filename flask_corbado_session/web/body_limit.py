"""How long the body of a request to a route of the library may be."""

from __future__ import annotations

from flask import request

from .problems import BodyTooLarge

BODY_LIMIT = 64 * 1024
"""Bytes. The longest form is that of a device's name."""


def limit_body() -> None:
    """Refuse a longer body unread. Flask reads what a stranger sends to any length, unless the app sets a limit."""
    limit = request.max_content_length
    request.max_content_length = BODY_LIMIT if limit is None else min(limit, BODY_LIMIT)
    if (request.content_length or 0) > request.max_content_length:
        raise BodyTooLarge
