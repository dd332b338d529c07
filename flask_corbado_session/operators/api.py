"""The operator API, in the shape of Corbado's Backend API v2, so that Corbado's own clients list and revoke sessions.

Authentication is HTTP Basic with ``PROJECT_ID`` and ``API_SECRET`` only; cookies and sessions are ignored. The routes
exist only where the secret is set.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from functools import wraps
from time import monotonic
from typing import Any

from flask import Blueprint, Response, json, request

from ..model.errors import SessionNotFound, StoreUnavailable
from ..sessions.parts import AppState
from ..web.origin import is_foreign
from ..web.problems import RETRY_AFTER, BadRequestProblem, problem_type
from ..web.query import query_args
from ..web.state import app_state
from .api_query import QueryError, SessionRow, list_sessions, read_query
from .attempts import FailedAttempts
from .log import Operator
from .panel import now_ms, panel

Json = dict[str, Any]
View = Callable[..., Json]


class ApiError(Exception):
    """An error response: its status, code, text, the wrong parameter (if any) and extra headers."""

    def __init__(self, status: int, code: str, text: str, field: str | None = None, **headers: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.field = status, code, text, field
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def add_routes(blueprint: Blueprint, state: AppState) -> None:
    """Add ``/v2/sessions`` and ``/v2/sessions/<id>/revoke``, for an app that has a secret and a database."""
    attempts = FailedAttempts(state.clock)
    blueprint.add_url_rule("/v2/sessions", "api_sessions", _guarded(attempts, sessions))
    path = "/v2/sessions/<session_id>/revoke"
    blueprint.add_url_rule(path, "api_revoke", _guarded(attempts, revoke), methods=["POST"])


def sessions() -> Json:
    """A page of sessions (``SessionList``)."""
    store = panel().store
    query = read_query(_arguments())
    page = list_sessions(store.database, store.session, query, now_ms())
    pages = math.ceil(page.total_items / query.page_size)
    return {
        "sessions": [_session(row) for row in page.rows],
        "paging": {"page": query.page, "totalPages": pages, "totalItems": page.total_items},
    }


def _arguments() -> dict[str, list[str]]:
    try:
        return query_args().to_dict(flat=False)
    except BadRequestProblem as problem:
        raise QueryError("", problem.description or "") from None


def revoke(session_id: str) -> Json:
    """Revoke one session (``GenericRsp``). One that has already ended stays as it is."""
    panel().log.revoke_session(Operator(app_state().settings.project_id or "", "api"), session_id)
    return {"httpStatusCode": 200, "message": "success", **_request_data()}


def _session(row: SessionRow) -> Json:
    return {
        "sessionID": row.id,
        "userID": row.user_id,
        "identifierValue": row.user_id,  # only the app knows what they signed in with; their ID names them too
        "createdMs": row.created_at,
        "lastActionMs": row.last_seen_at,
        "expiresMs": row.expires_at,
        "status": row.status,
    }


# ---- authentication and errors, the same for both routes


def _guarded(attempts: FailedAttempts, view: View) -> Callable[..., Response]:
    @wraps(view)
    def guarded(**values: str) -> Response:
        request.environ[_STARTED] = monotonic()
        try:
            _check_credentials(attempts)
            return _response(200, "application/json", view(**values))
        except ApiError as error:
            return _error_response(error)
        except QueryError as error:
            return _error_response(ApiError(400, "invalid_request", str(error), error.field))
        except SessionNotFound:
            return _error_response(ApiError(404, "not_found", "There is no session with this ID."))
        except StoreUnavailable:
            text = "The database did not answer in time; try again, with a narrower filter if many sessions match."
            return _error_response(ApiError(503, "session_store_unavailable", text, Retry_After=str(RETRY_AFTER)))

    return guarded


def _check_credentials(attempts: FailedAttempts) -> None:
    settings, address = app_state().settings, request.remote_addr
    seconds = attempts.retry_after(address)
    if seconds:
        text = f"Too many requests with wrong credentials came from your network; try again in {seconds} seconds."
        raise ApiError(429, "too_many_requests", text, Retry_After=str(seconds))
    user, password = _credentials()
    # both are always compared, and as hashes: the time taken tells neither which was wrong nor any length
    if not _same(user, settings.project_id) & _same(password, settings.api_secret):
        attempts.record_failure(address)
        text = "Send the project ID and the API secret with HTTP Basic authentication."
        raise ApiError(401, "unauthenticated", text, WWW_Authenticate='Basic realm="operator API", charset="UTF-8"')
    # a browser that has stored the credentials sends them with a form of any site
    headers, trusted = request.headers, settings.trusted_origins
    if is_foreign(request.method, headers.get("Sec-Fetch-Site"), headers.get("Origin"), request.host, trusted):
        raise ApiError(403, "csrf_rejected", "This request was sent by a page of another origin, so nothing was done.")


def _credentials() -> tuple[str | None, str | None]:
    """User name and password of HTTP Basic; two times None for any other header, and for one that can't be read."""
    try:
        basic = request.authorization
    except ValueError:  # Werkzeug's, of a character that is not ASCII
        return None, None
    return (basic.username, basic.password) if basic is not None and basic.type == "basic" else (None, None)


def _same(sent: str | None, expected: str | None) -> bool:
    one, other = (hashlib.sha256((text or "").encode("utf-8", "replace")).digest() for text in (sent, expected))
    return hmac.compare_digest(one, other) and bool(expected)


def _error_response(error: ApiError) -> Response:
    """Corbado's ``ErrorRsp``, which is also a problem+json (RFC 9457)."""
    validation = [{"field": error.field, "message": error.text}] if error.field else []
    body = {
        "httpStatusCode": error.status,
        "message": error.text,
        **_request_data(),
        "error": {"type": error.code, "details": error.text, "validation": validation, "links": []},
        "type": problem_type(error.code),
        "title": "Operator API error",
        "status": error.status,
        "code": error.code,
        "detail": error.text,
        **({"field": error.field} if error.field else {}),
    }
    response = _response(error.status, "application/problem+json", body)
    response.headers.extend(error.headers)
    return response


def _response(status: int, content_type: str, body: Json) -> Response:
    response = Response(json.dumps(body), status=status, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    return response


_STARTED = "flask_corbado_session.api_started"


def _request_data() -> Json:
    """The members that describe the request itself; ``runtime`` is in seconds."""
    return {
        "requestData": {"requestID": f"req-{secrets.token_hex(10)}"},
        "runtime": round(monotonic() - request.environ[_STARTED], 6),
    }
