"""The rotation of the long session, written out a second time for the tests: nothing of the library is used here.

``present`` is the oracle: what a row and an authentic token make of each other. Times are milliseconds.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from typing import Any, Literal, NamedTuple

BURST_WINDOW = 10_000
MIN_AGE = 60_000
MAX_REOPENS = 8

Answer = Literal["child", "hold", "reuse"]
Kind = Literal["promote", "reopen", "rollback", "hold", "reissue", "reuse"]


class Limits(NamedTuple):
    """The three constants; the search has smaller ones."""

    burst_window: int = BURST_WINDOW
    min_age: int = MIN_AGE
    max_reopens: float = MAX_REOPENS


class Token(NamedTuple):
    """What the transition asks of a token."""

    generation: int
    hash: Any
    parent_hash: Any


class Row(NamedTuple):
    """What the transition asks of a row."""

    generation: int
    token_hash: Any
    rotated_at: int
    reopened: int


THE = Limits()


def present(row: Row, t: Token, now: int, limits: Limits = THE) -> tuple[Row, Answer]:
    """The row after ``t`` was presented, and whether the browser gets a child of ``t``, keeps it, or is thrown out."""
    generation, token_hash, rotated_at, reopened = row
    age, mine = now - rotated_at, t.hash
    is_child = t.generation == generation + 1 and t.parent_hash == token_hash
    if t.generation > generation + 1 or (is_child and age > limits.min_age):
        return Row(t.generation, mine, now, 0), "child"
    if is_child:
        return row, "hold"
    if t.generation == generation and mine == token_hash:
        reopens = age > limits.burst_window and reopened < limits.max_reopens
        return (Row(generation, token_hash, now, reopened + 1) if reopens else row), "child"
    return row, "reuse"


def kind(row: Row, t: Token, now: int) -> Kind:
    """The name of what :func:`present` does."""
    after, answer = present(row, t, now)
    if answer != "child":
        return answer
    if after == row:
        return "reissue"
    return (
        "reopen" if t.generation == row.generation else "promote" if t.generation == row.generation + 1 else "rollback"
    )


class Read(NamedTuple):
    """What stands in a long cookie; its signature is not looked at."""

    session_id: str
    secret: bytes
    nonce: bytes
    token: Token

    def __repr__(self) -> str:
        return f"<token of generation {self.token.generation}>"


def read(cookie: str) -> Read:
    """Take a cookie apart: session_id 30, secret 16, generation u32, nonce 16, parent_hash 32 bytes; a signature."""
    body = cookie.partition(".")[0]
    raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert len(raw) == 98, "a long token has 98 bytes"
    session_id, secret, generation, nonce, parent_hash = raw[:30], raw[30:46], raw[46:50], raw[50:66], raw[66:]
    token_hash = hashlib.sha256(b"id" + session_id + generation + nonce + parent_hash).digest()
    return Read(session_id.decode(), secret, nonce, Token(int.from_bytes(generation, "big"), token_hash, parent_hash))
