"""A key ring that follows the key file: running processes notice a change by themselves."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..model.clock import Clock
from .file import Fingerprint, KeyFileError, look, parse, read_content, signing_key
from .jwk import SigningKey
from .key import Key

log = logging.getLogger("flask_corbado_session")

LOOK_EVERY = 1.0
"""Seconds between two looks at the file's size and time; it is read only when they changed."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    fingerprint: Fingerprint
    digest: bytes = field(repr=False)
    keys: tuple[SigningKey, ...]
    by_kid: dict[str, SigningKey] = field(repr=False)
    ends: tuple[datetime, ...]


class KeyFile:
    """A ``KeyRing`` of the file at ``path``. Looks at it once a second at most, and reads it when it has changed.

    A file that is broken by then changes nothing: the keys read before go on serving and one error is logged.
    """

    def __init__(self, path: Path, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._monotonic = monotonic
        self._loaded: _Loaded | None = None
        self._memo: tuple[bytes, tuple[SigningKey, ...] | KeyFileError] = b"", ()
        self._look_at = 0.0
        self._told = ""

    @property
    def version(self) -> object:
        """Differs after the file has changed, and after a key's ``published_until`` has passed."""
        loaded = self._current()
        if not loaded.ends:
            return loaded.digest, 0
        now = self._clock.now()
        return loaded.digest, sum(now >= end for end in loaded.ends)

    def signing(self, now: datetime) -> Key:
        """The newest key that is active; :class:`KeyFileError` if none is."""
        return signing_key(self._current().keys, now, self.path).key

    def find(self, kid: str) -> Key | None:
        """The published key of that id."""
        found = self._current().by_kid.get(kid)
        if found is None or not found.is_published(self._clock.now()):
            return None
        return found.key

    def published(self) -> list[SigningKey]:
        """All whose tokens are accepted now, or will be: for the JWKS, which shows their public members."""
        now = self._clock.now()
        return [each for each in self._current().keys if each.is_published(now)]

    def load(self) -> None:
        """Read the file now; :class:`KeyFileError` says what is wrong with it."""
        self._look_at = self._monotonic() + LOOK_EVERY
        content, fingerprint = read_content(self.path)
        digest = hashlib.sha256(content).digest()
        keys = self._parsed(content, digest)
        signing_key(keys, self._clock.now(), self.path)
        ends = tuple(each.published_until for each in keys if each.published_until is not None)
        # replaced whole: other threads read it without a lock
        self._loaded = _Loaded(fingerprint, digest, keys, {each.kid: each for each in keys}, ends)

    def _parsed(self, content: bytes, digest: bytes) -> tuple[SigningKey, ...]:
        """The keys, or the error, of these bytes: checking an RSA key takes 50 ms, so it is done once."""
        known, result = self._memo
        if digest != known:
            try:
                result = parse(content, self.path)
            except KeyFileError as error:
                result = error
            self._memo = digest, result
        if isinstance(result, KeyFileError):
            raise result.with_traceback(None)
        return result

    def _current(self) -> _Loaded:
        if self._loaded is None:
            self.load()
        elif self._monotonic() >= self._look_at:
            self._look(self._loaded)
        assert self._loaded is not None
        return self._loaded

    def _look(self, loaded: _Loaded) -> None:
        self._look_at = self._monotonic() + LOOK_EVERY  # first, so that other threads go on with what is known
        try:
            if look(self.path) != loaded.fingerprint:
                self.load()
                log.info("the signing keys were read anew")
        except KeyFileError as error:
            if str(error) != self._told:
                log.error("the keys read before go on serving: %s", error)
            self._told = str(error)
        else:
            self._told = ""
