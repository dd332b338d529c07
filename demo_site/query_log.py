"""The database queries of each request, those of the session extension included, for the pages that show them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast

from flask import Flask, Response, current_app, has_request_context, request
from sqlalchemy import Engine, event

from flask_corbado_session import current_session

_ENVIRON_KEY = "demo_site.queries"
_MAX_SESSIONS = 1000
_MAX_LENGTH = 300
_COLUMNS = re.compile(r"^SELECT (?:[^()]|\((?:[^()]|\([^()]*\))*\))*? FROM")  # a column may be a query in brackets


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request and its queries, without their parameters."""

    method: str
    path: str
    queries: tuple[str, ...]


class RecentRequests:
    """The last request of each session, for the most recently active sessions of this process."""

    def __init__(self) -> None:
        self._requests: OrderedDict[Hashable, LoggedRequest] = OrderedDict()
        self._lock = Lock()

    def keep(self, session_id: Hashable, logged: LoggedRequest) -> None:
        """Store a session's last request, and drop the session that has been inactive longest."""
        with self._lock:
            self._requests[session_id] = logged
            self._requests.move_to_end(session_id)
            if len(self._requests) > _MAX_SESSIONS:
                self._requests.popitem(last=False)

    def get(self, session_id: Hashable) -> LoggedRequest | None:
        """The last request of a session, if it is still stored."""
        return self._requests.get(session_id)


@event.listens_for(Engine, "before_cursor_execute")
def _log_query(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
    if has_request_context():
        query = _COLUMNS.sub("SELECT … FROM", " ".join(statement.split()))
        shortened = query if len(query) <= _MAX_LENGTH else f"{query[:_MAX_LENGTH]}…"
        request.environ.setdefault(_ENVIRON_KEY, []).append(shortened)


def queries_so_far() -> tuple[str, ...]:
    """The queries of the current request up to now."""
    return tuple(request.environ.get(_ENVIRON_KEY, ()))


def previous_request(session_id: str | None) -> LoggedRequest | None:
    """The session's request before the current one."""
    return _recent_requests().get(session_id)


def init_app(app: Flask) -> None:
    """Log the queries of every page that reads the session."""
    app.extensions["demo_query_log"] = RecentRequests()
    app.after_request(_keep)


def _keep(response: Response) -> Response:
    # `current_session` comes last: a page that did not read the session must not read it here
    if request.blueprint in ("pages", "auth", "account", "corbado_session") and _is_page(response) and current_session:
        logged = LoggedRequest(request.method, request.path[:100], queries_so_far())
        _recent_requests().keep(current_session.session_id, logged)
    return response


def _is_page(response: Response) -> bool:
    return response.status_code < 400 and response.mimetype == "text/html"


def _recent_requests() -> RecentRequests:
    return cast(RecentRequests, current_app.extensions["demo_query_log"])
