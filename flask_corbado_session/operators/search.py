"""The search language of the operator pages: ``user:alice status:live before:2026-01-01``.

A search is a list of terms ``name:value``, all of which must match. A value with spaces is put in double quotes; a
quote within it is doubled. Days and times are UTC. There is no SQL in this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import get_args

from ..model.clock import to_ms
from ..model.records import DeviceType, EndReason, SessionState
from ..model.users import USER_ID_LENGTH
from ..tokens.ids import is_id

LONGEST = 500
"""Characters of a search, at most."""
Value = str | int
"""What a term is compared with; times are milliseconds."""
_LONGEST_WORD = 64
_TERM = re.compile(r'(?P<name>[^\s:"]+):(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^\s"]*))(?:\s+|$)')


class FilterError(ValueError):
    """A search that cannot be read. ``field`` names the term, the text says what it may be."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Filter:
    """The terms of a search, their values parsed."""

    terms: Mapping[str, Value] = field(default_factory=dict)
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __contains__(self, name: str) -> bool:
        return name in self.terms

    def get(self, name: str) -> Value | None:
        """The value of a term, or None."""
        return self.terms.get(name)

    def has_terms_other_than(self, *names: str) -> bool:
        """Whether the search has terms beside these."""
        return any(name not in names for name in self.terms)


def _user(value: str) -> str:
    if len(value) > USER_ID_LENGTH:
        raise ValueError(f"a user id of at most {USER_ID_LENGTH} characters")
    return value


def _id(value: str) -> str:
    if not is_id(value):
        raise ValueError("an id of 30 letters and digits")
    return value


def _ip(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("a complete IP address, such as 10.0.0.1 or 2001:db8::1") from None


def _word(value: str) -> str:
    if len(value) > _LONGEST_WORD:
        raise ValueError(f"a name of at most {_LONGEST_WORD} characters")
    return value


def one_of(*known: str) -> Callable[[str], str]:
    """A reader that accepts these words only."""

    def read(value: str) -> str:
        if value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value

    return read


def read_time(value: str) -> int:
    """The milliseconds of an ISO 8601 date or time, UTC unless it has an offset; ValueError for any other text."""
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return to_ms(at)
    except (ValueError, OverflowError):
        raise ValueError("a date or time in UTC, such as 2026-01-31 or 2026-01-31T18:00") from None


READERS: Mapping[str, Callable[[str], Value]] = {
    "user": _user,
    "device": _id,
    "session": _id,
    "ip": _ip,
    "browser": _word,
    "system": _word,
    "type": one_of(*get_args(DeviceType)),
    "status": one_of(*get_args(SessionState)),
    "reason": one_of(*get_args(EndReason)),
    "after": read_time,
    "before": read_time,
}
"""Every term; each list of the pages knows some of them."""


def parse(text: str, known: tuple[str, ...]) -> Filter:
    """The terms of a search; :class:`FilterError` for one that is not ``known``, or cannot be read."""
    if len(text) > LONGEST or not text.isprintable():
        raise FilterError("q", f"A search has at most {LONGEST} printable characters.")
    terms: dict[str, Value] = {}
    at = 0
    rest = text.strip()
    while at < len(rest):
        match = _TERM.match(rest, at)
        if match is None:
            word = rest[at:].split()[0]
            raise FilterError("q", f"A search consists of terms such as user:alice; “{word}” is not a term.")
        name = match["name"]
        value = match["plain"] if match["quoted"] is None else match["quoted"].replace('""', '"')
        terms[name] = _read(name, value, known, terms)
        at = match.end()
    return Filter(terms, rest)


def _read(name: str, value: str, known: tuple[str, ...], so_far: Mapping[str, Value]) -> Value:
    if name not in known:
        raise FilterError(name, f"There is no term “{name}:” here; known are {', '.join(known)}.")
    if name in so_far:
        raise FilterError(name, f"The term “{name}:” is given twice; a search may have each term once.")
    if not value:
        raise FilterError(name, f"The term “{name}:” has no value after its colon.")
    try:
        return READERS[name](value)
    except ValueError as error:
        raise FilterError(name, f"The term “{name}:” takes {error}.") from None


def term(name: str, value: str) -> str:
    """A term as it is written in a search, quoted where needed."""
    plain = value and not any(character.isspace() or character == '"' for character in value)
    quoted = value.replace('"', '""')
    return f"{name}:{value}" if plain else f'{name}:"{quoted}"'
