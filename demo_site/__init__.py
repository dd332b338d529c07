"""The demo site: sign-in, account and devices, and the other three types of app beside it.

It uses only the public API of flask_corbado_session.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from .addresses import Addresses

DEFAULTS: dict[str, Any] = {
    "CORBADO_SESSION_COOKIE_SECURE": False,  # the demo speaks http; set it to true behind https
    "CORBADO_SESSION_LOGIN_VIEW": "auth.sign_in",
    "CORBADO_SESSION_REAUTH_VIEW": "account.confirm",
    "DEMO_ACCOUNTS": True,
    "DEMO_PASSKEY_ORIGINS": None,  # a list, if the site is not at localhost
    "DEMO_PASSKEY_RP_ID": "localhost",
    "DEMO_PASSWORD_HASH": "scrypt",  # the method, as werkzeug.security.generate_password_hash takes it
    "DEMO_SIGN_IN_LIMIT": "10 per minute; 60 per hour",
    "DEMO_SIGN_UP_LIMIT": "60 per minute",
    "MAX_CONTENT_LENGTH": 1024 * 1024,
    "MAX_FORM_MEMORY_SIZE": 64 * 1024,
    "MAX_FORM_PARTS": 50,
    "RATELIMIT_ENABLED": True,
    "RATELIMIT_STORAGE_URI": "memory://",
    "SEND_FILE_MAX_AGE_DEFAULT": timedelta(hours=1),
}


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Create the site. ``config`` overrides the environment (``FLASK_…``), which overrides the defaults.

    A missing key, database or table is created in the instance folder; ``DEMO_INSTANCE`` names another folder.
    """
    # Here, because what starts the three servers and the two others need none of it, and it takes a second to import.
    from . import (
        account,
        auth,
        durations,
        errors,
        instance,
        live,
        models,
        operator,
        pages,
        passkeys,
        query_log,
        relying_party,
        security,
        spa,
        thief,
    )
    from .extensions import db, limiter, sessions

    folder = os.environ.get("DEMO_INSTANCE")
    app = Flask(__name__, instance_path=str(Path(folder).resolve()) if folder else None)
    addresses = (config or {}).get("DEMO_ADDRESSES") or Addresses.from_environment()
    app.config.from_mapping(
        DEFAULTS, CORBADO_SESSION_ISSUER=addresses.auth, CORBADO_SESSION_CORS_ORIGINS=[addresses.app]
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    instance.set_defaults(app)
    for extension in (db, limiter, sessions):
        extension.init_app(app)
    for part in (security, query_log, durations, errors, thief):
        part.init_app(app)
    relying_party.init_app(app, addresses)
    for part in (pages, auth, account, passkeys, live, thief, spa):
        app.register_blueprint(part.blueprint)
    app.register_blueprint(operator.make_blueprint(), url_prefix="/operator")
    app.jinja_env.globals["addresses"] = addresses
    with app.app_context():
        models.create_missing()
    return app
