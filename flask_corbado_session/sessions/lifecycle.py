"""The rules: how a session starts, what a request's tokens amount to, how a session ends. No Flask in here.

Expected ends are values (``records.Outcome``), not exceptions; :class:`StoreUnavailable` alone is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, assert_never

from ..database.rotation import Accepted, Gone, Rotation
from ..database.sessions import NewSession, Store
from ..keys.key import KeyRing
from ..model import signals
from ..model.clock import Clock, from_ms, to_ms
from ..model.errors import StoreUnavailable
from ..model.outcome import Active, Anonymous, Ended, Outcome, Refreshed, Started
from ..model.records import Context, GoneReason, Notice, ShortSession
from ..model.settings import Settings
from ..model.text import cut
from ..tokens.ids import new_id
from ..tokens.long import DeviceTokenSigner, LongToken, LongTokenSigner, first_token
from ..tokens.short import check_claims, mint, new_token_id
from ..verification.ended import EndedSessionCache
from ..verification.short_sessions import ShortSessionAuthenticator
from .hooks import Loaders
from .new_device import DisownLinks
from .presented import PresentedTokens
from .user_agent import clean_user_agent, describe

log = logging.getLogger("flask_corbado_session")

_AMR_LIMIT = 255
_IP_LENGTH = 45


class _Device(NamedTuple):
    """The device somebody signs in on."""

    id: str
    token: str
    cookie_hash: bytes
    is_new: bool


class Lifecycle:
    """Start, resolve and end, on one app's settings, keys and database."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        keys: KeyRing,
        secret_keys: Sequence[str | bytes],
        shorts: ShortSessionAuthenticator,
        store: Store,
        rotation: Rotation,
        disowning: DisownLinks,
        loaders: Loaders,
        sender: object,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = keys
        self._long_tokens = LongTokenSigner(secret_keys)
        self._device_tokens = DeviceTokenSigner(secret_keys)
        self._shorts = shorts
        self._store = store
        self._rotation = rotation
        self._disowning = disowning
        self._loaders = loaders
        self._sender = sender
        self._dead = EndedSessionCache(clock)

    # ---- resolve

    def resolve(self, presented: PresentedTokens) -> Outcome:
        """What the tokens amount to: the short session if one holds, else what the long one gives."""
        short = self._shorts.first_valid(presented.short)
        return self.refresh(presented) if short is None else Active(short)

    def refresh(self, presented: PresentedTokens) -> Outcome:
        """What the long tokens amount to, also while a short session is still good. Statements: PROTOCOL.md."""
        outcome: Outcome = Anonymous()
        if not presented.may_refresh:
            return outcome
        for token in self._authentic(presented.long):
            found = self._present(token, self._context(presented))
            if isinstance(found, Refreshed):
                return found
            outcome = found
        return outcome

    def _authentic(self, values: Iterable[str]) -> list[LongToken]:
        """The tokens we signed, the furthest one of each session: of two cookies of one name one may be stale."""
        furthest: dict[str, LongToken] = {}
        for value in values:
            token = self._long_tokens.load(value)
            if token is not None and token.generation >= furthest.get(token.session_id, token).generation:
                furthest[token.session_id] = token
        return list(furthest.values())

    def _present(self, token: LongToken, context: Context) -> Refreshed | Ended:
        reason = self._dead.reason(token.session_id)
        if reason is not None:
            return Ended(token.session_id, reason)
        at = self._clock.now()
        verdict = self._rotation.present(token, context, to_ms(at))
        match verdict:
            case Accepted():
                return self._accept(token, verdict, context, at)
            case Gone():
                return self._record_ended(token.session_id, verdict, context)
            case _:  # pragma: no cover
                assert_never(verdict)

    def _accept(self, token: LongToken, accepted: Accepted, context: Context, at: datetime) -> Refreshed | Ended:
        user_id = accepted.user_id
        if not self._loaders.user_exists(user_id):
            self.end_disabled(token.session_id, user_id)
            return Ended(token.session_id, "user_disabled")
        expires_at = from_ms(accepted.expires_at)
        claims = {**accepted.claims, **check_claims(self._loaders.claims(user_id))}
        auth_time = from_ms(accepted.auth_time)
        # whole seconds: one made in the second in which the others were expired must not look as old as they
        made_at = max(at, from_ms((accepted.short_not_before or -1000) + 1000))
        short, short_token = self._mint(user_id, token.session_id, made_at, expires_at, auth_time, accepted.amr, claims)
        signals.session_refreshed.send(
            self._sender,
            user_id=user_id,
            session_id=token.session_id,
            kind=accepted.kind,
            context=context,
            previous=accepted.previous,
        )
        return Refreshed(
            short=short,
            short_token=short_token,
            long_token=self._long_tokens.dump(token.child()) if accepted.gets_child else None,
            persistent=accepted.persistent,
            long_expires_at=expires_at,
            at=at,
            kind=accepted.kind,
        )

    def _record_ended(self, session_id: str, gone: Gone, context: Context) -> Ended:
        self._dead.remember([session_id], gone.reason)
        if gone.found_now:
            self._shorts_ended([session_id])
            signals.session_reuse_detected.send(
                self._sender, user_id=gone.user_id, session_id=session_id, context=context, previous=gone.previous
            )
            self._loaders.notify(Notice("reuse", gone.user_id or "", session_id, context, gone.previous), None)
        return Ended(session_id, gone.reason)

    # ---- start

    def start(
        self,
        user_id: str,
        presented: PresentedTokens,
        *,
        persistent: bool,
        claims: Mapping[str, Any],
        amr: Iterable[str],
        superseding: str | None = None,
    ) -> Started:
        """A new long session under a new id; what was presented is ended as ``superseded``.

        Raises ValueError for claims or an amr that do not fit in a token, before anything is written.
        """
        given, methods = check_claims(claims), check_amr(amr)
        at, session_id, context = self._clock.now(), new_id(), self._context(presented)
        expires_at = at + self._settings.long_lifetime
        self._mint(user_id, session_id, at, expires_at, at, methods, given)  # ValueError if they are too large
        device = self._device(user_id, presented.device, context.user_agent, to_ms(at))
        token, root = first_token(session_id)
        new = NewSession(
            session_id=session_id,
            user_id=user_id,
            device_id=device.id,
            secret_hash=token.secret_hash,
            root=root,
            persistent=persistent,
            claims=given,
            amr=methods,
            context=context,
            created_at=to_ms(at),
            auth_time=to_ms(at),
            idle_expires_at=to_ms(at + self._settings.idle_lifetime),
            expires_at=to_ms(expires_at),
        )
        self._note_ended(
            self._store.add_session(new, self._presented_session_ids(presented, superseding)), None, "superseded"
        )
        self._enforce_session_limit(user_id, to_ms(at))
        loaded = {**given, **check_claims(self._loaders.claims(user_id))}
        short, short_token = self._mint(user_id, session_id, at, expires_at, at, methods, loaded)
        self._send_started(new, device)
        ends = from_ms(new.expires_at)
        return Started(short, short_token, self._long_tokens.dump(token), device.token, persistent, ends)

    def _send_started(self, new: NewSession, device: _Device) -> None:
        user_id, session_id, context = new.user_id, new.session_id, new.context
        facts: dict[str, Any] = {
            "user_id": user_id,
            "session_id": session_id,
            "device_id": device.id,
            "context": context,
        }
        signals.session_started.send(self._sender, **facts)
        if device.is_new:
            signals.device_added.send(self._sender, **facts)
            label = describe(context.user_agent).label
            notice = Notice("new_device", user_id, session_id, context, device_id=device.id, device_label=label)
            self._loaders.notify(notice, self._disowning.link(device.id, device.cookie_hash))

    def _device(self, user_id: str, values: Iterable[str], user_agent: str | None, now: int) -> _Device:
        """The device of the cookie that was presented, else a new one with a new cookie."""
        loaded = ((value, self._device_tokens.load(value)) for value in values)
        known = next(((value, found) for value, found in loaded if found is not None), None)
        token, cookie_hash = known or self._device_tokens.new()
        device_id, is_new = self._store.find_or_add_device(
            user_id, cookie_hash, user_agent, lambda: describe(user_agent), now
        )
        return _Device(device_id, token, cookie_hash, is_new)

    def _enforce_session_limit(self, user_id: str, now: int) -> None:
        try:
            surplus = self._store.enforce_session_limit(user_id, self._settings.max_sessions_per_user, now)
        except StoreUnavailable as error:  # signed in all the same; the next sign-in tries again
            log.warning("the sessions beyond CORBADO_SESSION_MAX_SESSIONS_PER_USER could not be ended: %s", error)
            return
        self._note_ended(surplus, user_id, "limit")

    # ---- end

    def end(self, presented: PresentedTokens, also: str | None = None) -> None:
        """This browser signs out: every session it can name is ended. One UPDATE, or none when it names none.

        ``also`` is the session of this very request, which may have started or been refreshed in it.
        """
        named = self._presented_session_ids(presented, also)
        if named:
            which = self._store.sessions_are(named)
            self._note_ended(self._store.end(which, "signed_out", to_ms(self._clock.now())), None, "signed_out")

    def end_disabled(self, session_id: str, user_id: str) -> None:
        """The app's ``user_loader`` no longer knows this user."""
        ended = self._store.end(self._store.session_is(session_id, user_id), "user_disabled", to_ms(self._clock.now()))
        self._note_ended(ended, user_id, "user_disabled")

    def expire_short(self, user_id: str, except_session_id: str | None = None) -> None:
        """Every short session of this user, but those of one long session, is refreshed before it counts again:
        everywhere within a second."""
        now = to_ms(self._clock.now())
        expired = self._store.expire_short(user_id, now, now, except_session_id)
        if self._shorts.ended is not None:
            self._shorts.ended.invalidate_before(expired, now)

    def carried_over(self, session_id: str) -> tuple[bool, dict[str, Any]] | None:
        """Whether a session is persistent, and the claims given at its sign-in."""
        return self._store.carried_over(session_id)

    def is_alive(self, session_id: str) -> bool:
        """What the row itself says, valid short session or not."""
        return self._store.is_alive(session_id, to_ms(self._clock.now()))

    def _context(self, presented: PresentedTokens) -> Context:
        ip = cut(presented.ip, _IP_LENGTH) if self._settings.store_ip else None
        return Context(ip, clean_user_agent(presented.user_agent) if self._settings.store_user_agent else None)

    def _presented_session_ids(self, presented: PresentedTokens, also: str | None) -> list[str]:
        """The sessions whose tokens came with the request, each signature checked, and that of the request itself."""
        named = [also] if also else []
        named += [token.session_id for token in self._authentic(presented.long)]
        short = self._shorts.first_valid(presented.short)
        if short is not None and short.session_id is not None:
            named.append(short.session_id)
        return list(dict.fromkeys(named))

    def _note_ended(self, session_ids: list[str], user_id: str | None, reason: GoneReason) -> None:
        self._shorts_ended(session_ids)
        self._dead.remember(session_ids, reason)
        for session_id in session_ids:
            signals.session_ended.send(self._sender, user_id=user_id, session_id=session_id, reason=reason)

    def _shorts_ended(self, session_ids: Iterable[str]) -> None:
        if self._shorts.ended is not None:
            self._shorts.ended.add(session_ids)

    # ---- short sessions

    def _mint(
        self,
        user_id: str,
        session_id: str,
        at: datetime,
        long_expires_at: datetime,
        auth_time: datetime,
        amr: Sequence[str],
        claims: Mapping[str, Any],
    ) -> tuple[ShortSession, str]:
        short = ShortSession(
            user_id=user_id,
            session_id=session_id,
            issued_at=at.replace(microsecond=0),
            # a short session never outlives the long one it came from
            expires_at=min(at + self._settings.short_lifetime, long_expires_at).replace(microsecond=0),
            issuer=self._settings.issuer,
            token_id=new_token_id(),
            auth_time=auth_time.replace(microsecond=0),
            amr=tuple(amr),
            claims=claims,
        )
        key = self._keys.signing(at)
        return short, mint(short, key, self._settings.audience, self._settings.short_cookie)


def check_amr(amr: Iterable[str]) -> tuple[str, ...]:
    """Authentication methods (RFC 8176) as a tuple; ValueError for anything but a few short words."""
    methods = (amr,) if isinstance(amr, str) else tuple(amr)
    if not all(each and each.isprintable() and " " not in each for each in map(str, methods)):
        raise ValueError('amr must be a list of words without spaces, such as ["pwd", "otp"]')
    if len(" ".join(methods)) > _AMR_LIMIT:
        raise ValueError(f"amr must be at most {_AMR_LIMIT} characters together")
    return methods
