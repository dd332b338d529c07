"""Damage to tokens that changes what they say, wherever it is done."""

from __future__ import annotations

from string import ascii_letters, digits

_ALPHABET = ascii_letters[26:] + ascii_letters[:26] + digits + "-_"  # base64url, in the order of its values


def flipped(token: str, place: int) -> str:
    """The token with another character at ``place``, which differs in the highest of its six bits.

    The last character of a base64url text has spare low bits, which a decoder may ignore; its highest bit counts.
    """
    place %= len(token)
    other = _ALPHABET[_ALPHABET.index(token[place]) ^ 32] if token[place] in _ALPHABET else "A"
    return token[:place] + other + token[place + 1 :]
