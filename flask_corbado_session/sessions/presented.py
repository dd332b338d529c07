"""The tokens a request brought, and those of them that are authentic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class PresentedTokens(NamedTuple):
    """What a request brought. A name may come twice, from two paths or domains, so each is a list."""

    short: Sequence[str] = ()
    long: Sequence[str] = ()
    device: Sequence[str] = ()
    ip: str | None = None
    user_agent: str | None = None
    may_refresh: bool = True

    def __repr__(self) -> str:
        return f"<Presented {len(self.short)} short, {len(self.long)} long, {len(self.device)} device>"
