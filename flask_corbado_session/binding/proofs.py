"""The proofs of a browser: JWTs that it signs with a key it can't give away. Nothing is asked of them that it does not
send.

At a registration the public key stands in the header. At a refresh it does not, and the key of the session is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jwt
from jwt.exceptions import PyJWTError

from ..keys.jwk import load_key
from .headers import ALGORITHMS

SIZE_LIMIT = 8192
"""Characters; the proof of an RSA key of 4,096 bits has about 1,600."""

_MEMBERS = {"ES256": ("kty", "crv", "x", "y"), "RS256": ("kty", "n", "e")}
_MOST_RSA_BITS = 4096
_MOST_RSA_EXPONENT = 2**32
"""Browsers take 65537. With one as long as the key a signature takes 40 ms to check, and anybody may send a proof."""
_jws = jwt.PyJWS(algorithms=list(ALGORITHMS))


class InvalidProof(ValueError):
    """A proof that proves nothing. The text holds no part of it."""


class Registration(NamedTuple):
    """What the proof of a registration says."""

    jwk: str
    """The public key, as it is stored."""
    challenge: str

    def __repr__(self) -> str:
        return "<Registration>"


def read_registration(proof: str) -> Registration:
    """The key and the challenge of a registration; :class:`InvalidProof` if the proof is not signed by that key."""
    header = _header(proof)
    if header.get("typ") != "dbsc+jwt":
        raise InvalidProof("its type is not dbsc+jwt")
    algorithm, jwk = header.get("alg"), header.get("jwk")
    if algorithm not in ALGORITHMS or not isinstance(jwk, dict):
        raise InvalidProof("it brings no key for ES256 or RS256")
    members = {"alg": algorithm, **{name: jwk.get(name) for name in _MEMBERS[algorithm]}}
    return Registration(json.dumps(members, sort_keys=True), _verified(proof, members))


def read_refresh(proof: str, jwk: str) -> str:
    """The challenge that the key of a session signed; :class:`InvalidProof` if it did not."""
    return _verified(proof, json.loads(jwk))


def _verified(proof: str, jwk: Mapping[str, Any]) -> str:
    algorithm = jwk["alg"]
    key = _key(jwk, algorithm)
    if _header(proof).get("alg") != algorithm:
        raise InvalidProof("its algorithm is not that of the key")
    try:
        payload = json.loads(_jws.decode_complete(proof, key, algorithms=[algorithm])["payload"])
    except (PyJWTError, ValueError, RecursionError):
        raise InvalidProof("it is not signed by the key") from None
    challenge = payload.get("jti") if isinstance(payload, dict) else None
    if not isinstance(challenge, str):
        raise InvalidProof("it answers no challenge")
    return challenge


def _key(jwk: Mapping[str, Any], algorithm: Literal["ES256", "RS256"]) -> Any:
    if not all(isinstance(value, str) for value in jwk.values()):
        raise InvalidProof("its key is incomplete")
    kty, crv = ("EC", "P-256") if algorithm == "ES256" else ("RSA", None)
    if (jwk["kty"], jwk.get("crv")) != (kty, crv):
        raise InvalidProof("its key is of another kind than its algorithm")
    try:
        key = load_key(jwk, algorithm)
    except ValueError:
        raise InvalidProof("its key can't be used") from None
    if algorithm == "RS256" and (key.key_size > _MOST_RSA_BITS or key.public_numbers().e > _MOST_RSA_EXPONENT):
        raise InvalidProof("its key is too long")
    return key


def _header(proof: str) -> dict[str, Any]:
    if len(proof) > SIZE_LIMIT:
        raise InvalidProof("it is too long")
    try:
        return jwt.get_unverified_header(proof)
    except (PyJWTError, ValueError, RecursionError):
        raise InvalidProof("it is no JWT") from None
