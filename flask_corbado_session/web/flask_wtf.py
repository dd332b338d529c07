"""Flask-WTF's ``CSRFProtect`` beside ours: it spares the extension's own routes, which check the origin instead."""

from __future__ import annotations

from flask import Flask

PACKAGE = __package__.partition(".")[0]


def spare_own_routes(app: Flask) -> None:
    """Exempt the extension's blueprints from ``CSRFProtect``, if the app has it.

    Their forms carry no token, and their scripts know none: who sent a request is told by its origin.
    """
    protect = app.extensions.get("csrf")
    if protect is None or not hasattr(protect, "exempt"):  # not Flask-WTF's
        return
    for blueprint in app.blueprints.values():
        if blueprint.import_name == PACKAGE:
            protect.exempt(blueprint)
