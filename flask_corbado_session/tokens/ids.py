"""Public ids: 30 letters and digits."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


_ID_LENGTH = 30


def new_id() -> str:
    """A public id: 30 characters A-Z a-z 0-9, 178 bits of chance."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def is_id(value: str) -> bool:
    """Whether this has the form of an id of ours; anything else need not be looked for."""
    return len(value) == _ID_LENGTH and value.isascii() and value.isalnum()
