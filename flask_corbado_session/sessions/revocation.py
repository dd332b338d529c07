"""Devices and sessions are listed here, and ended from elsewhere: by their user on another device, or by an operator.

``user_id=None`` acts on anyone's; the web has callers say so explicitly (``ANY_USER``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..database.cleanup import Cleanup
from ..database.devices import DeviceStore
from ..database.sessions import SessionStore
from ..model import signals
from ..model.clock import Clock
from ..model.errors import SessionNotFound
from ..model.records import DEVICE_NAME_LENGTH, Device, EndReason, LongSession
from ..model.settings import Settings
from ..model.text import printable
from ..tokens.ids import is_id
from ..verification.ended import EndedSet

if TYPE_CHECKING:
    from ..database.old_logins import OldLoginStore

_A_DAY = timedelta(days=1)


class Revocation:
    """Lists, renames, revokes and deletes, on one app's database."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        sessions: SessionStore,
        devices: DeviceStore,
        cleanup: Cleanup,
        ended: EndedSet,
        sender: object,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sessions = sessions
        self._devices = devices
        self._cleanup = cleanup
        self._ended = ended
        self._sender = sender
        self.old_logins: OldLoginStore | None = None
        """In an app that moves old logins: those of a user who is revoked are refused."""

    # ---- lists

    def devices(self, user_id: str, current_id: str | None) -> list[Device]:
        """The devices the user is signed in on, the current one first. One statement."""
        return self._devices.of_user(user_id, self._clock.now(), current_id)

    def device_of(self, session_id: str) -> Device | None:
        """The device a live session runs on. One statement."""
        return self._devices.of_session(session_id, self._clock.now())

    def device_id_of(self, session_id: str) -> str | None:
        """The id of the device a session runs on. One statement."""
        return self._sessions.device_id_of(session_id)

    def history(self, user_id: str, limit: int = 200, offset: int = 0) -> list[LongSession]:
        """The user's ended sessions, the latest first, as long as they are kept."""
        return self._sessions.history(user_id, limit, offset)

    def session(self, session_id: str) -> LongSession | None:
        """One session of any user, live or ended."""
        return self._sessions.session(session_id) if is_id(session_id) else None

    def live_sessions(self, user_id: str | None, limit: int) -> list[LongSession]:
        """The live sessions (of one user), those that started last first."""
        return self._sessions.live_sessions(user_id, self._clock.now(), limit)

    def stats(self) -> dict[str, Any]:
        """How many sessions serve, for how many users, on how many devices; and how those of the last day ended."""
        now = self._clock.now()
        return self._cleanup.stats(now, now - _A_DAY)

    # ---- changes; each raises SessionNotFound for what is not this user's

    def rename_device(self, device_id: str, user_id: str | None, name: str) -> None:
        """Name a device; an empty name gives it its label back."""
        clean = (printable(name.strip(), DEVICE_NAME_LENGTH) or "").strip()
        if not is_id(device_id) or not self._devices.rename(device_id, user_id, clean or None):
            raise SessionNotFound("no such device of this user")

    def revoke(self, session_id: str, user_id: str | None, reason: EndReason = "revoked") -> list[str]:
        """End one session, or nothing if it has ended already; the ids of what was ended."""
        _check_id(session_id)
        ended = self._sessions.end_session(session_id, reason, self._clock.now(), user_id=user_id)
        return self._record(ended, user_id, reason, lambda: self._sessions.exists(session_id, user_id))

    def revoke_device(self, device_id: str, user_id: str | None, reason: EndReason = "revoked") -> list[str]:
        """End every session on a device; the ids of what was ended."""
        _check_id(device_id)
        ended = self._sessions.end_device(device_id, reason, self._clock.now(), user_id=user_id)
        return self._record(ended, user_id, reason, lambda: self._devices.exists(device_id, user_id))

    def revoke_user(self, user_id: str, reason: EndReason, except_session_id: str | None = None) -> list[str]:
        """End every session of a user, but for one; the ids of what was ended."""
        now = self._clock.now()
        if self.old_logins is not None:  # before the sessions end, so that none is moved in between
            self.old_logins.refuse(user_id, now)
        ended = self._sessions.end_user(user_id, reason, now, except_session_id=except_session_id)
        return self._record(ended, user_id, reason, lambda: True)

    def revoke_sessions(self, session_ids: list[str], reason: EndReason) -> list[str]:
        """End these sessions, of any user; the ids of what was ended."""
        ended = self._sessions.end_sessions(session_ids, reason, self._clock.now())
        return self._record(ended, None, reason, lambda: True)

    def session_exists(self, session_id: str) -> bool:
        """Whether there is such a session, live or ended."""
        return is_id(session_id) and self._sessions.exists(session_id)

    def device_exists(self, device_id: str) -> bool:
        """Whether there is such a device."""
        return is_id(device_id) and self._devices.exists(device_id)

    def _record(
        self, ended: list[str], user_id: str | None, reason: EndReason, exists: Callable[[], bool]
    ) -> list[str]:
        if not ended and not exists():
            raise SessionNotFound("no such session or device of this user")
        if ended:
            self._ended.add(ended)
            signals.session_revoked.send(self._sender, user_id=user_id, session_ids=ended, reason=reason)
        return ended

    # ---- old rows

    def delete_old(self) -> Iterator[int]:
        """Delete what ended, or ran out, longer than the retention ago, batch by batch; yields how many rows each."""
        yield from self._cleanup.delete_old(self._clock.now() - self._settings.retention)


def _check_id(value: str) -> None:
    if not is_id(value):
        raise SessionNotFound("this is no id of a session or device")
