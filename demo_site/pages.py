"""The public pages, and the notices that any page may show."""

from __future__ import annotations

from flask import Blueprint, render_template, request

blueprint = Blueprint("pages", __name__)

NOTICES = {
    "signed-out": "You are signed out.",
    "password-changed": "Your password is changed.",
    "device-ended": "It is signed out, everywhere. If you do not know that device, change your password now.",
}


@blueprint.app_context_processor
def notice() -> dict[str, str]:
    """One of our own sentences, chosen by the address; never a text from it."""
    text = NOTICES.get(request.args.get("notice", ""))
    return {"notice": text} if text else {}


@blueprint.get("/")
def home() -> str:
    """What this is and what to try."""
    return render_template("home.html")


@blueprint.get("/app-types")
def app_types() -> str:
    """Which shapes of app there are, and where each is shown."""
    return render_template("app_types.html")
