"""Error responses: a page in the site's look for browsers, problem+json for scripts."""

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
    400: ("bad_request", "Bad request", "The site could not read what was sent."),
    403: ("forbidden", "Access denied", "You do not have access to this page with this account."),
    404: ("not_found", "Page not found", "It may have moved, or the address may be wrong."),
    405: ("method_not_allowed", "Method not allowed", "This address does not accept this kind of request."),
    413: ("too_large", "Too large", "The request is larger than this site accepts."),
    429: ("too_many_requests", "Too many attempts", "Wait a moment, then try again."),
    500: ("server_error", "Something went wrong", "The mistake is ours, not yours. Try again in a moment."),
    503: ("unavailable", "The database is not responding", "Nothing was changed. Try again in a moment."),
}


def init_app(app: Flask) -> None:
    """Register one handler for all errors."""
    app.register_error_handler(HTTPException, error_response)
    app.register_error_handler(OperationalError, database_down)
    app.register_error_handler(PoolTimeout, database_down)


def error_response(error: HTTPException) -> Response | HTTPException:
    """The page or problem+json for an error. Redirects and the extension's own problems are returned unchanged."""
    if error.response is not None or isinstance(error, Problem) or error.code is None or error.code < 400:
        return error
    code, title, text = PAGES.get(error.code, PAGES[400 if error.code < 500 else 500])
    response = refusal(error.code, code, text, title)
    response.headers.extend((name, value) for name, value in error.get_headers() if name != "Content-Type")
    if isinstance(error, TooManyRequests) and limiter.current_limit:
        response.headers["Retry-After"] = str(max(1, math.ceil(limiter.current_limit.reset_at - time.time())))
    return response


def refusal(status: int, code: str, text: str, title: str = "This was not done") -> Response:
    """A page for browsers, or problem+json for scripts."""
    if not _wants_page():
        return problem(status, code, text, title)
    response = make_response(render_template("error.html", status=status, code=code, title=title, text=text))
    response.status_code = status
    return response


def problem(status: int, code: str, text: str, title: str = "The request was refused") -> Response:
    """A problem+json response (RFC 9457); scripts read its ``code``."""
    response = jsonify(title=title, status=status, code=code, detail=text)
    response.mimetype, response.status_code = "application/problem+json", status
    return response


def database_down(error: Exception) -> Response | HTTPException:
    """The response when a query of the site itself failed: 503 with ``Retry-After``."""
    db.session.rollback()
    return error_response(ServiceUnavailable(retry_after=2))


def _wants_page() -> bool:
    if request.path.startswith("/spa/api/") or request.is_json:
        return False
    return request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html") == "text/html"
