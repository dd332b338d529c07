"""The rotation of the long session, written out a second time for the tests: nothing of the library is used here.

``present`` is the oracle: what a row and an authentic token make of each other. Times are milliseconds.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from typing import Any, Literal, NamedTuple

W = 10_000
P = 60_000
K = 8

Answer = Literal["child", "hold", "theft"]
Kind = Literal["promote", "reopen", "future", "hold", "reissue", "theft"]


class Limits(NamedTuple):
    """The three constants; the search has smaller ones."""

    w: int = W
    p: int = P
    k: float = K


class Token(NamedTuple):
    """What the transition asks of a token."""

    gen: int
    ident: Any
    pid: Any


class Row(NamedTuple):
    """What the transition asks of a row."""

    gen: int
    cur: Any
    at: int
    win: int


THE = Limits()


def present(row: Row, t: Token, now: int, limits: Limits = THE) -> tuple[Row, Answer]:
    """The row after ``t`` was presented, and whether the browser gets a child of ``t``, keeps it, or is thrown out."""
    gen, cur, at, win = row
    age, me = now - at, t.ident
    if t.gen > gen + 1 or (t.gen == gen + 1 and t.pid == cur and age > limits.p):
        return Row(t.gen, me, now, 0), "child"
    if t.gen == gen + 1 and t.pid == cur:
        return row, "hold"
    if t.gen == gen and me == cur:
        return (Row(gen, cur, now, win + 1) if age > limits.w and win < limits.k else row), "child"
    return row, "theft"


def kind(row: Row, t: Token, now: int) -> Kind:
    """The name of what :func:`present` does."""
    after, answer = present(row, t, now)
    if answer != "child":
        return answer
    if after == row:
        return "reissue"
    return "reopen" if t.gen == row.gen else "promote" if t.gen == row.gen + 1 else "future"


class Read(NamedTuple):
    """What stands in a long cookie; its signature is not looked at."""

    session_id: str
    secret: bytes
    nonce: bytes
    token: Token

    def __repr__(self) -> str:
        return f"<token of generation {self.token.gen}>"


def read(cookie: str) -> Read:
    """Take a cookie apart: session_id 30, secret 16, gen u32, nonce 16, pid 32 bytes, then the signature."""
    body = cookie.partition(".")[0]
    raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert len(raw) == 98, "a long token has 98 bytes"
    session_id, secret, gen, nonce, pid = raw[:30], raw[30:46], raw[46:50], raw[50:66], raw[66:]
    ident = hashlib.sha256(b"id" + session_id + gen + nonce + pid).digest()
    return Read(session_id.decode(), secret, nonce, Token(int.from_bytes(gen, "big"), ident, pid))
