"""Flask-JWT-Extended's cookies: a refresh token, or an access token where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from flask import Config, current_app, request
from jwt.types import Options

from ..model.clock import Clock
from .source import OldLogin, expired_cookies, is_user_id

Payload = Mapping[str, Any]
_LONGEST = 4096
_KINDS = {"refresh": "JWT_REFRESH", "access": "JWT_ACCESS"}
"""The claim ``type`` of each kind of token, and how its settings begin. A refresh token is asked for first."""
_OPTIONS: Options = {
    "require": ["iat"],
    # by our clock, below
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    # which may be a number in tokens of before 4.7
    "verify_sub": False,
}


class JwtCookies:
    """The cookies as the app's ``JWT_*`` settings describe them, by Flask-JWT-Extended's defaults."""

    def __init__(self, clock: Clock, is_blocked: Callable[[Payload], object] | None) -> None:
        self._clock = clock
        self._is_blocked = is_blocked

    def find(self) -> OldLogin | None:
        """The login of the first token that is authentic, in time and not on the app's blocklist."""
        config = current_app.config
        for kind in _KINDS:
            payload = self._load(request.cookies.get(_cookie(config, kind), ""), kind, config)
            if payload is not None and not (self._is_blocked is not None and self._is_blocked(payload)):
                user_id = payload.get(config.get("JWT_IDENTITY_CLAIM", "sub"))
                if is_user_id(user_id):
                    persistent = not config.get("JWT_SESSION_COOKIE", True)
                    return OldLogin(str(user_id), persistent, datetime.fromtimestamp(payload["iat"], UTC))
        return None

    def take_away(self) -> list[str]:
        """The headers that delete both tokens' cookies, and those of their CSRF tokens."""
        config = current_app.config
        shared = {
            "domain": config.get("JWT_COOKIE_DOMAIN"),
            "secure": config.get("JWT_COOKIE_SECURE", False),
            "samesite": config.get("JWT_COOKIE_SAMESITE"),
        }
        tokens = {_cookie(config, kind): config.get(f"{prefix}_COOKIE_PATH", "/") for kind, prefix in _KINDS.items()}
        csrf = {
            config.get(f"{prefix}_CSRF_COOKIE_NAME", f"csrf_{kind}_token"): config.get(
                f"{prefix}_CSRF_COOKIE_PATH", "/"
            )
            for kind, prefix in _KINDS.items()
        }
        return expired_cookies(tokens, httponly=True, **shared) + expired_cookies(csrf, **shared)

    def _load(self, token: str, kind: str, config: Config) -> Payload | None:
        if not 0 < len(token) <= _LONGEST:
            return None
        algorithm = config.get("JWT_ALGORITHM", "HS256")
        secret = config.get("JWT_SECRET_KEY") or config["SECRET_KEY"]
        try:
            payload: Payload = jwt.decode(
                token,
                secret if algorithm.startswith("HS") else config["JWT_PUBLIC_KEY"],
                algorithms=[algorithm],
                audience=config.get("JWT_DECODE_AUDIENCE"),
                issuer=config.get("JWT_DECODE_ISSUER"),
                options=_OPTIONS,
            )
        except jwt.InvalidTokenError:
            return None
        return payload if payload.get("type") == kind and self._is_in_time(payload) else None

    def _is_in_time(self, payload: Payload) -> bool:
        now = self._clock.now().timestamp()
        made, begins, ends = payload["iat"], payload.get("nbf", 0), payload.get("exp", now + 1)
        if not all(isinstance(time, (int, float)) for time in (made, begins, ends)):
            return False
        return bool(max(made, begins) <= now + 1 and now < ends)


def _cookie(config: Config, kind: str) -> str:
    name: str = config.get(f"{_KINDS[kind]}_COOKIE_NAME", f"{kind}_token_cookie")
    return name
