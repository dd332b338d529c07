"""An authenticator in Python: makes passkeys and signs with them, honestly or not.

Every part of an answer can be given another value, so that tests can send what no browser does. The browser tests have
Chromium's own virtual authenticator instead.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

ORIGIN = "http://localhost:8000"
PRESENT, VERIFIED, SYNCABLE, SYNCED, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
SEEN = PRESENT | VERIFIED

JSON = dict[str, Any]


@dataclass(slots=True)
class SoftPasskey:
    """One passkey, with its private key in memory. ``copy()`` is what a thief has of it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    rp_id: str = "localhost"
    user_handle: str | None = None
    counter: int = 0
    counts: bool = False
    """Whether its counter grows with each use; those of synced passkeys stay zero."""
    is_synced: bool = True

    def copy(self) -> SoftPasskey:
        """The same key and counter, to be used by somebody else."""
        return replace(self)

    # ---- what a browser sends

    def create(self, options: JSON, *, flags: int = SEEN, fmt: str = "none", **client: Any) -> JSON:
        """The answer to creation options."""
        self.user_handle = options["user"]["id"]
        data = self._authenticator_data(flags | ATTESTED) + self._attested()
        attestation = encode_cbor({"fmt": fmt, "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": _client_data("webauthn.create", options, client),
            "attestationObject": bytes_to_base64url(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response)

    def get(self, options: JSON, *, flags: int = SEEN, **client: Any) -> JSON:
        """The answer to request options."""
        self.counter += self.counts
        client_data = _client_data("webauthn.get", options, client)
        data = self._authenticator_data(flags)
        signed = data + sha256(base64url_to_bytes(client_data)).digest()
        response = {
            "clientDataJSON": client_data,
            "authenticatorData": bytes_to_base64url(data),
            "signature": bytes_to_base64url(self.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": self.user_handle,
        }
        return self._credential(response)

    def _credential(self, response: JSON) -> JSON:
        name = bytes_to_base64url(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def _authenticator_data(self, flags: int) -> bytes:
        kind = SYNCABLE | SYNCED if self.is_synced else 0
        return sha256(self.rp_id.encode()).digest() + bytes([flags | kind]) + self.counter.to_bytes(4, "big")

    def _attested(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        public_key = encode_cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        return bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public_key


def _client_data(kind: str, options: JSON, changes: JSON) -> str:
    said = {"type": kind, "challenge": options["challenge"], "origin": ORIGIN, "crossOrigin": False, **changes}
    return bytes_to_base64url(json.dumps(said).encode())
