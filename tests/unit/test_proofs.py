"""The proofs of device binding: which keys a browser may register."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from flask_corbado_session.binding.proofs import InvalidProof, read_registration
from tests.support.short_tokens import encode


def registration(curve: Any) -> str:
    """A proof for ES256 by a key of its own on this curve."""
    key = ec.generate_private_key(curve)
    algorithm = ECAlgorithm(ECAlgorithm.SHA256)
    header = {"typ": "dbsc+jwt", "alg": "ES256", "jwk": ECAlgorithm.to_jwk(key.public_key(), as_dict=True)}
    signed = f"{encode(header)}.{encode({'jti': 'challenge'})}"
    return f"{signed}.{encode(algorithm.sign(signed.encode(), key))}"


def test_a_key_on_the_curve_of_es256_is_read() -> None:
    read = read_registration(registration(ec.SECP256R1()))
    assert (read.challenge, json.loads(read.jwk)["crv"]) == ("challenge", "P-256")


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_key_on_another_curve_is_not(curve: Any) -> None:
    with pytest.raises(InvalidProof):
        read_registration(registration(curve))
