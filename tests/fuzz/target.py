"""What a fuzz target is: bytes from a stranger, and what may come of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Target(NamedTuple):
    """Something that parses what strangers send.

    ``check`` gives it the bytes and returns whether they were accepted. It catches the documented exceptions alone, so
    that any other one is a finding; an AssertionError is one too.
    """

    name: str
    check: Callable[[bytes], bool]
    seeds: tuple[bytes, ...]
    """Inputs to begin with; the first one is accepted."""


def fields(data: bytes, number: int) -> list[str]:
    """The lines of the input, so many, as header values are decoded; what is missing is empty."""
    lines = data.decode("latin-1").split("\n", number - 1)
    return lines + [""] * (number - len(lines))


def text(data: bytes) -> str:
    """The input as a string that may hold anything a string can hold, lone surrogates included."""
    return data.decode("utf-8", "surrogatepass") if _is_text(data) else data.decode("utf-8", "surrogateescape")


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
