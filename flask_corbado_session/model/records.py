"""The values that pass between the rooms: frozen, almost without behaviour, without secrets in their repr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from .frozen import FrozenDict, frozen, made_by_position

EndReason = Literal["signed_out", "revoked", "operator", "reuse", "superseded", "user_disabled", "limit"]
"""Why a session was ended; stored."""

GoneReason = EndReason | Literal["expired", "idle", "missing", "unproven"]
"""Why a long session no longer serves; the last four are computed, never stored. An unproven one goes on elsewhere:
it is bound to a key that this browser did not prove."""

SessionState = Literal["live", "ended", "expired", "idle"]
"""What a session's row amounts to at a time (``database.conditions``)."""

RefreshKind = Literal["promote", "reopen", "rollback", "hold", "reissue"]
"""Which row of PROTOCOL.md's transition served a refresh."""

DeviceType = Literal["desktop", "phone", "tablet", "bot", "other"]

DEVICE_NAME_LENGTH = 80
"""Characters of the name a person gives a device."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a request came from, as far as the settings let it be kept.

    :param ip: the address; None with ``CORBADO_SESSION_STORE_IP = False``.
    :param user_agent: the header, cut to 512 characters; None with ``CORBADO_SESSION_STORE_USER_AGENT = False``.
    """

    ip: str | None = None
    user_agent: str | None = None


class Changes(NamedTuple):
    """What changed lately: ids with times in milliseconds. Sessions that ended, and sessions whose short tokens made
    before a time do not count (``not_before``)."""

    ended: Sequence[tuple[str, int]] = ()
    not_before: Sequence[tuple[str, int]] = ()


@made_by_position
@dataclass(frozen=True, slots=True)
class ShortSession:
    """The verified content of a short session's token.

    :param user_id: whose it is (``sub``).
    :param session_id: the public id of the long session (``sid``); None in a token that was made elsewhere without one.
    :param issued_at: when it was made (``iat``); aware, UTC.
    :param expires_at: when it ends (``exp``); aware, UTC.
    :param issuer: who made it (``iss``).
    :param token_id: the token's own id (``jti``).
    :param auth_time: when the user last proved who they are; aware, UTC.
    :param amr: by which methods they did (RFC 8176).
    :param claims: the app's own claims.
    :param bound: whether the browser proved, for it, that it holds the key its long session is bound to.
    """

    user_id: str
    session_id: str | None
    issued_at: datetime
    expires_at: datetime
    issuer: str
    token_id: str | None = None
    auth_time: datetime | None = None
    amr: tuple[str, ...] = ()
    bound: bool = False
    """Whether the browser proved, for this short session, that it holds the key its long one is bound to."""
    claims: Mapping[str, Any] = field(default_factory=FrozenDict)
    """The app's own claims. They can't be changed, because one value serves every request with this token."""

    def __post_init__(self) -> None:
        if type(self.claims) is not FrozenDict:
            object.__setattr__(self, "claims", frozen(dict(self.claims)))


@dataclass(frozen=True, slots=True)
class LongSession:
    """A long session, as its owner and operators may see it: where it runs and until when. Times are aware, in UTC.

    :param session_id: its public id, 30 characters; never the secret.
    :param user_id: whose it is.
    :param device_id: the device it runs on.
    :param created_at: when the user signed in.
    :param last_seen_at: when it was last refreshed, which is once in a short lifetime while it is used.
    :param idle_expires_at: when it ends if it is not used.
    :param expires_at: when it ends even if it is used; never changes.
    :param auth_time: when the user last proved who they are.
    :param amr: by which methods they did (RFC 8176).
    :param persistent: whether its cookies outlive the browser's own session (``remember``).
    :param ip: the address of the last refresh.
    :param user_agent: the browser of the last refresh.
    :param ended_at: when it was ended; None for one that is live, idle or expired.
    :param end_reason: why it was ended.
    :param previous: where the other holder came from, for a session that two held.
    :param is_current: whether this request came with it.
    :param device_title: the name or label of its device, in a history.
    :param bound: whether it is bound to a key of its browser's, so that a copy of its cookies can't be refreshed.
    """

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
    bound: bool = False
    """Whether it is bound to a key of its browser's, so that a copy of its cookies can't be refreshed."""
    device_title: str = ""
    """The name or label of its device, in a history."""


def device_label(browser: str, system: str) -> str:
    """What a browser says it is: "Safari on iPhone"."""
    return f"{browser} on {system}" if system else browser


@dataclass(frozen=True, slots=True)
class Device:
    """A browser installation and the long sessions that run on it, the latest first.

    :param id: its id.
    :param user_id: whose it is.
    :param name: what its owner calls it, at most 80 characters; None until they name it.
    :param browser: "Safari"; read from the user agent when the device was first seen.
    :param system: "iPhone"; empty where the user agent does not say.
    :param device_type: ``desktop``, ``phone``, ``tablet``, ``bot`` or ``other``.
    :param user_agent: the header it was first seen with.
    :param first_seen_at: when that was; aware, UTC.
    :param sessions: its live sessions.
    :param is_current: whether this request came from it.
    """

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


class UserAgentDescription(NamedTuple):
    """What a user agent says of the browser it comes from; kept with the device."""

    browser: str
    system: str
    device_type: DeviceType

    @property
    def label(self) -> str:
        """What the device is called until its owner names it."""
        return device_label(self.browser, self.system)


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the app to send to its user: someone signed in on a new device, or a copied session was used.

    The notifier is called after the commit; what it raises is logged and undoes nothing.

    :param kind: ``new_device`` or ``reuse``.
    :param user_id: whom to tell.
    :param session_id: the session that was started, or that two held.
    :param context: where the sign-in came from; for a reuse, where the copied token came from.
    :param previous: for a reuse, where the session was refreshed last.
    :param device_id: the device, for a new one.
    :param device_label: what its browser says it is: "Safari on iPhone".
    :param report_path: the path of a page that ends every session of the new device.
    """

    kind: Literal["new_device", "reuse"]
    user_id: str
    session_id: str
    context: Context
    """Where the sign-in came from; for a reuse, where the copied token came from."""
    previous: Context | None = None
    """For a reuse, where the session was refreshed last."""
    device_id: str = ""
    """The new device."""
    device_label: str = ""
    report_path: str | None = field(default=None, repr=False)
    """The path of a page whose one button ends every session of the new device: "this wasn't me". Put your own public
    URL before it, never the request's Host. It works once, for seven days."""
