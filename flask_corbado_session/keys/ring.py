"""The key ring that follows the key file: a running process notices a change by itself."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..model.clock import Clock
from .file import Fingerprint, KeyFileError, current_fingerprint, parse, read_content, signing_key
from .jwk import SigningKey
from .key import Key

log = logging.getLogger("flask_corbado_session")

CHECK_INTERVAL = 1.0
"""Least seconds between two checks of the file's fingerprint. The file is read only if that has changed."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    fingerprint: Fingerprint
    digest: bytes = field(repr=False)
    keys: tuple[SigningKey, ...]
    by_kid: dict[str, SigningKey] = field(repr=False)
    ends: tuple[datetime, ...]


class KeyFile:
    """A ``KeyRing`` of the keys in a file, which is checked once a second at most, and read again when it has changed.

    If it is broken by then, the keys read before go on serving and one error is logged.
    """

    def __init__(self, path: Path, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._monotonic = monotonic
        self._loaded: _Loaded | None = None
        self._memo: tuple[bytes, tuple[SigningKey, ...] | KeyFileError] = b"", ()
        self._next_check = 0.0
        self._logged = ""

    @property
    def version(self) -> object:
        """Differs once the file has changed, or the ``published_until`` of a key has passed."""
        loaded = self._current()
        if not loaded.ends:
            return loaded.digest, 0
        now = self._clock.now()
        return loaded.digest, sum(now >= end for end in loaded.ends)

    def signing(self, now: datetime) -> Key:
        """The newest active key; :class:`KeyFileError` if there is none."""
        return signing_key(self._current().keys, now, self.path).key

    def find(self, kid: str) -> Key | None:
        """The published key with this id."""
        key = self._current().by_kid.get(kid)
        if key is None or not key.is_published(self._clock.now()):
            return None
        return key.key

    def published(self) -> list[SigningKey]:
        """The keys whose tokens are accepted now or will be. The JWKS shows their public members."""
        now = self._clock.now()
        return [key for key in self._current().keys if key.is_published(now)]

    def load(self) -> _Loaded:
        """Read the file now; :class:`KeyFileError` says what is wrong with it."""
        self._next_check = self._monotonic() + CHECK_INTERVAL
        content, fingerprint = read_content(self.path)
        digest = hashlib.sha256(content).digest()
        keys = self._parse(content, digest)
        signing_key(keys, self._clock.now(), self.path)
        ends = tuple(key.published_until for key in keys if key.published_until is not None)
        # replaced as a whole, because other threads read it without a lock
        self._loaded = loaded = _Loaded(fingerprint, digest, keys, {key.kid: key for key in keys}, ends)
        return loaded

    def _parse(self, content: bytes, digest: bytes) -> tuple[SigningKey, ...]:
        """The keys in these bytes, or the error. Bytes are parsed once, because checking an RSA key takes 50 ms."""
        parsed_digest, result = self._memo
        if digest != parsed_digest:
            try:
                result = parse(content, self.path)
            except KeyFileError as error:
                result = error
            self._memo = digest, result
        if isinstance(result, KeyFileError):
            raise result.with_traceback(None)
        return result

    def _current(self) -> _Loaded:
        loaded = self._loaded
        if loaded is None:
            return self.load()
        return self._checked(loaded) if self._monotonic() >= self._next_check else loaded

    def _checked(self, loaded: _Loaded) -> _Loaded:
        """What is in the file now, or was before it was broken."""
        self._next_check = self._monotonic() + CHECK_INTERVAL  # first, so that other threads do not check too
        try:
            if current_fingerprint(self.path) != loaded.fingerprint:
                loaded = self.load()
                log.info("the signing keys have changed and were read again")
        except KeyFileError as error:
            if str(error) != self._logged:
                log.error("the keys read before go on serving: %s", error)
            self._logged = str(error)
        else:
            self._logged = ""
        return loaded
