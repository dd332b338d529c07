"""What operators do: they end anyone's sessions. It is recorded before it is done, so that nothing is done unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep
from typing import Any, Literal

from sqlalchemy import func, insert, select, update

from ..database.engine import Database
from ..model.clock import Clock, from_ms, to_ms
from ..model.errors import SessionNotFound
from ..sessions.revocation import Revocation
from ..tokens.ids import new_id
from .paging import Cursor, Order, Page
from .queries import OperatorStore

Action = Literal["revoke_session", "revoke_device", "revoke_user", "revoke_before"]
BATCH = 500
"""Sessions ended by one statement: few enough that nobody who signs in waits for it."""
BATCH_INTERVAL = 0.25
"""Seconds that each batch takes at least. Every process polls what ended in the last minute, and two thousand a second
are as much as they should be given to read."""
TIME_LIMIT = 10.0
"""Seconds that one request goes on ending sessions; the next one goes on from there."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who does it: a signed-in user by the pages, or a project by the operator API."""

    id: str
    via: Literal["page", "api"] = "page"


@dataclass(frozen=True, slots=True)
class RevokeResult:
    """What came of an action; ``next`` where there is more of it to do."""

    action_id: str
    ended: list[str]
    next: Cursor | None = None


class OperatorLog:
    """Ends sessions and records that, on one database."""

    def __init__(self, database: Database, clock: Clock, revocation: Revocation) -> None:
        self.store = OperatorStore(database, database.tables)
        self._database = database
        self._actions = database.tables.operator_action
        self._clock = clock
        self._revocation = revocation

    # ---- doing

    def revoke_session(self, operator: Operator, session_id: str) -> RevokeResult:
        """End one session; :class:`SessionNotFound` if there is none of that id. Four statements."""
        if not self._revocation.session_exists(session_id):
            raise SessionNotFound(session_id)
        work = partial(self._revocation.revoke, session_id, None, "operator")
        return self._do(operator, "revoke_session", session_id, work)

    def revoke_device(self, operator: Operator, device_id: str) -> RevokeResult:
        """End every session on a device; :class:`SessionNotFound` if there is none of that id. Four statements."""
        if not self._revocation.device_exists(device_id):
            raise SessionNotFound(device_id)
        work = partial(self._revocation.revoke_device, device_id, None, "operator")
        return self._do(operator, "revoke_device", device_id, work)

    def revoke_user(self, operator: Operator, user_id: str) -> RevokeResult:
        """End every session of a user. Three statements."""
        return self._do(operator, "revoke_user", user_id, partial(self._revocation.revoke_user, user_id, "operator"))

    def revoke_before(
        self,
        operator: Operator,
        before: int,
        except_session_id: str | None,
        action_id: str | None = None,
        after: Cursor | None = None,
    ) -> RevokeResult:
        """End what was signed in before a time (milliseconds), batch by batch, all but one session.

        It stops after :data:`PATIENCE` seconds. With what it returned, its ``action_id`` and ``next``, it goes on.
        """
        action_id = action_id or self._begin(operator, "revoke_before", from_ms(before).isoformat(), 0)
        ended: list[str] = []
        started = monotonic()
        while True:
            begun = monotonic()
            page = self._live_before(before, after)
            ended += self._end([row.id for row in page.rows if row.id != except_session_id], action_id)
            after = page.next
            if after is None or monotonic() - started >= TIME_LIMIT:
                return RevokeResult(action_id, ended, after)
            sleep(max(0.0, begun + BATCH_INTERVAL - monotonic()) if page.rows else 0.0)

    def _live_before(self, before: int, after: Cursor | None) -> Page:
        store, c = self.store, self.store.session.c
        order = Order((c.created_at, c.id), descending=True, within=c.created_at < before)
        live = select(c.created_at, c.id).where(store.in_state("live", to_ms(self._clock.now())))
        return store.paginator.page(live, order, after, is_search=True, size=BATCH)

    def _end(self, session_ids: list[str], action_id: str) -> list[str]:
        if not session_ids:
            return []
        ended = self._revocation.revoke_sessions(session_ids, "operator")
        self._count(action_id, len(ended))
        return ended

    def _do(self, operator: Operator, action: Action, target: str, work: Callable[[], list[str]]) -> RevokeResult:
        action_id = self._begin(operator, action, target, None)
        ended = work()
        self._count(action_id, len(ended))
        return RevokeResult(action_id, ended)

    # ---- recording

    def _begin(self, operator: Operator, action: Action, target: str, sessions: int | None) -> str:
        row = {
            "id": new_id(),
            "at": to_ms(self._clock.now()),
            "operator_id": operator.id,
            "via": operator.via,
            "action": action,
            "target": target,
            "sessions": sessions,
        }
        self._database.run(lambda connection: connection.execute(insert(self._actions), row))
        return str(row["id"])

    def _count(self, action_id: str, more: int) -> None:
        c = self._actions.c
        change = update(self._actions).where(c.id == action_id).values(sessions=func.coalesce(c.sessions, 0) + more)
        self._database.run(lambda connection: connection.execute(change))

    def actions(self, after: Cursor | None) -> Page:
        """What operators did, the latest first."""
        c = self._actions.c
        order = Order((c.at, c.id), descending=True)
        return self.store.paginator.page(select(c.at, c.id, *self._rest()), order, after, is_search=False)

    def action(self, action_id: str) -> Any:
        """One of them, or None."""
        c = self._actions.c
        asked = select(c.at, c.id, *self._rest()).where(c.id == action_id)
        return self._database.run(lambda connection: connection.execute(asked).one_or_none())

    def _rest(self) -> list[Any]:
        return [column for column in self._actions.c if column.name not in ("at", "id")]
