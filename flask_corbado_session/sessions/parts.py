"""The parts of one app, as ``assembly`` puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..database.engine import Database
from ..keys.key import KeyRing
from ..model.clock import Clock
from ..model.outcome import Outcome
from ..model.settings import Settings
from ..verification.ended import EndedSessionCache
from ..verification.short_sessions import ShortSessionAuthenticator
from .ahead import RefreshAhead
from .connected import ConnectedSessions
from .ending import Ending
from .hooks import Hooks
from .new_device import DisownLinks
from .refresh import Refresh
from .revocation import Revocation
from .sign_in import SignIn

if TYPE_CHECKING:
    from .bound import BoundSessions


class DatabaseParts(NamedTuple):
    """What an app with a database has beyond one that only verifies."""

    database: Database
    sign_in: SignIn
    refresh: Refresh
    refresh_ahead: RefreshAhead
    ending: Ending
    revocation: Revocation
    disown_links: DisownLinks
    ended_cache: EndedSessionCache
    connected: ConnectedSessions
    bound: BoundSessions | None
    """None while ``DEVICE_BINDING`` is off."""


class OldLogins(Protocol):
    """Logins of another extension, which become sessions of ours (``migration``)."""

    @property
    def until(self) -> datetime:
        """From when on none does."""

    def move(self) -> Outcome | None:
        """The outcome of a request that came with such a login and with no session; None where there is none."""

    def sign_out(self) -> None:
        """End the one that came with the request."""


@dataclass(frozen=True, slots=True, eq=False)
class AppState:
    """Everything of one app, in ``app.extensions["corbado_session"]``."""

    settings: Settings
    clock: Clock
    keys: KeyRing
    secret_keys: Sequence[str | bytes] = field(repr=False)
    """``SECRET_KEY``, then its fallbacks; empty in an app that only verifies."""
    short_sessions: ShortSessionAuthenticator
    hooks: Hooks
    parts: DatabaseParts | None
    reads_cookies: bool
    """False in a service that only verifies and has been told no cookie: there a session comes as bearer alone."""
    logged_once: set[str] = field(default_factory=set)
    """Which of the messages that are logged once have been."""
    old_logins: list[OldLogins] = field(default_factory=list)
    """What is asked, in turn, where no session of ours came with a request."""

    def with_database(self) -> DatabaseParts:
        """The database side; RuntimeError in a service that only verifies."""
        if self.parts is None:
            raise RuntimeError(
                "this app's CorbadoSession only verifies: sessions start and end where CorbadoSession has a db"
            )
        return self.parts
