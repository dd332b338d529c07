"""Revocation by operators. Each action is recorded before it is done, so that none goes unrecorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep
from typing import Any, Literal

from sqlalchemy import Column, Row, Update, func, insert, select, update

from ..database.engine import Database
from ..database.windows import Cursor, Order
from ..model.clock import Clock, from_ms, to_ms
from ..model.errors import ConstraintViolated, SessionNotFound
from ..sessions.revocation import Revocation
from ..tokens.ids import new_id
from .paging import Page
from .queries import OperatorStore

Action = Literal["revoke_session", "revoke_device", "revoke_user", "revoke_before"]
BATCH = 500
"""Sessions ended by one statement: few enough that a sign-in does not have to wait for it."""
BATCH_INTERVAL = 0.25
"""Seconds from the start of one batch to the start of the next. Every process polls the sessions that ended in the last
minute; this bounds them to two thousand a second."""
TIME_LIMIT = 10.0
"""Seconds after which one request stops revoking; the next request continues from there."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts: a signed-in user on the pages, or a project through the operator API."""

    id: str
    via: Literal["page", "api"] = "page"


@dataclass(frozen=True, slots=True)
class RevokeResult:
    """The result of an action. ``next`` is where to continue, if there is more to revoke."""

    action_id: str
    ended: list[str]
    next: Cursor | None = None


class OperatorLog:
    """Revokes sessions and records it, on one database."""

    def __init__(self, database: Database, clock: Clock, store: OperatorStore, revocation: Revocation) -> None:
        self._store = store
        self._database = database
        self._actions = database.tables.operator_action
        self._clock = clock
        self._revocation = revocation

    # ---- revoking

    def revoke_session(self, operator: Operator, session_id: str) -> RevokeResult:
        """Revoke one session; :class:`SessionNotFound` if no session has this id. Four statements."""
        if not self._revocation.session_exists(session_id):
            raise SessionNotFound(session_id)
        work = partial(self._revocation.revoke, session_id, None, "operator")
        return self._do(operator, "revoke_session", session_id, work)

    def revoke_device(self, operator: Operator, device_id: str) -> RevokeResult:
        """Revoke every session on a device; :class:`SessionNotFound` if no device has this id. Four statements."""
        if not self._revocation.device_exists(device_id):
            raise SessionNotFound(device_id)
        work = partial(self._revocation.revoke_device, device_id, None, "operator")
        return self._do(operator, "revoke_device", device_id, work)

    def revoke_user(self, operator: Operator, user_id: str) -> RevokeResult:
        """Revoke every session of a user. Three statements."""
        return self._do(operator, "revoke_user", user_id, partial(self._revocation.revoke_user, user_id, "operator"))

    def revoke_before(
        self,
        operator: Operator,
        before: int,
        except_session_id: str | None,
        action_id: str | None = None,
        after: Cursor | None = None,
    ) -> RevokeResult:
        """Revoke every session that was signed in before a time (milliseconds) but ``except_session_id``, in batches.

        It stops after :data:`TIME_LIMIT`. To continue, pass the ``action_id`` and ``next`` that it returned.
        """
        action_id = action_id or self._begin(operator, "revoke_before", from_ms(before).isoformat(), 0)
        ended: list[str] = []
        started = monotonic()
        while True:
            batch_started = monotonic()
            page = self._live_before(before, after)
            ended += self._end([row.id for row in page.rows if row.id != except_session_id], action_id)
            after = page.next
            if after is None or monotonic() - started >= TIME_LIMIT:
                return RevokeResult(action_id, ended, after)
            sleep(max(0.0, batch_started + BATCH_INTERVAL - monotonic()) if page.rows else 0.0)

    def _live_before(self, before: int, after: Cursor | None) -> Page:
        store, c = self._store, self._store.session.c
        order = Order((c.created_at, c.id), descending=True, within=c.created_at < before)
        live = select(c.created_at, c.id).where(store.in_state("live", to_ms(self._clock.now())))
        return store.paginator.page(live, order, after, is_search=True, size=BATCH)

    def _end(self, session_ids: list[str], action_id: str) -> list[str]:
        if not session_ids:
            return []
        ended = self._revocation.revoke_sessions(session_ids, "operator")
        self._add_to_count(action_id, len(ended))
        return ended

    def _do(self, operator: Operator, action: Action, target: str, work: Callable[[], list[str]]) -> RevokeResult:
        action_id = self._begin(operator, action, target, None)
        ended = work()
        stmt = self._of(action_id).values(sessions=len(ended))
        self._database.run(lambda connection: connection.execute(stmt), writes=True)
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
        with suppress(ConstraintViolated):  # ids are random: it was recorded, and the answer to that lost
            self._database.run(lambda connection: connection.execute(insert(self._actions), row), writes=True)
        return str(row["id"])

    def _add_to_count(self, action_id: str, more: int) -> None:
        c = self._actions.c
        before = self._database.run(
            lambda connection: connection.execute(select(c.sessions).where(c.id == action_id)).scalar()
        )
        add = self._of(action_id).values(sessions=func.coalesce(c.sessions, 0) + more)
        # again only if the first time was not: its answer may have been lost
        self._database.run(
            lambda connection: connection.execute(add),
            lambda connection: connection.execute(add.where(func.coalesce(c.sessions, 0) == (before or 0))),
            writes=True,
        )

    def _of(self, action_id: str) -> Update:
        return update(self._actions).where(self._actions.c.id == action_id)

    def actions(self, after: Cursor | None) -> Page:
        """The recorded actions, the latest first."""
        c = self._actions.c
        order = Order((c.at, c.id), descending=True)
        return self._store.paginator.page(select(c.at, c.id, *self._rest()), order, after, is_search=False)

    def action(self, action_id: str) -> Row[Any] | None:
        """One recorded action, or None."""
        c = self._actions.c
        stmt = select(c.at, c.id, *self._rest()).where(c.id == action_id)
        return self._database.run(lambda connection: connection.execute(stmt).one_or_none())

    def _rest(self) -> list[Column[Any]]:
        return [column for column in self._actions.c if column.name not in ("at", "id")]
