"""Which parts an app is made of: all of them on a database, or those that verify what another host signed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy

from .database.engine import Database, is_in_memory
from .database.rotation import Rotation
from .database.sessions import Store
from .database.tables import tables_in
from .keys.key import SecretKeys, weakness
from .keys.ring import KeyFile
from .model.clock import Clock
from .model.errors import SettingsError
from .model.settings import Settings
from .sessions.hooks import Callbacks, Loaders
from .sessions.lifecycle import Lifecycle
from .sessions.new_device import DisownLinks
from .sessions.revocation import Revocation
from .tokens.short import ShortTokenVerifier
from .verification.ended import EndedSet
from .verification.short_sessions import ShortSessionAuthenticator
from .verification.verifier import ShortSessionVerifier
from .web.state import AppState, DatabaseParts

log = logging.getLogger("flask_corbado_session")


def on_database(
    app: Flask, db: SQLAlchemy, settings: Settings, callbacks: Callbacks, loaders: Loaders, extension: object
) -> AppState:
    """An app that starts sessions: its keys sign, its rows are asked, its cookies are written."""
    clock = Clock()
    secrets = _secret_keys(app)
    keys = key_ring(app, settings, clock) or SecretKeys(secrets)
    tables = tables_in(db.metadata)
    database = Database(lambda: _locate(app, db), db.metadata)
    store = Store(database, tables)
    ended = EndedSet(store.changes_since, clock, settings.revocation_interval, settings.short_lifetime)
    shorts = ShortSessionAuthenticator(ShortTokenVerifier(keys, settings.issuer, settings.audience), ended, clock)
    rotation = Rotation(database, tables, settings.idle_lifetime)
    disowning = DisownLinks(secrets, clock, store, ended, app)
    lifecycle = Lifecycle(settings, clock, keys, secrets, shorts, store, rotation, disowning, loaders, app)
    rows = DatabaseParts(database, lifecycle, Revocation(settings, clock, store, ended, app), disowning)
    return AppState(settings, clock, keys, shorts, callbacks, rows, reads_cookies=True, extension=extension)


def verifying(app: Flask, settings: Settings, callbacks: Callbacks, extension: object) -> AppState:
    """An app without a database: it verifies the issuer's short sessions, which come as bearer.

    Cookies are read only where the app says which: by ``SHORT_COOKIE``, or by the ``COOKIE_DOMAIN`` it shares.
    """
    for name in ("ISSUER", "JWKS_URL"):
        if not app.config.get(f"CORBADO_SESSION_{name}"):
            raise SettingsError(
                f"CORBADO_SESSION_{name} must be set where CorbadoSession() has no db: whose "
                "sessions they are, and where the public keys stand; an app that starts sessions has CorbadoSession(db)"
            )
    clock = Clock()
    verifier = ShortSessionVerifier(
        issuer=settings.issuer,
        jwks_url=settings.jwks_url or "",
        audience=settings.audience,
        revocations_url=settings.revocations_url,
        revocation_interval=settings.revocation_interval,
        clock=clock,
    )
    reads_cookies = bool(app.config.get("CORBADO_SESSION_SHORT_COOKIE") or settings.cookie_domain)
    return AppState(
        settings,
        clock,
        verifier.keys,
        verifier.short_sessions,
        callbacks,
        None,
        reads_cookies=reads_cookies,
        extension=extension,
    )


def _secret_keys(app: Flask) -> list[str | bytes]:
    """``SECRET_KEY`` first, then the fallbacks; a weak one stops an app that is neither debugged nor tested."""
    secret = app.config.get("SECRET_KEY")
    weak = weakness(secret)
    is_key = isinstance(secret, (str, bytes)) and secret
    if weak is not None and (not is_key or not (app.debug or app.testing)):
        raise SettingsError(
            f"SECRET_KEY {weak}; make one with `python -c 'import secrets; print(secrets.token_hex())'` "
            "and keep it out of the source"
        )
    fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or []
    if not isinstance(fallbacks, (list, tuple)) or not all(
        isinstance(each, (str, bytes)) and each for each in fallbacks
    ):
        # one text would be taken for a list of its letters, each of them a key that anybody can guess
        raise SettingsError("SECRET_KEY_FALLBACKS must be a list of former SECRET_KEYs, or None")
    if any(map(weakness, fallbacks)) and not (app.debug or app.testing):
        raise SettingsError("SECRET_KEY_FALLBACKS holds a key that anybody can guess: remove it")
    return [secret, *fallbacks]


def _locate(app: Flask, db: SQLAlchemy) -> tuple[Any, Mapping[str, Any]]:
    """The URL and options of the app's default engine."""
    if "sqlalchemy" not in app.extensions:
        raise RuntimeError("the app's Flask-SQLAlchemy is not set up: call db.init_app(app)")
    with app.app_context():
        url = db.engine.url
    if is_in_memory(url) and not app.testing:
        log.warning(
            "the database is in memory: the long sessions are kept in one of their own and end with the process"
        )
    return url, app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}


def key_ring(app: Flask, settings: Settings, clock: Clock) -> KeyFile | None:
    """The ring of ``CORBADO_SESSION_KEYS_FILE``, or None without one. A relative path begins at ``app.instance_path``.

    A server does not start on a file that is missing or broken (:class:`KeyFileError`). A command of the app does, and
    reads it when it first needs a key: ``keys generate`` could not make the file otherwise.
    """
    if settings.keys_file is None:
        return None
    keys = KeyFile(Path(app.instance_path) / settings.keys_file, clock)
    if not _runs_a_command():
        keys.load()
    return keys


def _runs_a_command() -> bool:
    """Whether Flask makes this app to look for a command in it; ``flask run`` is none of the app's."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)
