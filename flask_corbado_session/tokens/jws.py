"""The envelope of a short token (RFC 7515): PyJWT's, with what all tokens of a key have in common done once."""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Any

from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm, OKPAlgorithm
from jwt.exceptions import DecodeError

from ..keys.key import KEY_TYPES, Key, hmac_sha256


def sign(payload: dict[str, Any], key: Key) -> str:
    """The compact serialization, signed."""
    headers = {"kid": key.kid, "typ": "JWT"}
    content = _to_json(payload).encode()
    return _jws.encode(content, key.private, algorithm=key.algorithm, headers=headers, json_encoder=_HeaderEncoder)


def verified(token: str, key: Key, algorithm: str) -> bytes:
    """The payload; a ``PyJWTError`` if it was not signed so by this key."""
    payload: bytes = _jws.decode_complete(token, key.public, algorithms=[algorithm])["payload"]
    return payload


class _JWS(PyJWS):
    """PyJWT's, but it decodes a part by encoding it again, which is as strict as its loop over every character, and
    reads the header of a key's tokens once.

    The loop is more than half of what an HS256 token costs. A PyJWT without this method does without it.
    """

    def _load(self, jwt: str | bytes) -> tuple[bytes, bytes, dict[str, Any], bytes]:
        token = jwt.encode() if isinstance(jwt, str) else jwt
        signed, _, signature = token.rpartition(b".")
        header, _, payload = signed.partition(b".")
        return _canonical(payload), signed, _header(header), _canonical(signature)


_FROM_URL, _TO_URL = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")


def _canonical(part: bytes) -> bytes:
    # binascii itself: what is around it in base64 and itsdangerous takes as long as it does
    try:
        content = a2b_base64(part.translate(_FROM_URL) + b"==")
    except ValueError:
        content = b""
    if b2a_base64(content, newline=False).translate(_TO_URL).rstrip(b"=") != part:
        raise DecodeError("expected canonical base64url")
    return content


@lru_cache(maxsize=64)
def _header(part: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(_canonical(part))
    except (ValueError, RecursionError) as error:
        raise DecodeError("expected a JSON object as the header") from error
    return header


class _HeaderEncoder(json.JSONEncoder):
    """Writes the header of a key's tokens once."""

    def encode(self, o: Any) -> str:
        return _header_json(tuple(o.items()))


@lru_cache(maxsize=64)
def _header_json(items: tuple[tuple[str, str], ...]) -> str:
    return _to_json(dict(sorted(items)))


class _HMAC(HMACAlgorithm):
    """PyJWT's, for our derived keys: it need not look whether one of them is a certificate, or JSON.

    It does so for each token, which takes four times as long as the signature. A key of ours is bound to its
    algorithm (``tokens/short``), so that a public key can't come here.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key

    def sign(self, msg: bytes, key: bytes) -> bytes:
        return hmac_sha256(key, msg)


_to_json = json.JSONEncoder(separators=(",", ":")).encode
_jws = _JWS(algorithms=list(KEY_TYPES))
_jws.register_algorithm("HS256", _HMAC(HMACAlgorithm.SHA256))
_jws.register_algorithm("Ed25519", OKPAlgorithm())  # PyJWT knows it as EdDSA only
