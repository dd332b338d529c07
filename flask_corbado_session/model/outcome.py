"""The outcome of a request (DESIGN §4): exactly one is kept with it.

Not frozen, which would make each ten times as expensive. What holds a token is no named tuple: who logs local variables
would log what is in it, whatever its repr hides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from .records import Context, GoneReason, RefreshKind, ShortSession


@dataclass(slots=True)
class Active:
    """A valid short session came with the request; no statement was needed."""

    short: ShortSession


@dataclass(slots=True)
class Refreshed:
    """The long session gave a new short one; ``long_token`` is None where the browser keeps the one it has."""

    short: ShortSession
    short_token: str = field(repr=False)
    long_token: str | None = field(repr=False)
    persistent: bool
    long_expires_at: datetime
    at: datetime
    kind: RefreshKind


@dataclass(slots=True)
class Started:
    """Somebody signed in, or confirmed it, in this request: a new long session."""

    short: ShortSession
    short_token: str = field(repr=False)
    long_token: str = field(repr=False)
    device_token: str = field(repr=False)
    persistent: bool
    long_expires_at: datetime


class Anonymous(NamedTuple):
    """No session of ours came with the request; ``bearer_code`` says why a bearer token was refused."""

    bearer_code: str | None = None
    bearer_text: str = ""


class Ended(NamedTuple):
    """An authentic long session came that no longer serves."""

    session_id: str
    reason: GoneReason


class SignedOut(NamedTuple):
    """This request signed out; the browser's cookies are cleared, unless a bearer token did."""

    clears_cookies: bool = True


class Unproven(NamedTuple):
    """No outcome yet: an authentic long session that is bound to a key of the browser's, and no proof came by it.

    A browser that has the key may only have had no occasion to prove it (``web/proving``).
    """

    session_id: str
    user_id: str
    context: Context
    previous: Context
    """Where the session was refreshed last."""
    age: timedelta
    """How long ago that was; below zero where the clocks of two processes differ."""


Outcome = Active | Refreshed | Started | Anonymous | Ended | SignedOut
