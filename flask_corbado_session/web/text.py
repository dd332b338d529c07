"""Times, places and texts for the extension's pages, translated by the app's ``gettext`` if it has one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from flask import current_app
from jinja2 import Environment
from jinja2.runtime import Context as TemplateContext
from markupsafe import escape

from ..sessions.user_agent import describe
from .state import app_state

log = logging.getLogger("flask_corbado_session")


def N_(message: str) -> str:
    """Mark a text for extraction (``pybabel extract`` knows this name)."""
    return message


_AGES = (
    (60, N_("1 second ago"), N_("%(count)s seconds ago")),
    (60, N_("1 minute ago"), N_("%(count)s minutes ago")),
    (24, N_("1 hour ago"), N_("%(count)s hours ago")),
    (30, N_("1 day ago"), N_("%(count)s days ago")),
    (12, N_("1 month ago"), N_("%(count)s months ago")),
)
_YEARS = N_("1 year ago"), N_("%(count)s years ago")
_MONTHS = (
    N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June"),
    N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December"),
)  # fmt: skip
_METHODS = {
    "pwd": N_("password"),
    "otp": N_("one-time code"),
    "sms": N_("text message"),
    "hwk": N_("passkey"),
    "swk": N_("passkey"),
    "pop": N_("passkey"),
    "face": N_("face"),
    "fpt": N_("fingerprint"),
    "pin": N_("PIN"),
    "mfa": N_("two factors"),
    "fed": N_("another provider"),
    "user": N_("a person's presence"),
}
"""Names of the methods of RFC 8176."""
_REASONS = {
    "signed_out": N_("Signed out on that device"),
    "revoked": N_("Signed out from another device"),
    "operator": N_("Signed out by an operator"),
    "reuse": N_("Ended because a copy of it was used"),
    "superseded": N_("Replaced by a newer sign-in"),
    "user_disabled": N_("Ended because the account was disabled"),
    "limit": N_("Ended because there were too many sessions"),
}


def add_to(templates: Environment) -> None:
    """Add the functions of this module to an app's templates."""
    templates.globals.update(corbado_session_text=text, corbado_session_has_static=has_static)
    templates.filters.update(
        corbado_session_ago=ago,
        corbado_session_day=day,
        corbado_session_moment=moment,
        corbado_session_place=place,
        corbado_session_label=label,
        corbado_session_methods=methods,
        corbado_session_reason=reason,
    )


def has_static() -> bool:
    """Whether the stylesheets and scripts of the extension are served: without a URL prefix they are not."""
    return app_state().settings.url_prefix is not None


def text(message: str, **values: Any) -> str:
    """Translate a text with the ``gettext`` of the app's templates (Flask-Babel), if any, and fill in ``%(name)s``.

    If a value is markup, so is the result; the message itself is then escaped.
    """
    templates = current_app.jinja_env
    gettext = templates.globals.get("gettext")
    if callable(gettext) and getattr(templates, "newstyle_gettext", False):
        # Jinja's new style needs a template context, and fills in values even where there are none
        context = TemplateContext(templates, {}, None, {})
        return cast(str, context.call(gettext, message if values else message.replace("%", "%%"), **values))
    translated = str(gettext(message)) if callable(gettext) else message
    if not values:
        return translated
    if any(hasattr(value, "__html__") for value in values.values()):
        return escape(translated) % values
    return translated % values


def ago(at: datetime) -> str:
    """ "3 minutes ago"; "just now" for less than ten seconds, and for times in the future."""
    amount = int((app_state().clock.now() - at).total_seconds())
    if amount < 10:
        return text(N_("just now"))
    for size, one, many in _AGES:
        if amount < size:
            return _counted(amount, one, many)
        amount //= size
    return _counted(amount, *_YEARS)


def _counted(amount: int, one: str, many: str) -> str:
    return text(one) if amount == 1 else text(many, count=amount)


def day(at: datetime, near: datetime | None = None) -> str:
    """ "5 January 2026", in UTC; "5 January" if ``near`` is in the same year."""
    if near is not None and at.year == near.year:
        return text(N_("%(day)s %(month)s"), day=at.day, month=text(_MONTHS[at.month - 1]))
    return text(N_("%(day)s %(month)s %(year)s"), day=at.day, month=text(_MONTHS[at.month - 1]), year=at.year)


def moment(at: datetime) -> str:
    """The exact time: "5 January 2026, 14:03:09 UTC"."""
    return text(N_("%(day)s, %(time)s UTC"), day=day(at), time=at.strftime("%H:%M:%S"))


def label(user_agent: str | None) -> str:
    """ "Safari on iPhone". Takes about a millisecond; the label of a device is stored in its row."""
    return describe(user_agent).label


def methods(amr: Sequence[str]) -> str:
    """How somebody signed in (RFC 8176), in words; unknown methods are shown as they are."""
    # "user" says that a person was there when the key was used, so it is no method beside the key
    named = [method for method in amr if method != "user"] or amr
    words = list(dict.fromkeys(text(_METHODS[method]) if method in _METHODS else method for method in named))
    *others, last = words or [""]
    return text(N_("%(these)s and %(this)s"), these=", ".join(others), this=last) if others else last


def reason(end_reason: str | None) -> str:
    """Why a session was ended."""
    return text(_REASONS.get(end_reason or "", N_("Ended")))


def place(ip: str | None) -> str | None:
    """The approximate location of an IP address from ``sessions.ip_locator``; None without one, or if it fails."""
    locate = app_state().hooks.ip_locator
    if locate is None or not ip:
        return None
    try:
        return locate(ip)
    except Exception:
        log.exception("the app's ip_locator failed")
        return None
