"""How the signing keys of a key file change: nobody is refused, since each is published before and after it signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from .file import KeyFileError, read, signing_key, write
from .jwk import SigningKey, new_jwk, read_jwk
from .key import SigningAlgorithm

PREPUBLICATION = timedelta(minutes=10)
"""The least a key is published before it signs: by then every verifier's copy of the JWKS has been renewed."""

MARGIN = timedelta(seconds=60)
"""How long a key is published beyond the end of its last token: some verifiers allow a token a minute more."""

SETTLING = timedelta(seconds=5)
"""A key that signs as soon as this is not taken back: another process may not have looked at the file by then."""


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """What a rotation did: ``new`` signs from its ``signs_from``, the others retire at ``old_until``."""

    new: SigningKey
    old_until: datetime
    keys: tuple[SigningKey, ...]
    taken_back: tuple[SigningKey, ...]


def generate(path: Path, algorithm: SigningAlgorithm = "RS256") -> SigningKey:
    """Make the key file, with one key that signs at once; ``KeyFileExists`` where something is already."""
    made = read_jwk(new_jwk(algorithm))
    write(path, [made], new=True)
    return made


def rotate(
    path: Path,
    now: datetime,
    short_lifetime: timedelta,
    *,
    delay: timedelta = PREPUBLICATION,
    algorithm: SigningAlgorithm | None = None,
    force: bool = False,
) -> KeyRotation:
    """Publish a new key at once and let it sign after ``delay``; keys past their time leave the file.

    While another key waits to sign, :class:`KeyFileError`; ``force`` takes that one back, which has signed nothing.
    Without ``algorithm`` the new key has that of the one that signs.
    """
    if delay < PREPUBLICATION:
        raise ValueError("a key must be published at least 10 minutes before it signs")
    keys = [each for each in read(path) if each.is_published(now)]
    signing = signing_key(keys, now, path)
    pending = [each for each in keys if each.starts_at > now]
    _check_pending(path, pending, now, force)
    signs_from = (now + delay).replace(microsecond=0) + timedelta(seconds=1)
    until = signs_from + short_lifetime + MARGIN
    made = read_jwk(new_jwk(algorithm or signing.key.algorithm))  # type: ignore[arg-type]  # a file holds no HS256
    new = replace(made, signs_from=signs_from)
    kept = [_retire(each, each is signing, until) for each in keys if each not in pending]
    rotation = KeyRotation(new, until, (*kept, new), tuple(pending))
    write(path, rotation.keys)
    return rotation


def _retire(key: SigningKey, is_signing: bool, until: datetime) -> SigningKey:
    """The one that signs until then stays until its last token has expired; one that has stopped keeps its end."""
    return replace(key, published_until=until) if is_signing or key.published_until is None else key


def _check_pending(path: Path, pending: Sequence[SigningKey], now: datetime, force: bool) -> None:
    if not pending:
        return
    soonest = min(each.starts_at for each in pending)
    if not force:
        text = f"has a key already that signs from {soonest:%FT%TZ}; rotate after that, or take it back with --force"
        raise KeyFileError(path, text)
    if soonest <= now + SETTLING:
        raise KeyFileError(path, "has a key that signs in a moment, too late to take it back; rotate after that")
