"""The checks of ``flask corbado-session check``: each risky setting by name, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

from flask import current_app

from ..database.engine import Database
from ..database.skew import can_compare
from ..keys.key import weakness
from ..model.errors import CorbadoSessionError
from ..model.settings import DEFAULT_ISSUER, Settings
from ..sessions.parts import AppState
from ..web.state import app_state
from .keys import key_risks

_MIN_SECRET_LENGTH = 32
LEAST_BOUND_LIFETIME = timedelta(minutes=5)


def risky_settings() -> list[str]:
    """One line for each risk of the current app."""
    state = app_state()
    risks = [*_cookie_risks(state.settings), *_binding_risks(state.settings), *key_risks()]
    if state.parts is not None:
        has_handler = state.hooks.unauthorized_handler is not None
        risks = list(_secret_risks(state.secret_keys)) + risks + list(_view_risks(state.settings, has_handler))
        risks += _namesake_risks(state.settings, state.parts.database)
        risks += _clock_risks(state.parts.database)
    risks += list(_migration_risks(state))
    if current_app.debug:
        risks.append("the app runs in debug mode: never do that where others can reach the app")
    return risks


def _migration_risks(state: AppState) -> Iterator[str]:
    for until in sorted({old_logins.until for old_logins in state.old_logins}):
        if until <= state.clock.now():
            yield f"no old login is moved since {until.date()}: remove the line of flask_corbado_session.migration"


def _secret_risks(secret_keys: Sequence[str | bytes]) -> Iterator[str]:
    current, *fallbacks = secret_keys
    weak = weakness(current)
    if weak is not None:
        yield f"SECRET_KEY {weak}: make one with `python -c 'import secrets; print(secrets.token_hex())'`"
    for weak in filter(None, map(weakness, fallbacks)):
        yield f"a key of SECRET_KEY_FALLBACKS {weak}: remove it"


def _cookie_risks(settings: Settings) -> Iterator[str]:
    if not settings.cookie_secure:
        yield "CORBADO_SESSION_COOKIE_SECURE is False: serve HTTPS and remove the setting"
    if settings.cookie_samesite == "None":
        yield 'CORBADO_SESSION_COOKIE_SAMESITE is "None": use "Lax" unless another site must frame this one'
    if settings.cookie_domain is not None:
        yield "CORBADO_SESSION_COOKIE_DOMAIN is set: every host of that domain can read and set the cookies"
    for name, origins in (("CORS_ORIGINS", settings.cors_origins), ("TRUSTED_ORIGINS", settings.trusted_origins)):
        plain = sorted(origin for origin in origins if origin.startswith("http://"))
        if plain:
            yield f"CORBADO_SESSION_{name} names {', '.join(plain)}: anyone on the network can act as it; use https"


def _binding_risks(settings: Settings) -> Iterator[str]:
    if not settings.device_binding:
        return
    for name, useless in (("COOKIE_SECURE", not settings.cookie_secure), ("URL_PREFIX", settings.url_prefix is None)):
        if useless:
            value = getattr(settings, name.lower())
            yield f"CORBADO_SESSION_DEVICE_BINDING does nothing while {name} is {value}: change that, or remove it"
    if settings.short_lifetime < LEAST_BOUND_LIFETIME:
        yield (
            "CORBADO_SESSION_SHORT_LIFETIME is under five minutes with DEVICE_BINDING: raise it, since browsers "
            "sign only six proofs in nine minutes"
        )


def _namesake_risks(settings: Settings, database: Database) -> Iterator[str]:
    """An app that nothing tells from another one under the same ``SECRET_KEY``."""
    if settings.keys_file is None and settings.issuer == DEFAULT_ISSUER and not database.address:
        yield (
            "CORBADO_SESSION_ISSUER is not set, and the database's URL names no host and no database: any app under "
            "the same SECRET_KEY accepts this one's short sessions; give the app an issuer of its own"
        )


def _clock_risks(database: Database) -> Iterator[str]:
    """Compared at the connection that is made for it; a database that is down is another command's business."""
    with suppress(CorbadoSessionError, RuntimeError):
        if can_compare(database.engine.dialect.name):
            database.run(database.compare_clocks)
        if database.skew.ms:
            yield str(database.skew)


def _view_risks(settings: Settings, has_handler: bool) -> Iterator[str]:
    if settings.reauth_view is None:
        yield "CORBADO_SESSION_REAUTH_VIEW is not set: sessions can be revoked without a recent sign-in"
    if settings.login_view is None and not has_handler:
        yield "CORBADO_SESSION_LOGIN_VIEW is not set: signed-out users get a plain 401, no sign-in page"
    if settings.idle_timeout is None:
        yield "CORBADO_SESSION_IDLE_TIMEOUT is None: a forgotten session stays valid until its absolute expiry"
    if settings.api_secret is not None and len(settings.api_secret) < _MIN_SECRET_LENGTH:
        yield f"CORBADO_SESSION_API_SECRET is shorter than {_MIN_SECRET_LENGTH} characters: it opens all sessions"
    if settings.keys_file is not None and settings.issuer == DEFAULT_ISSUER:
        yield "CORBADO_SESSION_ISSUER is not set: services that verify tokens cannot tell this app from others"
