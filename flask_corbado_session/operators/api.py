"""The operator API, in the shape of Corbado's Backend API v2: Corbado's own clients list and revoke sessions with it.

HTTP Basic with ``PROJECT_ID`` and ``API_SECRET``, and nothing else: no cookie is read, no session looked at. The routes
are there when the secret is set.
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

from ..model.clock import to_ms
from ..model.errors import SessionNotFound, StoreUnavailable
from ..sessions.parts import AppState
from ..web.origin import is_foreign
from ..web.problems import RETRY_AFTER
from ..web.state import app_state
from .api_query import QueryError, list_sessions, read_query
from .attempts import FailedAttempts
from .log import Operator
from .panel import panel

View = Callable[..., dict[str, Any]]


class ApiError(Exception):
    """An answer that is none: its status, its code, what to do, the parameter that was wrong, and more headers."""

    def __init__(self, status: int, code: str, text: str, field: str | None = None, **headers: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.field = status, code, text, field
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def add_routes(routes: Blueprint, state: AppState) -> None:
    """``/v2/sessions`` and ``/v2/sessions/<id>/revoke``, for an app that has a secret and a database."""
    attempts = FailedAttempts(state.clock)
    routes.add_url_rule("/v2/sessions", "api_sessions", _guarded(attempts, sessions))
    routes.add_url_rule("/v2/sessions/<session_id>/revoke", "api_revoke", _guarded(attempts, revoke), methods=["POST"])


def sessions() -> dict[str, Any]:
    """A page of sessions (``SessionList``)."""
    state = app_state()
    database, now = state.with_database().database, to_ms(state.clock.now())
    query = read_query(request.args.to_dict(flat=False))
    found = list_sessions(database, database.tables.session, query, now)
    pages = math.ceil(found.total_items / query.page_size)
    return {
        "sessions": [_session(row) for row in found.rows],
        "paging": {"page": query.page, "totalPages": pages, "totalItems": found.total_items},
    }


def revoke(session_id: str) -> dict[str, Any]:
    """End one session (``GenericRsp``); one that has ended already stays as it is."""
    panel().log.revoke_session(Operator(app_state().settings.project_id or "", "api"), session_id)
    return {"httpStatusCode": 200, "message": "success", **_about_the_request()}


def _session(row: Any) -> dict[str, Any]:
    return {
        "sessionID": row.id,
        "userID": row.user_id,
        "identifierValue": row.user_id,  # what somebody signed in with is the app's knowledge; his id names him as well
        "createdMs": row.created_at,
        "lastActionMs": row.last_seen_at,
        "expiresMs": row.expires_at,
        "status": row.status,
    }


# ---- around each of them


def _guarded(attempts: FailedAttempts, view: View) -> Callable[..., Response]:
    @wraps(view)
    def guarded(**values: Any) -> Response:
        request.environ[_STARTED] = monotonic()
        try:
            _check_credentials(attempts)
            return _response(200, "application/json", view(**values))
        except ApiError as error:
            return _refusal(error)
        except QueryError as error:
            return _refusal(ApiError(400, "invalid_request", str(error), error.field))
        except SessionNotFound:
            return _refusal(ApiError(404, "not_found", "There is no session of that ID."))
        except StoreUnavailable:
            text = "The database did not answer in time; try again, with a narrower filter where many sessions match."
            return _refusal(ApiError(503, "session_store_unavailable", text, Retry_After=str(RETRY_AFTER)))

    return guarded


def _check_credentials(attempts: FailedAttempts) -> None:
    settings, address = app_state().settings, request.remote_addr
    wait = attempts.wait(address)
    if wait:
        text = f"Too many requests with wrong credentials came from your network; try again in {wait} seconds."
        raise ApiError(429, "too_many_requests", text, Retry_After=str(wait))
    given = request.authorization
    user, password = (given.username, given.password) if given is not None and given.type == "basic" else (None, None)
    # both are compared, whatever came of the first, and as hashes, so that no length shows
    right = _same(user, settings.project_id) & _same(password, settings.api_secret)
    if not right:
        attempts.note(address)
        text = "Send the project ID and the API secret by HTTP Basic."
        raise ApiError(401, "unauthenticated", text, WWW_Authenticate='Basic realm="operator API", charset="UTF-8"')
    # a browser that was once given the credentials sends them along with the form of any page
    headers, trusted = request.headers, settings.trusted_origins
    if is_foreign(request.method, headers.get("Sec-Fetch-Site"), headers.get("Origin"), request.host, trusted):
        raise ApiError(403, "csrf_rejected", "This was sent by a page of another origin, so nothing was done.")


def _same(given: str | None, expected: str | None) -> bool:
    one, other = (hashlib.sha256((text or "").encode("utf-8", "replace")).digest() for text in (given, expected))
    return hmac.compare_digest(one, other) and bool(expected)


def _refusal(error: ApiError) -> Response:
    """Corbado's ``ErrorRsp``, which is a problem+json (RFC 9457) as well."""
    validation = [{"field": error.field, "message": error.text}] if error.field else []
    body = {
        "httpStatusCode": error.status,
        "message": error.text,
        **_about_the_request(),
        "error": {"type": error.code, "details": error.text, "validation": validation, "links": []},
        "title": "The operator API refused this",
        "status": error.status,
        "code": error.code,
        "detail": error.text,
        **({"field": error.field} if error.field else {}),
    }
    response = _response(error.status, "application/problem+json", body)
    response.headers.extend(error.headers)
    return response


def _response(status: int, kind: str, body: dict[str, Any]) -> Response:
    response = Response(json.dumps(body), status=status, content_type=kind)
    response.headers["Cache-Control"] = "no-store"
    return response


_STARTED = "flask_corbado_session.api_started"


def _about_the_request() -> dict[str, Any]:
    """``runtime`` is in seconds."""
    return {
        "requestData": {"requestID": f"req-{secrets.token_hex(10)}"},
        "runtime": round(monotonic() - request.environ[_STARTED], 6),
    }
