"""The values that pass between the floors: frozen, without behaviour, without secrets in their repr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

EndReason = Literal["signed_out", "revoked", "operator", "reuse", "superseded", "user_disabled", "limit"]
"""Why a session was ended; stored."""

GoneReason = EndReason | Literal["expired", "idle", "missing"]
"""Why a long session no longer serves; the last three are computed, never stored."""

RefreshKind = Literal["promote", "reopen", "future", "hold", "reissue"]
"""Which row of PROTOCOL.md's transition served a refresh."""

Form = Literal["desktop", "phone", "tablet", "bot", "other"]


@dataclass(frozen=True, slots=True)
class Context:
    """Where a request came from, as far as the settings let it be kept."""

    ip: str | None = None
    user_agent: str | None = None


class Changes(NamedTuple):
    """Ids and times (milliseconds) of the sessions that ended, and of those whose short sessions were expired."""

    ended: Sequence[tuple[str, int]] = ()
    renewed: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class ShortSession:
    """The verified content of a short session's token."""

    user_id: str
    session_id: str | None
    issued_at: datetime
    expires_at: datetime
    issuer: str
    token_id: str | None = None
    auth_time: datetime | None = None
    amr: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LongSession:
    """A row of ``corbado_session`` as its owner may see it."""

    session_id: str
    user_id: str
    device_id: str
    created_at: datetime
    last_seen_at: datetime
    idle_expires_at: datetime
    expires_at: datetime
    auth_time: datetime
    amr: tuple[str, ...]
    persistent: bool
    ip: str | None
    user_agent: str | None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    other: Context | None = None
    """The second context of a reopened or stolen session."""
    is_current: bool = False
    device_title: str = ""
    """The name or label of its device, in a history."""


def label_of(browser: str, system: str) -> str:
    """What a browser says it is: "Safari on iPhone"."""
    return f"{browser} on {system}" if system else browser


@dataclass(frozen=True, slots=True)
class Device:
    """A browser installation and the long sessions that run on it, the latest first."""

    id: str
    user_id: str
    name: str | None
    browser: str
    system: str
    form: Form
    user_agent: str | None
    first_seen_at: datetime
    sessions: tuple[LongSession, ...] = ()
    is_current: bool = False

    @property
    def label(self) -> str:
        """What the browser says it is: "Safari on iPhone"."""
        return label_of(self.browser, self.system)

    @property
    def title(self) -> str:
        """The name its owner gave it, else the label."""
        return self.name or self.label

    @property
    def last_seen_at(self) -> datetime:
        """When any of its sessions was last refreshed."""
        return max((session.last_seen_at for session in self.sessions), default=self.first_seen_at)


@dataclass(frozen=True, slots=True)
class SessionUser:
    """The signed-in user of an app that has set no ``user_loader``: made from the claims, without a query."""

    id: str
    claims: Mapping[str, Any] = field(default_factory=dict)

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """The user id, as Flask-Login's users give it."""
        return self.id


class UserMixin:
    """What Flask-Login's mixin of that name gives a user class that has an ``id``."""

    __slots__ = ()
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """The id as text."""
        return str(self.id)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class AnonymousUser:
    """Nobody; what ``current_user`` is when no session came with the request, and outside a request."""

    id: None = None

    is_authenticated = False
    is_active = False
    is_anonymous = True

    def get_id(self) -> None:
        """None, as Flask-Login's anonymous user gives it."""
        return None


# ---- the outcome of a request (DESIGN §4): exactly one is kept with it


@dataclass(frozen=True, slots=True)
class Active:
    """A valid short session came with the request; no statement was needed."""

    short: ShortSession


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The long session gave a new short one; ``long_token`` is None where the browser keeps the one it has."""

    short: ShortSession
    short_token: str = field(repr=False)
    long_token: str | None = field(repr=False)
    persistent: bool
    long_expires_at: datetime
    at: datetime
    kind: RefreshKind


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody signed in, or confirmed it, in this request: a new long session."""

    short: ShortSession
    short_token: str = field(repr=False)
    long_token: str = field(repr=False)
    device_token: str = field(repr=False)
    persistent: bool
    long_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No session of ours came with the request; ``bearer_code`` says why a bearer token was refused."""

    bearer_code: str | None = None
    bearer_text: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """An authentic long session came that no longer serves."""

    session_id: str
    reason: GoneReason


@dataclass(frozen=True, slots=True)
class SignedOut:
    """This browser signed out in this request; its cookies are cleared."""


Outcome = Active | Refreshed | Started | Anonymous | Ended | SignedOut
