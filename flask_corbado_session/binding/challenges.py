"""Challenges that need no store: signed, made for one session, and numbered by the time they were made."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from itsdangerous.encoding import base64_decode, base64_encode

from ..model.clock import to_ms
from ..tokens.long import signer, unsign

_LAYOUT = struct.Struct(">30sQ")
"""Session id, number."""
_BODY_LENGTH = 51  # base64url of the layout's 38 bytes, unpadded

Purpose = Literal["register", "refresh"]


class Challenges:
    """The challenges of one purpose: one that was made for a registration is good for no refresh."""

    def __init__(self, secret_keys: Sequence[str | bytes], purpose: Purpose, lifetime: timedelta) -> None:
        self._signer = signer(secret_keys, f"flask-corbado-session.binding.{purpose}")
        self._lifetime = lifetime

    def make(self, session_id: str, at: datetime, *, after: int = 0) -> str:
        """A challenge, with a higher number than ``after``: clocks of processes differ, and a challenge that is older
        than the one answered last would be refused again and again."""
        body = base64_encode(_LAYOUT.pack(session_id.encode(), max(to_ms(at), after + 1)))
        return self._signer.sign(body).decode()

    def read(self, challenge: str, session_id: str, at: datetime) -> int | None:
        """The number of a challenge that we made for this session, unless it is too old."""
        body = unsign(self._signer, challenge, _BODY_LENGTH)
        if body is None:
            return None
        raw_id, number = _LAYOUT.unpack(base64_decode(body))
        is_ours = raw_id == session_id.encode() and to_ms(at - self._lifetime) <= number
        return number if is_ours else None
