"""What a person should be told of: a copy of his session was used, or a device nobody has seen signed in.

The app sends the mail (``@sessions.notifier``); a link in it ends what was not the person himself, without signing in.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from ..database.sessions import Store
from ..keys.key import in_signing_order
from ..model import signals
from ..model.clock import Clock, to_ms
from ..model.records import Device, Notice
from ..verification.ended import EndedSet

log = logging.getLogger("flask_corbado_session")

LINK_LIFETIME = timedelta(days=7)


class DisownLinks:
    """The signed links of such mails. The device's cookie is forgotten with it, so that it counts as new again."""

    def __init__(
        self,
        secret_keys: Sequence[str | bytes],
        clock: Clock,
        store: Store,
        ended: EndedSet,
        sender: object = None,
    ) -> None:
        keys = in_signing_order(secret_keys)
        self._links = URLSafeSerializer(
            keys, salt="flask-corbado-session.disown", signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._clock = clock
        self._store = store
        self._ended = ended
        self._sender = sender

    def link(self, device_id: str, cookie_hash: bytes) -> str:
        """The token of a link for a device as it is now."""
        until = to_ms(self._clock.now() + LINK_LIFETIME)
        token: str | bytes = self._links.dumps([device_id, _mark(cookie_hash), until])
        return token if isinstance(token, str) else token.decode()

    def find(self, token: str) -> Device | None:
        """The device a link still stands for; None if it was tampered with, has expired, or has been used."""
        found = self._look(token)
        return None if found is None else found[0]

    def use(self, token: str) -> Device | None:
        """End every session of the device, once: of two at the same time one gets None."""
        found = self._look(token)
        if found is None:
            return None
        device, cookie_hash = found
        ended = self._store.disown_device(device.id, cookie_hash, to_ms(self._clock.now()))
        if ended is None:
            return None
        if ended:
            self._ended.add(ended)
            facts: dict[str, Any] = {"user_id": device.user_id, "session_ids": ended, "reason": "revoked"}
            signals.session_revoked.send(self._sender, **facts)
        return device

    def _look(self, token: str) -> tuple[Device, bytes] | None:
        try:
            device_id, mark, until = self._links.loads(token)
        except (BadSignature, ValueError, TypeError):
            return None
        if until <= to_ms(self._clock.now()):
            return None
        found = self._store.device_with_cookie(device_id)
        return found if found is not None and _mark(found[1]) == mark else None


def _mark(cookie_hash: bytes) -> str:
    """Enough of the cookie's hash to see that it is still the same."""
    return hashlib.sha256(b"disown" + cookie_hash).hexdigest()[:16]


def tell(notifier: Callable[[Notice], object] | None, notice: Notice) -> None:
    """Call the app's notifier; whatever it raises must not undo a sign-in."""
    if notifier is None:
        return
    try:
        notifier(notice)
    except Exception:
        log.exception("the notifier failed on a notice of kind %s", notice.kind)
