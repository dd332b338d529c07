"""The file of signing keys (``CORBADO_SESSION_KEYS_FILE``) on disk: read strictly, and replaced as a whole.

It is a JWK set of private keys. The ``kid`` of each is its RFC 7638 thumbprint, its ``alg`` is RS256, ES256 or EdDSA.
Two members are our own: ``signs_from`` and ``published_until``, whole seconds since the epoch, absent where open.
"""

from __future__ import annotations

import json
import os
import stat
import sys
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
"""Times, inode and size of the file. They differ once it has changed, and are known without reading it."""


class KeyFileError(SettingsError):
    """The key file can't be used. The text says which file and what to do, and holds nothing of a key.

    :param path: the file.
    :param problem: what is wrong with it, and what to do.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"CORBADO_SESSION_KEYS_FILE: {path} {problem}")


class KeyFileExists(KeyFileError):
    """There is a key file already; it is never overwritten."""


# ---- reading


def read(path: Path) -> tuple[SigningKey, ...]:
    """The keys of the file, in its order; :class:`KeyFileError` says what is wrong with it."""
    return parse(read_content(path)[0], path)


def read_content(path: Path) -> tuple[bytes, Fingerprint]:
    """The bytes of the file, and its fingerprint when they were read."""
    _check_file(_status(path), path)  # before it is opened, because opening a named pipe would wait for ever
    try:
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            content = opened.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise KeyFileError(
            path, f"can't be read ({error.strerror}); it must belong to the user who runs this"
        ) from None
    _check_file(status, path)  # again, because another file may have been put in its place
    if len(content) > _SIZE_LIMIT:
        raise KeyFileError(path, f"is longer than {_SIZE_LIMIT} bytes, and no set of keys is")
    return content, _fingerprint(status)


def current_fingerprint(path: Path) -> Fingerprint:
    """The file's fingerprint now; :class:`KeyFileError` if it is gone."""
    return _fingerprint(_status(path))


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        raise KeyFileError(path, f"does not exist; {_GENERATE}") from None
    except OSError as error:
        raise KeyFileError(path, f"can't be looked at ({error.strerror}); name a file this user may read") from None


def _fingerprint(status: os.stat_result) -> Fingerprint:
    # st_ctime too: a chmod or chown, which may be what repaired the file, changes nothing else
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _check_file(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(path, "is not a file")
    if _others_may_read(status):
        raise KeyFileError(path, f"may be read by others (mode {status.st_mode & 0o777:03o}); run `chmod 600` on it")


def _others_may_read(status: os.stat_result) -> bool:
    """Whether the mode lets others at the file. A mode says nothing on Windows.

    A file of root's that nobody may write and a group of ours may read (mode 440) is a secret that Kubernetes mounts
    under ``fsGroup``.
    """
    if sys.platform == "win32":
        return False
    ours = {os.getegid(), *os.getgroups()}
    is_mounted_for_us = status.st_uid == 0 and stat.S_IMODE(status.st_mode) & ~0o440 == 0 and status.st_gid in ours
    return status.st_mode & 0o077 != 0 and not is_mounted_for_us


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
    if len({key.kid for key in keys}) < len(keys):
        raise KeyFileError(path, "has the same key twice; take one of them out")
    return tuple(keys)


def signing_key(keys: Sequence[SigningKey], now: datetime, path: Path) -> SigningKey:
    """The key of the file that signs; :class:`KeyFileError` if none does."""
    newest = newest_active(keys, now)
    if newest is None:
        raise KeyFileError(path, f"has no key that signs now ({now:%FT%TZ}); move it away: then {_GENERATE}")
    return newest


# ---- writing


def write(path: Path, keys: Sequence[SigningKey], *, new: bool = False) -> None:
    """Replace the file by one with ``keys``, in one step, and readable by its owner alone from its first byte on.

    It is on disk before this returns. With ``new`` nothing is replaced: :class:`KeyFileExists` if there is a file.
    """
    target = Path(os.path.realpath(path))  # so that a symbolic link stays one
    text = json.dumps({"keys": [to_jwk(key) for key in keys]}, indent=2) + "\n"
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
            os.link(draft, target)  # fails if there is a file, also when two processes do this at once
        except FileExistsError:
            text = "is there already; `flask corbado-session keys rotate` adds a key to it"
            raise KeyFileExists(path, text) from None
    else:
        _keep_owner(draft, target)
        os.replace(draft, target)
    if sys.platform != "win32":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _keep_owner(draft: Path, target: Path) -> None:
    """Keep the file's owner, and the group that may read it, so that root may rotate the keys and the servers can still
    read them."""
    if sys.platform == "win32":
        return
    before, now = target.stat(), draft.stat()
    if before.st_uid != now.st_uid:
        os.chown(draft, before.st_uid, -1)
    if before.st_mode & 0o040:
        os.chown(draft, -1, before.st_gid)
        os.chmod(draft, 0o440)
