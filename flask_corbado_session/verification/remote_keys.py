"""The issuer's public keys, fetched over HTTP as a JWK set (RFC 7517)."""

from __future__ import annotations

import logging
from datetime import datetime
from time import monotonic
from typing import Any

from ..keys.jwk import load_key
from ..keys.key import ALGORITHM_OF_ALG, KEY_TYPES, Key, SigningAlgorithm
from ..model.errors import StoreUnavailable
from .http import TIMEOUT, check_url, fetch_json
from .single_flight import SingleFlight

log = logging.getLogger("flask_corbado_session")

FRESH = 240.0
"""Seconds after which the keys are fetched again, in the background: well under the ten minutes for which a new key is
published before it signs."""
STALE = 24 * 3600.0
"""Seconds for which known keys serve while the issuer can't be reached."""
PAUSE = 30.0
"""Least seconds between two fetches while there are keys, since anybody can make up an unknown kid."""
NO_KEYS = 5.0
"""Least seconds between two fetches while there are none."""

_ALGORITHM_OF_TYPE: dict[tuple[object, object], SigningAlgorithm] = {
    key_type: algorithm for algorithm, key_type in KEY_TYPES.items()
}


class RemoteKeys:
    """A :class:`KeyRing` that only verifies. No request waits for a fetch if its key is known."""

    def __init__(self, url: str) -> None:
        self._url = check_url(url)
        self._keys: dict[str, Key] = {}
        self._version = object()
        self._fetched_at = float("-inf")
        self._flight = SingleFlight(self._fetch)

    @property
    def version(self) -> object:
        """Differs once the keys have changed, or have become too old to serve.

        It is read for every token, known ones too. That is why old keys are fetched again from here: a remembered
        token must not outlive its key.
        """
        age = monotonic() - self._fetched_at
        if age > FRESH:
            self._start_fetch()
        return self._version, age > STALE

    def signing(self, now: datetime) -> Key:
        """Always a RuntimeError: only the issuer has private keys."""
        raise RuntimeError("this app only verifies short sessions; the issuer signs them")

    def find(self, kid: str) -> Key | None:
        """The key with this id. For an unknown one the issuer is asked, every 30 s at most, and waited for."""
        key = self._known().get(kid)
        if key is None:
            self._start_fetch()
            self._flight.wait(TIMEOUT)
            key = self._known().get(kid)
        return key

    def _known(self) -> dict[str, Key]:
        return self._keys if monotonic() - self._fetched_at <= STALE else {}

    def _start_fetch(self) -> None:
        self._flight.start(PAUSE if self._known() else NO_KEYS)

    def _fetch(self) -> None:
        try:
            keys = read_keys(fetch_json(self._url))
        except StoreUnavailable as error:
            log.warning("the keys of the issuer could not be fetched, those known before serve on: %s", error)
            return
        changed = self._keys != keys  # not their ids alone: another key may come with an old id
        self._keys, self._fetched_at = keys, monotonic()
        if changed:  # last, so that nothing that the old keys verified is remembered under the new version
            self._version = object()


def read_keys(document: Any) -> dict[str, Key]:
    """The keys of a JWK set that can verify a short session, by ``kid``. Others are skipped (RFC 7517 §5).

    :class:`StoreUnavailable` for a set with no such key, or with two of one ``kid``.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise StoreUnavailable("expected a JWK set, an object with a list of keys")
    keys: dict[str, Key] = {}
    for jwk in listed:
        key = _read_key(jwk)
        if key is None:
            continue
        if key.kid in keys:
            raise StoreUnavailable(f"the JWK set has two keys of the kid {key.kid[:60]!r}")
        keys[key.kid] = key
    if not keys:
        raise StoreUnavailable(
            f"none of the {len(listed)} keys of the JWK set is an RS256, ES256 or EdDSA key with a kid"
        )
    return keys


def _read_key(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        return None
    if "d" in jwk:
        log.warning("the key %.60a of the JWK set is passed over: its private half is published with it", kid)
        return None
    # by the type of the key, not by its alg alone: what a key says may be anything
    try:
        algorithm = _ALGORITHM_OF_TYPE[jwk.get("kty"), jwk.get("crv")]
        if ALGORITHM_OF_ALG[jwk.get("alg", algorithm)] != algorithm:
            return None
        return Key(kid, algorithm, load_key(jwk, algorithm))
    except (KeyError, TypeError, ValueError):
        return None
