"""The bearer token of a request (RFC 6750), and when cookies of ours are asked in its place."""

from __future__ import annotations

import re
from typing import cast

from werkzeug.datastructures import MultiDict

from ..model.outcome import Active, Anonymous
from ..sessions.parts import AppState
from .state import app_state, current_request


def bearer_token() -> str | None:
    """The bearer token by which this request is judged; None where it is judged by its cookies.

    A token that was made elsewhere, and put there by a proxy say, yields to cookies of ours.
    """
    token, state = raw_bearer(), app_state()
    if token is None or not has_cookies(state, current_request().cookies):
        return token
    return None if yields_to_cookies(state.short_sessions.bearer(token), token) else token


_MADE_ELSEWHERE = frozenset({"malformed", "algorithm", "unknown_key", "issuer"})
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,}=*")
"""The b64token of RFC 6750 §2.1; what is shorter than that proves nothing to anybody."""


def yields_to_cookies(outcome: Active | Anonymous, token: str) -> bool:
    """Whether cookies of ours, if there are any, are asked in the bearer's place."""
    if isinstance(outcome, Active) or outcome.bearer_code not in _MADE_ELSEWHERE:
        return False
    return _TOKEN.fullmatch(token) is not None


def has_cookies(state: AppState, cookies: MultiDict[str, str]) -> bool:
    """Whether cookies of ours came, in an app that reads them."""
    settings = state.settings
    return state.reads_cookies and (settings.short_cookie in cookies or settings.long_cookie in cookies)


def raw_bearer() -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1)."""
    header = current_request().environ.get("HTTP_AUTHORIZATION")
    if header is None or header[:6].lower() != "bearer" or header[6:7] not in ("", " "):
        return None
    return cast(str, header[7:].strip(" "))


def has_valid_bearer(state: AppState) -> bool:
    """A page of another site can't set the header; a proxy can, in that page's request too, so any token won't do."""
    token = raw_bearer()
    return token is not None and isinstance(state.short_sessions.bearer(token), Active)
