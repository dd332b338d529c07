"""What the apps on the demo's other hosts share: their look and their security headers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flask import Flask
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader

from . import security
from .addresses import Addresses

_TEMPLATES = Path(__file__).parent / "templates"


def make_app(name: str, addresses: Addresses, calls: Iterable[str] = ()) -> Flask:
    """Create an app in the demo's look; ``calls`` are the origins that its script calls."""
    app = Flask(name)
    # only the icons are shared: the site's other templates link to pages that do not exist here
    icons = PrefixLoader({"site": FileSystemLoader(_TEMPLATES)})
    app.jinja_loader = ChoiceLoader([FileSystemLoader(_TEMPLATES / "other_hosts"), icons])
    app.jinja_env.globals["addresses"] = addresses
    security.init_app(app, calls)
    return app
