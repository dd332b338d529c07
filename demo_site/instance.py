"""The instance folder. The first run creates a secret key, the signing keys and the SQLite database in it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from flask import Flask

from flask_corbado_session import SettingsError, generate_keys


def set_defaults(app: Flask) -> None:
    """Set the keys and the database that neither the environment nor the caller of ``create_app`` has set."""
    folder = Path(app.instance_path)
    if not app.config.get("SECRET_KEY"):
        app.config["SECRET_KEY"] = read_or_create_secret_key(folder)
    if "CORBADO_SESSION_KEYS_FILE" not in app.config:  # None is a valid setting: SECRET_KEY then signs
        app.config["CORBADO_SESSION_KEYS_FILE"] = str(find_or_create_signing_keys(folder))
    if not app.config.get("SQLALCHEMY_DATABASE_URI"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'demo.sqlite'}"
    app.config.setdefault("SQLALCHEMY_ENGINE_OPTIONS", _engine_options(app.config["SQLALCHEMY_DATABASE_URI"]))


def read_or_create_secret_key(folder: Path) -> str:
    """The secret key in ``folder``.

    A new one is written to a draft and linked into place, so that two simultaneous first runs read the same key.
    """
    file = folder / "secret_key"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".secret_key.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # another process was first
        finally:
            draft.unlink()
    return file.read_text().strip()


def find_or_create_signing_keys(folder: Path) -> Path:
    """The key file that signs short sessions, so that services without the secret key can verify them."""
    file = folder / "keys.json"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            generate_keys(file)
        except SettingsError:
            if not file.exists():  # no other process created it either, so the folder is not writable
                raise
    return file


def _engine_options(uri: Any) -> dict[str, Any]:
    """Short timeouts, so that a database that does not respond is soon a 503."""
    if str(uri).startswith("sqlite"):
        return {"connect_args": {"timeout": 2}}
    options: dict[str, Any] = {"pool_timeout": 2, "pool_pre_ping": True}
    if str(uri).startswith("postgresql"):
        options["connect_args"] = {"connect_timeout": 2, "options": "-c statement_timeout=2000 -c lock_timeout=2000"}
    elif str(uri).startswith(("mysql", "mariadb")):
        options["connect_args"] = {"connect_timeout": 2, "read_timeout": 3, "write_timeout": 3}
    return options
