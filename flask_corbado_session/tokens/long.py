"""The long session's token: what it holds, how it is signed, and what its child is (PROTOCOL.md, "Token").

The key alone forges nothing, for the session's secret is unknown to it; the database alone forges nothing, for it
holds neither the secret nor the key.
"""

from __future__ import annotations

import binascii
import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from itsdangerous import BadSignature, Signer

from ..keys.key import in_signing_order
from .ids import is_id

_BODY_LENGTH = 131  # base64url of the 98 bytes, unpadded
_TOKEN_LENGTH = _BODY_LENGTH + 1 + 43  # a dot and an unpadded SHA-256
_GENERATION_LIMIT = 2**31
_LAST_OF_SIGNATURE = "AEIMQUYcgkosw048"
"""43 characters hold two bits more than a SHA-256: where they are not zero, it is a second spelling of one token."""


@dataclass(frozen=True, slots=True)
class LongToken:
    """One link of a session's chain of tokens; ``parent_hash`` is its parent's identity."""

    session_id: str
    secret: bytes = field(repr=False)
    generation: int
    nonce: bytes = field(repr=False)
    parent_hash: bytes = field(repr=False)

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of the session's secret, which every statement asks for."""
        return hashlib.sha256(self.secret).digest()

    @property
    def hash(self) -> bytes:
        """Its identity, independent of the key, so that keys can be rolled over."""
        return hashlib.sha256(
            b"id" + self.session_id.encode() + self.generation.to_bytes(4, "big") + self.nonce + self.parent_hash
        ).digest()

    def child(self) -> LongToken:
        """A fresh successor. It is not stored: the row learns of it when it is used."""
        return LongToken(self.session_id, self.secret, self.generation + 1, secrets.token_bytes(16), self.hash)


def first_token(session_id: str) -> tuple[LongToken, bytes]:
    """The generation-1 token of a new session, and the chain's root identity, which never leaves the server."""
    root = secrets.token_bytes(32)
    return LongToken(session_id, secrets.token_bytes(16), 1, secrets.token_bytes(16), root), root


class LongTokenSigner:
    """Signs and reads tokens under ``SECRET_KEY``; tokens signed by a fallback are still read."""

    def __init__(self, secret_keys: Sequence[str | bytes]) -> None:
        self._signer = _signer(secret_keys, "flask-corbado-session.long")

    def dump(self, token: LongToken) -> str:
        """The cookie's value."""
        body = (
            token.session_id.encode()
            + token.secret
            + token.generation.to_bytes(4, "big")
            + token.nonce
            + token.parent_hash
        )
        return self._signer.sign(urlsafe_b64encode(body).rstrip(b"=")).decode()

    def load(self, value: str) -> LongToken | None:
        """The token, or None for anything we did not sign: no statement may follow from such a value."""
        body = _unsign(self._signer, value, _TOKEN_LENGTH)
        if body is None or len(body) != _BODY_LENGTH:
            return None
        try:
            raw = urlsafe_b64decode(body + b"=")
            session_id = raw[:30].decode("ascii")
        except (binascii.Error, ValueError):
            return None
        token = LongToken(session_id, raw[30:46], int.from_bytes(raw[46:50], "big"), raw[50:66], raw[66:98])
        return token if is_id(session_id) and 1 <= token.generation < _GENERATION_LIMIT else None


class DeviceTokenSigner:
    """Signs and reads the device cookie: 16 random bytes of which the row holds a hash."""

    def __init__(self, secret_keys: Sequence[str | bytes]) -> None:
        self._signer = _signer(secret_keys, "flask-corbado-session.device")

    def new(self) -> tuple[str, bytes]:
        """A cookie value for a browser that has none, and the hash to store."""
        body = urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=")
        return self._signer.sign(body).decode(), hashlib.sha256(body).digest()

    def load(self, value: str) -> bytes | None:
        """The hash to look for, or None for a value we did not sign."""
        body = _unsign(self._signer, value, 22 + 1 + 43)
        return None if body is None else hashlib.sha256(body).digest()


def _signer(secret_keys: Sequence[str | bytes], salt: str) -> Signer:
    return Signer(in_signing_order(secret_keys), salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)


def _unsign(signer: Signer, value: str, length: int) -> bytes | None:
    if len(value) != length or not value.isascii() or value[-1] not in _LAST_OF_SIGNATURE:
        return None
    try:
        return signer.unsign(value)
    except BadSignature:
        return None
