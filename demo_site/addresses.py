"""Where the three servers of the demo are: at three ports in a row, under names that all mean this machine.

Browsers take every ``*.localhost`` for loopback (RFC 6761 §6.3); what resolves names for Python may not, so a server
that asks another one does it at 127.0.0.1.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_FIRST = 8000


@dataclass(frozen=True, slots=True)
class Addresses:
    """The origins, from the first port on."""

    port: int = _FIRST

    @classmethod
    def from_environment(cls) -> Addresses:
        """``PORT`` is the first of the three; ValueError if it can't be."""
        text = os.environ.get("PORT", str(_FIRST))
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) in range(1, 65534)):
            raise ValueError(f"PORT must be a number from 1 to 65533, the first of three ports, not {text[:20]!r}.")
        return cls(int(text))

    @property
    def site(self) -> str:
        """The demo site."""
        return f"http://localhost:{self.port}"

    @property
    def auth(self) -> str:
        """The same server as the session host of the two others; a host of its own to browsers."""
        return f"http://auth.demo.localhost:{self.port}"

    @property
    def auth_for_servers(self) -> str:
        """The session host, for who asks it without a browser."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def app(self) -> str:
        """The single-page app on another host."""
        return f"http://app.demo.localhost:{self.port + 1}"

    @property
    def orders(self) -> str:
        """The service that only verifies."""
        return f"http://orders.demo.localhost:{self.port + 2}"
