"""Everything that parses what strangers send, fed with whatever: by hypothesis in each run, by atheris for longer."""

from __future__ import annotations

from . import parsers, requests
from .target import Target

TARGETS: dict[str, Target] = {target.name: target for target in (*parsers.TARGETS, *requests.TARGETS)}
"""By name. A new parser of something that comes from outside gets its target here."""
