"""Public ids: 30 letters and digits."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 30
_COUNT = len(_ALPHABET) ** _LENGTH


def new_id() -> str:
    """A new random id: 30 characters A-Z a-z 0-9, 178 bits."""
    number, characters = secrets.randbelow(_COUNT), ""  # one draw of randomness for all of them
    for _ in range(_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        characters += _ALPHABET[index]
    return characters


def is_id(value: str) -> bool:
    """Whether this has the form of an id; if not, no row can have it."""
    return len(value) == _LENGTH and value.isascii() and value.isalnum()
