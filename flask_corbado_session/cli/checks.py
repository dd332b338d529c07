"""What ``flask corbado-session check`` says: every risky setting by name, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import current_app

from ..keys.key import weakness
from ..model.settings import DEFAULT_ISSUER, Settings
from ..web.state import app_state
from .keys import key_risks

_LEAST_SECRET = 32


def risky_settings() -> list[str]:
    """A line for each risk of the current app."""
    state = app_state()
    risks = list(_cookie_risks(state.settings)) + list(key_risks())
    if state.parts is not None:
        risks = list(_secret_risks(state.secret_keys)) + risks + list(_view_risks(state.settings))
    if current_app.debug:
        risks.append("the app runs in debug mode: never do that where others can reach it")
    return risks


def _secret_risks(secret_keys: Sequence[str | bytes]) -> Iterator[str]:
    secret_key, *fallbacks = secret_keys
    weak = weakness(secret_key)
    if weak is not None:
        yield f"SECRET_KEY {weak}: make one with `python -c 'import secrets; print(secrets.token_hex())'`"
    for fallback in fallbacks:
        weak = weakness(fallback)
        if weak is not None:
            yield f"a key of SECRET_KEY_FALLBACKS {weak}: remove it"


def _cookie_risks(settings: Settings) -> Iterator[str]:
    if not settings.cookie_secure:
        yield "CORBADO_SESSION_COOKIE_SECURE is False: serve https and remove it"
    if settings.cookie_samesite == "None":
        yield 'CORBADO_SESSION_COOKIE_SAMESITE is "None": use "Lax" unless another site must frame this one'
    if settings.cookie_domain is not None:
        yield "CORBADO_SESSION_COOKIE_DOMAIN is set: every host below it can read and overwrite the cookies"
    for name in ("cors_origins", "trusted_origins"):
        plain = sorted(origin for origin in getattr(settings, name) if origin.startswith("http://"))
        if plain:
            yield f"CORBADO_SESSION_{name.upper()} names {', '.join(plain)}: anybody on the network can speak for it"


def _view_risks(settings: Settings) -> Iterator[str]:
    if settings.reauth_view is None:
        yield "CORBADO_SESSION_REAUTH_VIEW is not set: other sessions are ended without a recent sign-in"
    if settings.login_view is None:
        yield "CORBADO_SESSION_LOGIN_VIEW is not set: people who are signed out get a bare 401"
    if settings.idle_timeout is None:
        yield "CORBADO_SESSION_IDLE_TIMEOUT is None: a forgotten session serves to its very end"
    if settings.api_secret is not None and len(settings.api_secret) < _LEAST_SECRET:
        yield f"CORBADO_SESSION_API_SECRET is shorter than {_LEAST_SECRET} characters: it opens everybody's sessions"
    if settings.keys_file is not None and settings.issuer == DEFAULT_ISSUER:
        yield "CORBADO_SESSION_ISSUER is not set: services that verify by the published keys can't tell you from others"
