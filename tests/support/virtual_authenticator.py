"""Chromium's virtual authenticator: a device with passkeys, plugged into one tab (the protocol's WebAuthn domain)."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

OPTIONS: dict[str, Any] = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
SYNCED = {"defaultBackupEligibility": True, "defaultBackupState": True}


class VirtualAuthenticator:
    """It answers at once, as somebody does who unlocks their device, until it is told otherwise."""

    def __init__(self, page: Page, **options: Any) -> None:
        self._cdp = page.context.new_cdp_session(page)
        self.events: list[str] = []
        for event in ("credentialAdded", "credentialAsserted", "credentialDeleted", "credentialUpdated"):
            self._cdp.on(f"WebAuthn.{event}", lambda _, event=event: self.events.append(event))
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        added = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**OPTIONS, **options}})
        self._id = added["authenticatorId"]

    def _send(self, method: str, **parameters: Any) -> Any:
        return self._cdp.send(f"WebAuthn.{method}", {"authenticatorId": self._id, **parameters})

    @property
    def credentials(self) -> list[dict[str, Any]]:
        """The passkeys it holds, with their private keys."""
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def put(self, credential: dict[str, Any], **changes: Any) -> None:
        """Give it a passkey, a copy of another one's say."""
        self._send("addCredential", credential={**credential, **changes})

    def clear(self) -> None:
        """Take its passkeys away."""
        self._send("clearCredentials")

    def know_the_person(self, knows: bool) -> None:
        """Whether it recognises who is in front of it."""
        self._send("setUserVerified", isUserVerified=knows)

    def wait_for_touch(self, waits: bool) -> None:
        """Whether nobody touches it, so that a request waits."""
        self._send("setAutomaticPresenceSimulation", enabled=not waits)

    def unplug(self) -> None:
        """Take it away, passkeys and all."""
        self._send("removeVirtualAuthenticator")
