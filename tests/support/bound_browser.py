"""A real Chromium that binds sessions to keys, and what its DevTools told.

Chromium registers nothing without its feature flags, and nothing over a certificate it does not take for valid: the
certificate is made at run time and named to it by the hash of its key. The keys are software, in the profile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.support.bound_https import HOST, HttpsSite
from tests.support.certificates import public_key_hash
from tests.support.jars import SHORT

SOFTWARE_KEYS = "EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
PATIENCE = 10.0
"""Seconds for what is waited for."""


def chromium_arguments(shown: Path, quota: bool = False) -> list[str]:
    """For a browser that takes this certificate for valid; every ``*.test`` is loopback."""
    binding = "DeviceBoundSessions" if quota else "DeviceBoundSessions:RefreshQuota/false"
    return [
        f"--enable-features={binding},{SOFTWARE_KEYS}",
        f"--ignore-certificate-errors-spki-list={public_key_hash(shown)}",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
    ]


class Chromium:
    """One person's browser at the site, and what its DevTools told of bound sessions."""

    def __init__(self, context: BrowserContext, site: HttpsSite) -> None:
        self.context, self.site = context, site
        self.events: list[dict[str, Any]] = []
        self.page = context.pages[0] if context.pages else context.new_page()
        self._watch(self.page)

    def _watch(self, page: Page) -> None:
        session = self.context.new_cdp_session(page)
        session.on("Network.deviceBoundSessionEventOccurred", lambda event: self.events.append(event))
        session.send("Network.enable")
        session.send("Network.enableDeviceBoundSessions", {"enable": True})

    # ---- doing

    def open(self, path: str = "/page", host: str = HOST) -> int:
        """Type an address; the status of what comes in the end."""
        response = self.page.goto(self.site.origin(host) + path)
        assert response is not None
        return response.status

    def sign_in(self, user: str = "alice", more: str = "") -> Chromium:
        """And wait until the key is registered."""
        before = len(self.told("creation"))
        assert self.open(f"/enter?user={user}{more}") == 200
        self.wait(lambda: len(self.told("creation")) > before)
        assert self.told("creation")[-1]["succeeded"], self.summary()
        return self

    def lose_short_session(self) -> None:
        """What the browser does when the cookie runs out."""
        self.context.clear_cookies(name=SHORT)

    def fetch(self, path: str, method: str = "GET", body: str | None = None) -> Any:
        """As script on the page does: the status and the text."""
        return self.page.evaluate(
            "([path, method, body]) => fetch(path, { method, body: body && new URLSearchParams(body) })"
            ".then(async (response) => [response.status, await response.text()])",
            [path, method, body],
        )

    # ---- looking

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind: creation, refresh, challenge or termination."""
        return [event for event in self.events if f"{kind}EventDetails" in event]

    def summary(self) -> list[str]:
        """What the events say, in a line each."""
        return [_in_a_line(event) for event in self.events]

    def cookies(self) -> dict[str, str]:
        """Those of the site."""
        return {cookie["name"]: cookie["value"] for cookie in self.context.cookies(self.site.origin())}

    def wait(self, is_true: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Until it is so; events come in while the page is asked to wait."""
        deadline = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < deadline, self.summary()
            self.page.wait_for_timeout(20)

    def steal(self) -> dict[str, str]:
        """The headers of somebody with a copy of the cookies."""
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies().items())}


def _in_a_line(event: dict[str, Any]) -> str:
    (kind,) = (name for name in event if name.endswith("EventDetails"))
    details = event[kind]
    facts = [str(details[name]) for name in ("refreshResult", "fetchResult", "deletionReason") if name in details]
    if details.get("wasFullyProactiveRefresh"):
        facts.append("proactive")
    return f"{kind.removesuffix('EventDetails')}: {'ok' if event['succeeded'] else 'failed'} {', '.join(facts)}".strip()
