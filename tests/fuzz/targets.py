"""Every fuzz target: hypothesis tries them in each run (``tests/unit/test_fuzz_targets.py``), atheris for longer."""

from __future__ import annotations

from . import parsers, requests
from .target import Target

TARGETS: dict[str, Target] = {target.name: target for target in (*parsers.TARGETS, *requests.TARGETS)}
"""By name. A new parser of something that comes from outside gets its target here."""
