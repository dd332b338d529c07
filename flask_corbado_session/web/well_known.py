"""The public keys, for services that only verify: ``/.well-known/jwks.json`` and ``/.well-known/jwks`` (RFC 7517)."""

from __future__ import annotations

import hashlib
import json

from flask import Blueprint, Response, request

from ..keys.key import KeyRing
from ..keys.ring import KeyFile

MAX_AGE = 60
"""Seconds a copy may serve. With a verifier's own few minutes still well under the 10 a key is published ahead."""


def add_routes(routes: Blueprint, keys: KeyRing) -> None:
    """Add both, if there are public keys: what ``SECRET_KEY`` signs nobody else can verify."""
    if not isinstance(keys, KeyFile):
        return

    def jwks() -> Response:
        """The public members of every published key. Asks for no session, so that any cache may keep it."""
        return _answer({"keys": [dict(each.public_jwk) for each in keys.published()]})

    for rule in ("/.well-known/jwks.json", "/.well-known/jwks"):
        routes.add_url_rule(rule, "jwks", jwks)


def _answer(document: object) -> Response:
    body = json.dumps(document)
    response = Response(body, mimetype="application/json")
    response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE}"
    response.headers["Access-Control-Allow-Origin"] = "*"  # public, and the same for everybody
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request)
    return response
