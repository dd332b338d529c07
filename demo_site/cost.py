"""What a request costs in database statements, the library's own included."""

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

_KEY = "demo_site.statements"
_LIMIT = 1000
_SHOWN = 300
_COLUMNS = re.compile("^SELECT .*? FROM")


@dataclass(frozen=True, slots=True)
class Cost:
    """A request and its statements, without their values."""

    method: str
    path: str
    statements: tuple[str, ...]


class Latest:
    """The last request of each session, of the sessions that were busy last. Of this process only."""

    def __init__(self) -> None:
        self._costs: OrderedDict[Hashable, Cost] = OrderedDict()
        self._lock = Lock()

    def keep(self, session_id: Hashable, cost: Cost) -> None:
        """Remember a request; forget the session that was silent longest."""
        with self._lock:
            self._costs[session_id] = cost
            self._costs.move_to_end(session_id)
            if len(self._costs) > _LIMIT:
                self._costs.popitem(last=False)

    def get(self, session_id: Hashable) -> Cost | None:
        """What was kept."""
        return self._costs.get(session_id)


@event.listens_for(Engine, "before_cursor_execute")
def _note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
    if has_request_context():
        shown = _COLUMNS.sub("SELECT … FROM", " ".join(statement.split()))
        request.environ.setdefault(_KEY, []).append(shown[:_SHOWN])


def so_far() -> tuple[str, ...]:
    """The statements of this request up to now."""
    return tuple(request.environ.get(_KEY, ()))


def previous(session_id: str | None) -> Cost | None:
    """The request before this one, of the same session."""
    return _latest().get(session_id)


def init_app(app: Flask) -> None:
    """Keep the cost of every page that asked who somebody is."""
    app.extensions["demo_cost"] = Latest()
    app.after_request(_keep)
    app.jinja_env.filters["time_left"] = time_left


def _keep(response: Response) -> Response:
    # a page that never asked must not ask now, and one that failed is no example
    if request.blueprint in ("pages", "auth", "account", "corbado_session") and _is_page(response) and current_session:
        cost = Cost(request.method, request.path[:100], so_far())
        _latest().keep(current_session.session_id, cost)
    return response


def _is_page(response: Response) -> bool:
    return response.status_code < 400 and response.mimetype == "text/html"


def _latest() -> Latest:
    return cast(Latest, current_app.extensions["demo_cost"])


def time_left(seconds: float) -> str:
    """Seconds in their two greatest units: "14 min 32 s"; the script that counts on writes them the same way."""
    rest = max(int(seconds), 0)
    words: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or words:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "over"
