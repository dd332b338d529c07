"""Sessions that are bound to a key of the browser's: how they become so, and how they are refreshed with a proof.

A browser that can is given a challenge at sign-in. It makes a key that it can't give away, registers it, and from then
on the session is refreshed for who proves to hold that key. Copied cookies are refreshed for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from ..binding.challenges import Challenges
from ..binding.proofs import InvalidProof, read_refresh, read_registration
from ..database.binding import BindingStore
from ..model import signals
from ..model.clock import Clock
from ..model.outcome import Ended, Refreshed, Unproven
from ..model.settings import Settings
from ..tokens.long import LongToken, LongTokenSigner
from ..verification.ended import EndedSet
from .presented import PresentedTokens, authentic_tokens
from .refresh import Refresh

REGISTRATION_TIME = timedelta(minutes=10)
"""For how long a browser may register after a sign-in. It does so at once."""

CHALLENGE_MARGIN = timedelta(hours=1)
"""By how much the challenge of the next refresh outlives the short session. An older one costs a request more."""

REPORT_INTERVAL = timedelta(minutes=1)
"""How often, at most, one process reports that a session came without a proof."""

_REPORTED_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Proven:
    """The session was refreshed for a proof; ``challenge`` is for the next one."""

    outcome: Refreshed
    challenge: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProofRequired:
    """There was no proof, or none that holds: the browser is to answer this challenge."""

    session_id: str
    challenge: str = field(repr=False)
    reason: str


class NotBound(NamedTuple):
    """The browser is to forget the key of this session, which has ended or is not bound."""

    session_id: str


class RegistrationRefused(ValueError):
    """The session stays unbound. The text says why, and holds nothing of the proof."""


class BoundSessions:
    """The bound sessions of one app. Raises what :class:`Refresh` does."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        secret_keys: Sequence[str | bytes],
        long_tokens: LongTokenSigner,
        store: BindingStore,
        refresh: Refresh,
        ended: EndedSet,
        sender: object,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._long_tokens = long_tokens
        self._store = store
        self._refresh = refresh
        self._ended = ended
        self._sender = sender
        self._registering = Challenges(secret_keys, "register", REGISTRATION_TIME)
        self._refreshing = Challenges(secret_keys, "refresh", settings.short_lifetime + CHALLENGE_MARGIN)
        self._reported: dict[str, datetime] = {}

    # ---- registration

    def registration_challenge(self, session_id: str) -> str:
        """What a browser answers that makes a key for this session."""
        return self._registering.make(session_id, self._clock.now())

    def register(self, presented: PresentedTokens, proof: str | None) -> Proven:
        """Bind the session that was presented to the key of the proof; :class:`RegistrationRefused` if it can't be."""
        if proof is None:
            raise RegistrationRefused("no proof came")
        try:
            jwk, challenge = read_registration(proof)
        except InvalidProof as error:
            raise RegistrationRefused(str(error)) from None
        at = self._clock.now()
        for token in authentic_tokens(self._long_tokens, presented.long):
            number = self._registering.read(challenge, token.session_id, at)
            if number is not None:
                return self._bind(token, jwk, number, presented, at)
        raise RegistrationRefused("its challenge is not one of this session's sign-in, or is too old")

    def _bind(self, token: LongToken, jwk: str, number: int, presented: PresentedTokens, at: datetime) -> Proven:
        used = number
        if not self._store.bind(token, jwk, number, at):
            bound = self._store.key(token, at)
            if bound is None:
                raise RegistrationRefused("the session has ended, or is too old to be bound")
            if bound.jwk != jwk:
                raise RegistrationRefused("the session is bound to another key")
            used = max(used, bound.challenge_used)
        outcome = self._refresh.present(token, presented.context(self._settings), proven=True)
        if not isinstance(outcome, Refreshed):
            raise RegistrationRefused("the session has ended")
        return Proven(outcome, self._refreshing.make(token.session_id, at, after=used))

    # ---- refresh

    def refresh(
        self, presented: PresentedTokens, session_id: str | None, proof: str | None
    ) -> Proven | ProofRequired | NotBound | None:
        """Refresh a bound session for a proof; None where no long session of this id was presented.

        Without an id the session that was presented is meant. Three statements with a good proof, none without one.
        """
        tokens = authentic_tokens(self._long_tokens, presented.long)
        token = next((token for token in tokens if session_id in (None, token.session_id)), None)
        if token is None:
            return None
        at = self._clock.now()
        if self._ended.holds(token.session_id, at):
            return NotBound(token.session_id)
        if proof is None:
            return self._challenged(token, at, "no proof came")
        bound = self._store.key(token, at)
        if bound is None:
            return NotBound(token.session_id)
        try:
            number = self._refreshing.read(read_refresh(proof, bound.jwk), token.session_id, at)
        except InvalidProof as error:
            return self._challenged(token, at, str(error), after=bound.challenge_used)
        if number is None or not self._store.use_challenge(token, number):
            # a browser that got no answer sends the same proof again
            return self._challenged(token, at, "its challenge is used or too old", after=bound.challenge_used)
        outcome = self._refresh.present(token, presented.context(self._settings), proven=True)
        if not isinstance(outcome, Refreshed):
            return NotBound(token.session_id)
        return Proven(outcome, self._refreshing.make(token.session_id, at, after=number))

    def _challenged(self, token: LongToken, at: datetime, reason: str, *, after: int = 0) -> ProofRequired:
        return ProofRequired(token.session_id, self._refreshing.make(token.session_id, at, after=after), reason)

    # ---- without a proof

    def report(self, unproven: Unproven, skipped: str | None) -> Ended:
        """Signal that a bound session came without a proof. The session goes on: its owner may be elsewhere."""
        at, session_id = self._clock.now(), unproven.session_id
        reported_at = self._reported.get(session_id)
        if reported_at is None or not timedelta(0) <= at - reported_at < REPORT_INTERVAL:
            if len(self._reported) >= _REPORTED_LIMIT:
                self._reported.clear()
            self._reported[session_id] = at
            signals.device_binding_failed.send(
                self._sender,
                user_id=unproven.user_id,
                session_id=session_id,
                context=unproven.context,
                previous=unproven.previous,
                skipped=skipped,
            )
        return Ended(session_id, "unproven")
