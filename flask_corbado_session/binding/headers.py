"""The headers of device binding (structured fields, RFC 9651), as Chromium writes and reads them."""

from __future__ import annotations

import re
from urllib.request import parse_http_list

ALGORITHMS = ("ES256", "RS256")
"""What a browser may choose from, the better first: it takes the first it can."""

REGISTRATION = "Secure-Session-Registration"
CHALLENGE = "Secure-Session-Challenge"
PROOF = "Secure-Session-Response"
SESSION_ID = "Sec-Secure-Session-Id"
SKIPPED = "Secure-Session-Skipped"

_REASON = re.compile(r"[a-z_]{1,32}")
_PARAMETER = re.compile(r';\s*([a-z*][a-z0-9_.*-]*)(?:=("(?:[^"\\]|\\.)*"|[^;]*))?')
LONGEST_SKIPPED = 2048
"""Characters of that header that are read: two dozen sessions of a browser."""


def registration(path: str, challenge: str) -> str:
    """Asks a browser to make a key, and to prove at ``path`` that it has it."""
    return f'({" ".join(ALGORITHMS)});path="{path}";challenge="{challenge}"'


def challenge_for(session_id: str, challenge: str) -> str:
    """What the next proof of a session is to answer."""
    return f'"{challenge}";id="{session_id}"'


def string(value: str | None) -> str | None:
    """A string that the specification has in quotes, and Chromium sends bare; None for an empty one."""
    return (value or "").strip().strip('"') or None


def skipped_reason(value: str | None, session_id: str) -> str | None:
    """Why a browser did not refresh this session before this request (``quota_exceeded``, ``server_error``,
    ``unreachable``); None if it says nothing of it. Another app on the same host may have sessions of its own, and a
    reason that names none is any session's."""
    of_any = None
    for item in filter(None, parse_http_list((value or "")[:LONGEST_SKIPPED])):
        word = _REASON.match(item)
        reason = word[0] if word else "unknown"
        named = dict(_PARAMETER.findall(item)).get("session_identifier")
        if named is None:
            of_any = of_any or reason
        elif string(named) == session_id:
            return reason
    return of_any
