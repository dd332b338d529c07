"""How a session starts: at sign-in, and at step-up, which gives a new session the old one's place."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ..database.devices import DeviceStore
from ..database.rows import CarriedOver, NewSession
from ..database.sessions import SessionStore
from ..model import signals
from ..model.clock import Clock
from ..model.errors import StoreUnavailable
from ..model.outcome import Started
from ..model.records import Notice, UserAgentDescription
from ..model.settings import Settings
from ..tokens.ids import new_id
from ..tokens.long import DeviceTokenSigner, LongTokenSigner, first_token
from ..tokens.short import check_claims
from .ending import Ending
from .hooks import Hooks
from .minting import Minter, check_amr
from .new_device import DisownLinks
from .presented import PresentedTokens
from .user_agent import describe

log = logging.getLogger("flask_corbado_session")

LONG_AGO = datetime.fromtimestamp(0, UTC)
"""The ``auth_time`` of a sign-in at which nobody proved who they are: whatever asks for a recent one asks again."""


class _DeviceSignedInOn(NamedTuple):
    id: str
    token: str
    cookie_hash: bytes
    description: UserAgentDescription | None
    """Of a device that is new."""


class SignIn:
    """Starts sessions on one app's settings, keys and database."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        minter: Minter,
        long_tokens: LongTokenSigner,
        device_tokens: DeviceTokenSigner,
        sessions: SessionStore,
        devices: DeviceStore,
        ending: Ending,
        disown_links: DisownLinks,
        hooks: Hooks,
        sender: object,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._minter = minter
        self._long_tokens = long_tokens
        self._device_tokens = device_tokens
        self._sessions = sessions
        self._devices = devices
        self._ending = ending
        self._disown_links = disown_links
        self._hooks = hooks
        self._sender = sender

    def start(
        self,
        user_id: str,
        presented: PresentedTokens,
        *,
        persistent: bool,
        claims: Mapping[str, Any],
        amr: Iterable[str],
        superseding: str | None = None,
        lifetime: timedelta | None = None,
        fresh: bool = True,
        notify: bool = True,
    ) -> Started:
        """A new long session under a new id; what was presented is ended as ``superseded``.

        ``lifetime`` makes it shorter than ``LONG_LIFETIME``; ``fresh=False`` says that nobody proved anything just now,
        and ``notify=False`` that nobody is to be told of a new device.
        Raises ValueError for claims or an amr that do not fit in a token, and what the claims loader raises, before
        anything is written.
        """
        checked_claims, methods = check_claims(claims), check_amr(amr)
        at, session_id = self._clock.now(), new_id()
        expires_at = at + min(lifetime or self._settings.long_lifetime, self._settings.long_lifetime)
        auth_time = at if fresh else LONG_AGO
        short, short_token = self._minter.mint(
            user_id,
            session_id,
            at,
            long_expires_at=expires_at,
            auth_time=auth_time,
            amr=methods,
            claims={**checked_claims, **check_claims(self._hooks.claims(user_id))},
        )
        context = presented.context(self._settings)
        device = self._device(user_id, presented.device, context.user_agent, at)
        token, root_hash = first_token(session_id)
        new = NewSession(
            session_id=session_id,
            user_id=user_id,
            device_id=device.id,
            secret_hash=token.secret_hash,
            root_hash=root_hash,
            persistent=persistent,
            claims=checked_claims,
            amr=methods,
            context=context,
            created_at=at,
            auth_time=auth_time,
            idle_expires_at=min(at + self._settings.idle_lifetime, expires_at),
            expires_at=expires_at,
        )
        superseded = self._sessions.add(new, self._ending.presented_session_ids(presented, superseding))
        self._ending.record(superseded, None, "superseded")
        self._enforce_session_limit(user_id, at)
        self._send_started(new, device, notify=notify)
        return Started(short, short_token, self._long_tokens.dump(token), device.token, persistent, expires_at)

    def carried_over(self, session_id: str) -> CarriedOver | None:
        """What a step-up carries over to the new session: whether it is persistent, its claims, how long it lasts."""
        return self._sessions.carried_over(session_id)

    def _device(self, user_id: str, values: Iterable[str], user_agent: str | None, at: datetime) -> _DeviceSignedInOn:
        """The device of the cookie that was presented, else a new one with a new cookie."""
        loaded = ((value, self._device_tokens.load(value)) for value in values)
        known = next(((value, cookie_hash) for value, cookie_hash in loaded if cookie_hash is not None), None)
        token, cookie_hash = known or self._device_tokens.new()
        device_id, description = self._devices.find_or_add(
            user_id, cookie_hash, user_agent, lambda: describe(user_agent), at, unused_is_new=True
        )
        return _DeviceSignedInOn(device_id, token, cookie_hash, description)

    def _enforce_session_limit(self, user_id: str, at: datetime) -> None:
        try:
            surplus = self._sessions.enforce_session_limit(user_id, self._settings.max_sessions_per_user, at)
        except StoreUnavailable as error:  # signed in all the same; the next sign-in tries again
            log.warning("the sessions beyond CORBADO_SESSION_MAX_SESSIONS_PER_USER could not be ended: %s", error)
            return
        self._ending.record(surplus, user_id, "limit")

    def _send_started(self, new: NewSession, device: _DeviceSignedInOn, *, notify: bool) -> None:
        user_id, session_id, context = new.user_id, new.session_id, new.context
        facts: dict[str, Any] = {
            "user_id": user_id,
            "session_id": session_id,
            "device_id": device.id,
            "context": context,
        }
        signals.session_started.send(self._sender, **facts)
        if device.description is not None:
            signals.device_added.send(self._sender, **facts)
        if device.description is not None and notify:
            label = device.description.label
            notice = Notice("new_device", user_id, session_id, context, device_id=device.id, device_label=label)
            self._hooks.notify(notice, self._disown_links.create(device.id, device.cookie_hash))
