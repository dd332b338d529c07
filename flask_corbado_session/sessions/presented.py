"""The tokens a request presents, and which of the long ones are authentic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..model.records import Context
from ..model.settings import Settings
from ..model.text import printable
from ..tokens.long import LongToken, LongTokenSigner
from .user_agent import clean_user_agent

_IP_LENGTH = 45


@dataclass(slots=True)
class PresentedTokens:
    """The tokens of a request and where it came from. A cookie's name may come twice, from two paths or domains, so
    each kind is a list."""

    short: Sequence[str] = ()
    long: Sequence[str] = ()
    device: Sequence[str] = ()
    ip: str | None = None
    user_agent: str | None = None
    may_refresh: bool = True

    def __repr__(self) -> str:
        return f"<PresentedTokens {len(self.short)} short, {len(self.long)} long, {len(self.device)} device>"

    def context(self, settings: Settings) -> Context:
        """Where the request came from, as far as the settings let it be stored."""
        return Context(
            printable(self.ip, _IP_LENGTH) if settings.store_ip else None,
            clean_user_agent(self.user_agent) if settings.store_user_agent else None,
        )


def authentic_tokens(signer: LongTokenSigner, values: Iterable[str]) -> list[LongToken]:
    """The tokens we signed, the furthest one of each session: of two cookies of one name one may be stale."""
    furthest: dict[str, LongToken] = {}
    for value in values:
        token = signer.load(value)
        if token is not None and token.generation >= furthest.get(token.session_id, token).generation:
            furthest[token.session_id] = token
    return list(furthest.values())
