"""The headers of device binding (structured fields, RFC 9651), as Chromium writes and reads them."""

from __future__ import annotations

import re

ALGORITHMS = ("ES256", "RS256")
"""What a browser may choose from, the better first: it takes the first it can."""

REGISTRATION = "Secure-Session-Registration"
CHALLENGE = "Secure-Session-Challenge"
PROOF = "Secure-Session-Response"
SESSION_ID = "Sec-Secure-Session-Id"
SKIPPED = "Secure-Session-Skipped"

_REASON = re.compile(r"[a-z_]{1,32}")


def registration(path: str, challenge: str) -> str:
    """Asks a browser to make a key, and to prove at ``path`` that it has it."""
    return f'({" ".join(ALGORITHMS)});path="{path}";challenge="{challenge}"'


def challenge_for(session_id: str, challenge: str) -> str:
    """What the next proof of a session is to answer."""
    return f'"{challenge}";id="{session_id}"'


def string(value: str | None) -> str | None:
    """A string that the specification has in quotes, and Chromium sends bare; None for an empty one."""
    return (value or "").strip().strip('"') or None


def skipped_reason(value: str | None) -> str | None:
    """Why a browser did not refresh before this request (``quota_exceeded``, ``server_error``, ``unreachable``);
    None if it says nothing."""
    if value is None:
        return None
    reason = _REASON.match(value.strip())
    return reason[0] if reason else "unknown"
