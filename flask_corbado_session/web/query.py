"""The query of a request's URL, which may be any bytes."""

from __future__ import annotations

from flask import request
from werkzeug.datastructures import MultiDict

from .problems import BadRequestProblem


def query_args() -> MultiDict[str, str]:
    """The parameters of the query; a 400 for bytes that are not UTF-8, on which Werkzeug raises UnicodeDecodeError."""
    try:
        return request.args
    except UnicodeDecodeError:
        raise BadRequestProblem("The query of the URL must be UTF-8; percent-encode what is not ASCII.") from None
