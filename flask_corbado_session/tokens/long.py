"""The long session's token: its layout, its signature and its successor (PROTOCOL.md, "Token").

Whoever has only the key can't forge a token, because they lack the session's secret. Whoever has only the database
can't either, because it holds neither the secret nor the key.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import SigningAlgorithm

from ..keys.key import hmac_sha256, in_signing_order
from .ids import is_id

_LAYOUT = struct.Struct(">30s16sI16s32s")
"""Session id, secret, generation, nonce, parent hash."""
_HASHED = struct.Struct(">2s30sI16s32s")
"""What identifies a token: ``id``, and the layout without the secret."""

_BODY_LENGTH = 131  # base64url of the layout's 98 bytes, unpadded
_SIGNATURE_LENGTH = 43  # base64url of a SHA-256, unpadded
_DEVICE_BODY_LENGTH = 22  # base64url of 16 bytes, unpadded
_GENERATION_LIMIT = 2**31
_LAST_OF_SIGNATURE = frozenset("AEIMQUYcgkosw048")
"""The characters whose two lowest bits are zero: 43 characters hold two bits more than a SHA-256."""


@dataclass(slots=True)  # not frozen, which would make it ten times as expensive
class LongToken:
    """One link of a session's chain of tokens; ``parent_hash`` is the ``hash`` of the one before it."""

    session_id: str
    secret: bytes = field(repr=False)
    generation: int
    nonce: bytes = field(repr=False)
    parent_hash: bytes = field(repr=False)
    _secret_hash: bytes = field(default=b"", init=False, repr=False, compare=False)
    _hash: bytes = field(default=b"", init=False, repr=False, compare=False)
    """Kept once they were asked for: a refresh asks twice for each."""

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of the session's secret; every statement compares it."""
        self._secret_hash = self._secret_hash or hashlib.sha256(self.secret).digest()
        return self._secret_hash

    @property
    def hash(self) -> bytes:
        """Its identity. It does not depend on the signing key, so that keys can be rotated."""
        if not self._hash:
            hashed = _HASHED.pack(b"id", self.session_id.encode(), self.generation, self.nonce, self.parent_hash)
            self._hash = hashlib.sha256(hashed).digest()
        return self._hash

    def child(self) -> LongToken:
        """A new successor. It is not stored: the row is told of it when it is used."""
        return LongToken(self.session_id, self.secret, self.generation + 1, secrets.token_bytes(16), self.hash)


def first_token(session_id: str) -> tuple[LongToken, bytes]:
    """The generation-1 token of a new session, and the root of its chain, which never leaves the server."""
    root = secrets.token_bytes(32)
    return LongToken(session_id, secrets.token_bytes(16), 1, secrets.token_bytes(16), root), root


class LongTokenSigner:
    """Signs tokens with ``SECRET_KEY``, and reads those signed with it or with a fallback."""

    def __init__(self, secret_keys: Sequence[str | bytes]) -> None:
        self._signer = signer(secret_keys, "flask-corbado-session.long")

    def dump(self, token: LongToken) -> str:
        """The cookie's value."""
        body = _LAYOUT.pack(token.session_id.encode(), token.secret, token.generation, token.nonce, token.parent_hash)
        return self._signer.sign(base64_encode(body)).decode()

    def load(self, value: str) -> LongToken | None:
        """The token, or None for anything we did not sign: such a value must never lead to a statement."""
        body = unsign(self._signer, value, _BODY_LENGTH)
        if body is None:
            return None
        raw_id, secret, generation, nonce, parent_hash = _LAYOUT.unpack(base64_decode(body))
        session_id = raw_id.decode("latin-1")
        if not is_id(session_id) or not 1 <= generation < _GENERATION_LIMIT:
            return None
        return LongToken(session_id, secret, generation, nonce, parent_hash)


class DeviceTokenSigner:
    """Signs and reads the device cookie: 16 random bytes, of which the row holds a hash."""

    def __init__(self, secret_keys: Sequence[str | bytes]) -> None:
        self._signer = signer(secret_keys, "flask-corbado-session.device")

    def new(self) -> tuple[str, bytes]:
        """A new cookie value, and the hash to store."""
        body = base64_encode(secrets.token_bytes(16))
        return self._signer.sign(body).decode(), hashlib.sha256(body).digest()

    def load(self, value: str) -> bytes | None:
        """The hash that the device's row holds, or None for a value we did not sign."""
        body = unsign(self._signer, value, _DEVICE_BODY_LENGTH)
        return None if body is None else hashlib.sha256(body).digest()


def signer(secret_keys: Sequence[str | bytes], salt: str) -> Signer:
    """Signs with the first key and reads what any of them signed, under a key derived for one use."""
    deriving = Signer(b"", salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
    # derived once: itsdangerous would do it for each token
    keys = [deriving.derive_key(key) for key in in_signing_order(secret_keys)]
    return Signer(keys, salt=salt, key_derivation="none", algorithm=_HMAC())


class _HMAC(SigningAlgorithm):
    """HMAC-SHA256."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac_sha256(key, value)


def unsign(by: Signer, value: str, body_length: int) -> bytes | None:
    """The body of a value that we signed, or None."""
    body, _, signature = value.rpartition(".")
    if (len(body), len(signature)) != (body_length, _SIGNATURE_LENGTH) or not value.isascii():
        return None
    # itsdangerous also reads "+" for "-", and ignores two bits of the last character: one token has one spelling
    if signature[-1] not in _LAST_OF_SIGNATURE or "+" in signature or "/" in signature:
        return None
    try:
        return by.unsign(value)
    except BadData:
        return None
