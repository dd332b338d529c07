"""Errors in the site's look, or as problem+json for whoever does not ask for a page."""

from __future__ import annotations

import math
import time

from flask import Flask, Response, jsonify, make_response, render_template, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from flask_corbado_session import Problem

from .extensions import db, limiter

PAGES = {
    400: ("bad_request", "This request can't be used", "Something in what was sent is not as it should be."),
    403: ("forbidden", "This is not for you", "You may not see this page, or not with this account."),
    404: ("not_found", "Nothing is here", "The page may have moved, or the address is not quite right."),
    405: ("method_not_allowed", "Not this way", "This address takes another kind of request."),
    413: ("too_large", "Too much at once", "What was sent is larger than this site takes."),
    429: ("too_many_requests", "Too many tries", "Wait a little, then try again."),
    500: ("server_error", "Something went wrong here", "It is our mistake, not yours. Try again in a moment."),
    503: ("unavailable", "The database does not answer", "Nothing was changed. Try again in a moment."),
}


def init_app(app: Flask) -> None:
    """Answer every error in one way."""
    app.register_error_handler(HTTPException, show)
    app.register_error_handler(OperationalError, database_down)
    app.register_error_handler(PoolTimeout, database_down)


def show(error: HTTPException) -> Response | HTTPException:
    """The page or the problem+json of an error; those of the extension, and redirects, speak for themselves."""
    if error.response is not None or isinstance(error, Problem) or error.code is None or error.code < 400:
        return error
    status = error.code
    code, title, text = PAGES.get(status, PAGES[400 if status < 500 else 500])
    if _wants_page():
        response = make_response(render_template("error.html", status=status, code=code, title=title, text=text))
        response.status_code = status
    else:
        response = problem(status, code, text, title)
    response.headers.extend((name, value) for name, value in error.get_headers() if name != "Content-Type")
    if isinstance(error, TooManyRequests) and limiter.current_limit:
        response.headers["Retry-After"] = str(max(1, math.ceil(limiter.current_limit.reset_at - time.time())))
    return response


def problem(status: int, code: str, text: str, title: str = "This can't be done") -> Response:
    """An error for a script, which reads the code (RFC 9457)."""
    response = jsonify(title=title, status=status, code=code, detail=text)
    response.mimetype, response.status_code = "application/problem+json", status
    return response


def database_down(error: Exception) -> Response | HTTPException:
    """The site's own statement failed: nothing was changed, come back soon."""
    db.session.rollback()
    return show(ServiceUnavailable(retry_after=2))


def _wants_page() -> bool:
    if request.path.startswith("/spa/api/"):
        return False
    return request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html") == "text/html"
