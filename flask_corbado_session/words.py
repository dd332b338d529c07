"""Times, places and texts for the pages of the extension."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from flask import current_app

from .state import app_state

log = logging.getLogger("flask_corbado_session")

_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"), (12, "month"))


def text(message: str, **values: Any) -> str:
    """A text of our pages, through the app's ``gettext`` where its templates have one (Flask-Babel); ``%(name)s`` is
    then filled in."""
    gettext = current_app.jinja_env.globals.get("gettext")
    translated = gettext(message) if callable(gettext) else message
    return str(translated) % values if values else str(translated)


def ago(at: datetime) -> str:
    """ "3 minutes ago"; "just now" within ten seconds, and for a clock that is ahead."""
    amount = int((app_state().clock.now() - at).total_seconds())
    if amount < 10:
        return text("just now")
    for size, unit in _STEPS:
        if amount < size:
            return _amount(amount, unit)
        amount //= size
    return _amount(amount, "year")


def _amount(amount: int, unit: str) -> str:
    return text(f"1 {unit} ago") if amount == 1 else text(f"%(count)s {unit}s ago", count=amount)


def place(ip: str | None) -> str | None:
    """Where an address is, as ``sessions.locate_ip`` says; None without one, and when it fails."""
    locate = app_state().callbacks.ip_locator
    if locate is None or not ip:
        return None
    try:
        return locate(ip)
    except Exception:
        log.exception("the app's locate_ip failed")
        return None
