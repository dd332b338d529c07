"""The public pages, and the messages that any page may show at the top."""

from __future__ import annotations

from flask import Blueprint, render_template, request

blueprint = Blueprint("pages", __name__)

MESSAGES = {
    "signed-out": "You are signed out.",
    "password-changed": "Your password has been changed.",
    "passkey-added": "Your passkey is ready. Sign in with it next time.",
    "passkey-renamed": "The passkey has its new name.",
    "passkey-removed": "The passkey is removed. It no longer signs you in.",
    "device-signed-out": "The device is signed out. If you do not recognise it, change your password now.",
}


@blueprint.app_context_processor
def message() -> dict[str, str]:
    """The message named by the query; its text never comes from the query."""
    text = MESSAGES.get(request.args.get("message", ""))
    return {"message": text} if text else {}


@blueprint.get("/")
def home() -> str:
    """The start page: what the demo is, and what to try."""
    return render_template("home.html")


@blueprint.get("/app-types")
def app_types() -> str:
    """The four types of app, and where each of them runs."""
    return render_template("app_types.html")
