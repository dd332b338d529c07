"""Making and rotating the keys of the key file. No token is refused, since a key is published before and after it
signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from .file import KeyFileError, read, signing_key, write
from .jwk import SigningKey, new_jwk, read_jwk
from .key import SigningAlgorithm

PREPUBLICATION = timedelta(minutes=10)
"""How long at least a key is published before it signs: by then every verifier has fetched the JWKS again."""

MARGIN = timedelta(seconds=60)
"""How long a key stays published after its last token has expired: some verifiers accept a token a minute longer."""

SETTLING = timedelta(seconds=5)
"""A key that signs this soon is not taken back: other processes may not notice in time that it is gone."""


class KeyRotation(NamedTuple):
    """What a rotation did: ``new`` signs from its ``signs_from`` on, the others are published until ``old_until``."""

    new: SigningKey
    old_until: datetime
    keys: tuple[SigningKey, ...]
    taken_back: tuple[SigningKey, ...]


def generate(path: Path, algorithm: SigningAlgorithm = "RS256") -> SigningKey:
    """Make a key file with one key, which signs at once.

    :param path: where; a missing folder is made too, open to its owner alone.
    :param algorithm: ``RS256``, ``ES256`` or ``EdDSA``. Every Corbado SDK reads RS256.
    :returns: the key.
    :raises KeyFileExists: a :class:`KeyFileError`, if there is a file at ``path`` already.
    :raises KeyFileError: if the file can't be written.
    """
    key = read_jwk(new_jwk(algorithm))
    write(path, [key], new=True)
    return key


def rotate(
    path: Path,
    now: datetime,
    short_lifetime: timedelta,
    *,
    delay: timedelta = PREPUBLICATION,
    algorithm: SigningAlgorithm | None = None,
    force: bool = False,
) -> KeyRotation:
    """Publish a new key at once and let it sign after ``delay``; keys that are expired leave the file.

    While another key waits to sign this is a :class:`KeyFileError`, unless ``force`` takes that one back, which has
    signed nothing. Without ``algorithm`` the new key has the algorithm of the one that signs now.
    """
    if delay < PREPUBLICATION:
        raise ValueError("a key must be published at least 10 minutes before it signs")
    keys = [key for key in read(path) if key.is_published(now)]
    signing = signing_key(keys, now, path)
    pending = [key for key in keys if key.starts_at > now]
    _check_pending(path, pending, now, force)
    signs_from = (now + delay).replace(microsecond=0) + timedelta(seconds=1)
    until = signs_from + short_lifetime + MARGIN
    jwk = new_jwk(algorithm or signing.key.algorithm)  # type: ignore[arg-type]  # a file holds no HS256
    new = replace(read_jwk(jwk), signs_from=signs_from)
    kept = [_retire(key, key is signing, until) for key in keys if key not in pending]
    rotation = KeyRotation(new, until, (*kept, new), tuple(pending))
    write(path, rotation.keys)
    return rotation


def _retire(key: SigningKey, is_signing: bool, until: datetime) -> SigningKey:
    """The key that signs is published until its last token has expired; one that has stopped signing keeps its end."""
    return replace(key, published_until=until) if is_signing or key.published_until is None else key


def _check_pending(path: Path, pending: Sequence[SigningKey], now: datetime, force: bool) -> None:
    if not pending:
        return
    soonest = min(key.starts_at for key in pending)
    if not force:
        text = f"has a key already that signs from {soonest:%FT%TZ}; rotate after that, or take it back with --force"
        raise KeyFileError(path, text)
    if soonest <= now + SETTLING:
        raise KeyFileError(path, "has a key that signs in a moment, too late to take it back; rotate after that")
