"""The "this wasn't me" links in notices of a new device: they end the device's sessions without a sign-in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer

from ..database.devices import DeviceStore
from ..keys.key import in_signing_order
from ..model import signals
from ..model.clock import Clock, from_ms, to_ms
from ..model.records import Device
from ..verification.ended import EndedSet

LINK_LIFETIME = timedelta(days=7)


class DisownLinks:
    """Signed links that each work once. The device's cookie is forgotten with it, so that it counts as new again."""

    def __init__(
        self,
        secret_keys: Sequence[str | bytes],
        clock: Clock,
        devices: DeviceStore,
        ended: EndedSet,
        sender: object = None,
    ) -> None:
        keys = in_signing_order(secret_keys)
        self._links = URLSafeSerializer(
            keys, salt="flask-corbado-session.disown", signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._clock = clock
        self._devices = devices
        self._ended = ended
        self._sender = sender

    def create(self, device_id: str, cookie_hash: bytes) -> str:
        """The token of a link for a device as it is now."""
        until = to_ms(self._clock.now() + LINK_LIFETIME)
        token: str | bytes = self._links.dumps([device_id, _cookie_mark(cookie_hash), until])
        return token if isinstance(token, str) else token.decode()

    def find(self, token: str) -> Device | None:
        """The device a link still stands for; None if it was tampered with, has expired, or has been used."""
        found = self._find(token, self._clock.now())
        return None if found is None else found[0]

    def use(self, token: str) -> Device | None:
        """End every session of the device, once: of two calls at the same time one gets None."""
        now = self._clock.now()
        found = self._find(token, now)
        if found is None:
            return None
        device, cookie_hash = found
        ended = self._devices.disown(device.id, cookie_hash, now)
        if ended is None:
            return None
        if ended:
            self._ended.add(ended)
            signals.session_revoked.send(self._sender, user_id=device.user_id, session_ids=ended, reason="revoked")
        return device

    def _find(self, token: str, now: datetime) -> tuple[Device, bytes] | None:
        try:
            device_id, mark, until = self._links.loads(token)
        except (BadSignature, ValueError, TypeError):
            return None
        if from_ms(until) <= now:
            return None
        found = self._devices.with_cookie(device_id)
        return found if found is not None and _cookie_mark(found[1]) == mark else None


def _cookie_mark(cookie_hash: bytes) -> str:
    """Enough of the cookie's hash to see that it is still the same."""
    return hashlib.sha256(b"disown" + cookie_hash).hexdigest()[:16]
