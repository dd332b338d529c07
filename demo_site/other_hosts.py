"""What the pages on the demo's other hosts share: their look and their headers, without the site's own templates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flask import Flask
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader

from . import security
from .addresses import Addresses

_TEMPLATES = Path(__file__).parent / "templates"


def make_app(name: str, addresses: Addresses, calls: Iterable[str] = ()) -> Flask:
    """An app in the demo's look; ``calls`` are the origins its script talks to."""
    app = Flask(name)
    # the site's templates link to the site's own pages, which are not here; its icons are
    icons = PrefixLoader({"site": FileSystemLoader(_TEMPLATES)})
    app.jinja_loader = ChoiceLoader([FileSystemLoader(_TEMPLATES / "other_hosts"), icons])
    app.jinja_env.globals["addresses"] = addresses
    security.init_app(app, calls)
    return app
