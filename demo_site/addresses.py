"""The addresses of the demo's three servers: three consecutive ports, under names that all point to this machine.

Browsers resolve every ``*.localhost`` name to loopback (RFC 6761 §6.3). Python's resolver may not, so one server calls
another at 127.0.0.1.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_FIRST = 8000


@dataclass(frozen=True, slots=True)
class Addresses:
    """The origins of the servers, derived from the first port."""

    port: int = _FIRST
    scheme: str = "http"
    """Of the site; over https it runs without the other two."""

    @classmethod
    def from_environment(cls) -> Addresses:
        """Read the first of the three ports from ``PORT``; raise ValueError if it is not usable."""
        text = os.environ.get("PORT", str(_FIRST))
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) in range(1, 65534)):
            raise ValueError(f"PORT must be a number from 1 to 65533, the first of three ports, not {text[:20]!r}.")
        return cls(int(text))

    @property
    def site(self) -> str:
        """The demo site."""
        return f"{self.scheme}://localhost:{self.port}"

    @property
    def auth(self) -> str:
        """The session host of the other two: the same server, but another host to browsers."""
        return f"{self.scheme}://auth.demo.localhost:{self.port}"

    @property
    def auth_for_servers(self) -> str:
        """The session host, for requests that do not come from a browser."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def app(self) -> str:
        """The single-page app on another host."""
        return f"http://app.demo.localhost:{self.port + 1}"

    @property
    def orders(self) -> str:
        """The service that only verifies sessions."""
        return f"http://orders.demo.localhost:{self.port + 2}"
