"""The file of signing keys (``CORBADO_SESSION_KEYS_FILE``), read strictly and written whole.

It is a JWK set of private keys. Each has as ``kid`` its RFC 7638 thumbprint, an ``alg`` (RS256, ES256 or EdDSA), and
two members of ours: ``signs_from`` and ``published_until``, whole seconds since the epoch, absent where open.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ..model.errors import SettingsError
from .jwk import SigningKey, newest_active, read_jwk, to_jwk

_SIZE_LIMIT = 1024 * 1024
_GENERATE = "`flask corbado-session keys generate` makes one"

Fingerprint = tuple[int, ...]
"""What differs between two states of the file, without reading it."""


class KeyFileError(SettingsError):
    """The key file can't be used. The text names it and what to do, and holds nothing of a key."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"CORBADO_SESSION_KEYS_FILE: {path} {problem}")


class KeyFileExists(KeyFileError):
    """There is a key file already, and it is never written over."""


# ---- reading


def read(path: Path) -> tuple[SigningKey, ...]:
    """The keys of the file in its order; :class:`KeyFileError` says what is wrong with it."""
    return parse(read_content(path)[0], path)


def read_content(path: Path) -> tuple[bytes, Fingerprint]:
    """The bytes of the file, and the state they belong to."""
    _check_file(_status(path), path)  # before it is opened: a named pipe would never answer
    try:
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            content = opened.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise KeyFileError(
            path, f"can't be read ({error.strerror}); it must belong to the user who runs this"
        ) from None
    _check_file(status, path)
    if len(content) > _SIZE_LIMIT:
        raise KeyFileError(path, f"is longer than {_SIZE_LIMIT} bytes, which no set of keys is")
    return content, _fingerprint(status)


def look(path: Path) -> Fingerprint:
    """The file's state now; :class:`KeyFileError` if it is gone."""
    return _fingerprint(_status(path))


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        raise KeyFileError(path, f"does not exist; {_GENERATE}") from None
    except OSError as error:
        raise KeyFileError(path, f"can't be looked at ({error.strerror}); name a file this user may read") from None


def _fingerprint(status: os.stat_result) -> Fingerprint:
    # the time of change also tells of a chmod or chown, which may be what mended the file
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _check_file(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(path, "is not a file")
    if os.name == "posix" and status.st_mode & 0o077:
        raise KeyFileError(path, f"may be read by others (mode {status.st_mode & 0o777:03o}); run `chmod 600` on it")


def parse(content: bytes, path: Path) -> tuple[SigningKey, ...]:
    """The keys in the file's bytes."""
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise KeyFileError(path, f'is no JSON object with a list of "keys"; move it away: then {_GENERATE}')
    keys: list[SigningKey] = []
    for number, jwk in enumerate(listed, 1):
        try:
            keys.append(read_jwk(jwk))
        except ValueError as error:
            raise KeyFileError(path, f"can't be used: key {number} of {len(listed)} {error}") from None
    if len({each.kid for each in keys}) < len(keys):
        raise KeyFileError(path, "has the same key twice; take one of them out")
    return tuple(keys)


def signing_key(keys: Sequence[SigningKey], now: datetime, path: Path) -> SigningKey:
    """The one of the file's keys that signs; :class:`KeyFileError` if none does."""
    found = newest_active(keys, now)
    if found is None:
        raise KeyFileError(path, f"has no key that signs now ({now:%FT%TZ}); move it away: then {_GENERATE}")
    return found


# ---- writing


def write(path: Path, keys: Sequence[SigningKey], *, new: bool = False) -> None:
    """Put ``keys`` in the file's place in one step, whole and on disk, for its owner's eyes from the first byte.

    ``new`` raises :class:`KeyFileExists` rather than replace anything.
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays one
    text = json.dumps({"keys": [to_jwk(each) for each in keys]}, indent=2) + "\n"
    try:
        if new:
            target.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
        try:
            with os.fdopen(descriptor, "w") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            _put(Path(draft), target, path, new)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft)
    except OSError as error:
        raise KeyFileError(path, f"can't be written ({error.strerror}); run this as the folder's owner") from None


def _put(draft: Path, target: Path, path: Path, new: bool) -> None:
    if new:
        try:
            os.link(draft, target)  # which fails where something is, also when two do this at once
        except FileExistsError:
            text = "is there already; `flask corbado-session keys rotate` adds a key to it"
            raise KeyFileExists(path, text) from None
    else:
        _keep_owner(draft, target)
        os.replace(draft, target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _keep_owner(draft: Path, target: Path) -> None:
    """Root may rotate for the user who serves, and the servers can still read the file."""
    owner = target.stat().st_uid
    if os.name == "posix" and owner != draft.stat().st_uid:
        os.chown(draft, owner, -1)
