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

RefreshKind = Literal["promote", "reopen", "rollback", "hold", "reissue"]
"""Which row of PROTOCOL.md's transition served a refresh."""

DeviceType = Literal["desktop", "phone", "tablet", "bot", "other"]


@dataclass(frozen=True, slots=True)
class Context:
    """Where a request came from, as far as the settings let it be kept."""

    ip: str | None = None
    user_agent: str | None = None


class Changes(NamedTuple):
    """Ids and times (milliseconds) of the sessions that ended, and of those whose short sessions were expired."""

    ended: Sequence[tuple[str, int]] = ()
    not_before: Sequence[tuple[str, int]] = ()


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
    previous: Context | None = None
    """The second context of a reopened or stolen session."""
    is_current: bool = False
    device_title: str = ""
    """The name or label of its device, in a history."""


def device_label(browser: str, system: str) -> str:
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
    device_type: DeviceType
    user_agent: str | None
    first_seen_at: datetime
    sessions: tuple[LongSession, ...] = ()
    is_current: bool = False

    @property
    def label(self) -> str:
        """What the browser says it is: "Safari on iPhone"."""
        return device_label(self.browser, self.system)

    @property
    def title(self) -> str:
        """The name its owner gave it, else the label."""
        return self.name or self.label

    @property
    def last_seen_at(self) -> datetime:
        """When any of its sessions was last refreshed."""
        return max((session.last_seen_at for session in self.sessions), default=self.first_seen_at)


# ---- the outcome of a request (DESIGN §4): exactly one is kept with it


@dataclass(frozen=True, slots=True)
class UserAgentDescription:
    """The columns of a device that are read from its user agent."""

    browser: str
    system: str
    device_type: DeviceType

    @property
    def label(self) -> str:
        """As the device will be called."""
        return device_label(self.browser, self.system)


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, for the app to tell its user. Called after the commit; an error in telling is logged, no more."""

    kind: Literal["new_device", "reuse"]
    user_id: str
    session_id: str
    context: Context
    """Who signed in; of a reuse, who came with the spent copy."""
    previous: Context | None = None
    """Of a reuse, who was refreshed last."""
    device_id: str = ""
    """The new device."""
    device_label: str = ""
    report_path: str | None = field(default=None, repr=False)
    """The path of a page whose one button ends every session of the new device: "this wasn't me". Put your own public
    URL before it, never the request's Host. It works once, for seven days."""


DEVICE_NAME_LENGTH = 80
