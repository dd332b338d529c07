"""The overview a person has of his sessions and devices, and ending any of them from there.

``user_id=None`` acts for anyone; the HTTP floor asks for that explicitly (``ANY_USER``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement

from ..database.sessions import Store
from ..model import signals
from ..model.clock import Clock, lifetime_ms, to_ms
from ..model.errors import SessionNotFound
from ..model.records import DEVICE_NAME_LENGTH, Device, EndReason, LongSession
from ..model.settings import Settings
from ..model.text import cut
from ..tokens.ids import is_id
from ..verification.ended import EndedSet

_DAY = 24 * 3600 * 1000


class Revocation:
    """List, rename, revoke and forget, on one app's database."""

    def __init__(self, settings: Settings, clock: Clock, store: Store, ended: EndedSet, sender: object) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._ended = ended
        self._sender = sender

    def devices(self, user_id: str, current: str | None) -> list[Device]:
        """The devices the user is signed in on, the current one first. One statement."""
        return self._store.devices(user_id, self._now(), current)

    def history(self, user_id: str, limit: int = 200, offset: int = 0) -> list[LongSession]:
        """The user's ended sessions, the latest first, as long as they are kept."""
        return self._store.history(user_id, limit, offset)

    def session(self, session_id: str) -> LongSession | None:
        """One session, live or ended, whoever's it is."""
        return self._store.session(session_id) if is_id(session_id) else None

    def rename_device(self, device_id: str, user_id: str | None, name: str) -> None:
        """Name a device; an empty name gives it its label back."""
        text = (cut(name.strip(), DEVICE_NAME_LENGTH) or "").strip()
        if not is_id(device_id) or not self._store.rename_device(device_id, user_id, text or None):
            raise SessionNotFound(device_id)

    def revoke(self, session_id: str, user_id: str | None, reason: EndReason = "revoked") -> list[str]:
        """End one session, or nothing if it has ended already; :class:`SessionNotFound` if it is not this user's."""
        which = self._store.session_is(session_id, user_id)
        return self._revoke(is_id(session_id), which, lambda: self._store.session_exists(which), user_id, reason)

    def revoke_device(self, device_id: str, user_id: str | None, reason: EndReason = "revoked") -> list[str]:
        """End every session on a device. :class:`SessionNotFound` if it is not this user's."""
        which = self._store.device_is(device_id, user_id)
        known = is_id(device_id)
        return self._revoke(known, which, lambda: self._store.device_exists(device_id, user_id), user_id, reason)

    def revoke_user(self, user_id: str, reason: EndReason, except_session_id: str | None = None) -> list[str]:
        """End every session of a user, but for one."""
        return self._revoke(True, self._store.user_is(user_id, except_session_id), lambda: True, user_id, reason)

    def _revoke(
        self,
        well_formed: bool,
        which: ColumnElement[bool],
        exists: Callable[[], bool],
        user_id: str | None,
        reason: EndReason,
    ) -> list[str]:
        if not well_formed:
            raise SessionNotFound("no id of ours")
        ended = self._store.end(which, reason, self._now())
        if not ended and not exists():
            raise SessionNotFound("no such session or device of this user")
        if ended:
            self._ended.add(ended)
            signals.session_revoked.send(self._sender, user_id=user_id, session_ids=ended, reason=reason)
        return ended

    def forget(self) -> Iterator[int]:
        """Delete what ended, or ran out, longer than the retention ago, batch by batch; yields how many each."""
        before = self._now() - lifetime_ms(self._settings.retention)
        for batch in (self._store.delete_old_sessions, self._store.delete_old_devices):
            while forgotten := batch(before):
                yield forgotten

    def live_sessions(self, user_id: str | None, limit: int) -> list[LongSession]:
        """The live sessions (of one user), those that started last first."""
        return self._store.live_sessions(user_id, self._now(), limit)

    def stats(self) -> dict[str, Any]:
        """How many sessions serve, for how many users, on how many devices; and how those of the last day ended."""
        now = self._now()
        return self._store.stats(now, now - _DAY)

    def _now(self) -> int:
        return to_ms(self._clock.now())
