"""About where an address is: its country, by the registries' allocations."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import iptocc

_FILE = Path(__file__).with_name("countries.tab")


@cache
def _names() -> dict[str, str]:
    lines = (line for line in _FILE.read_text("utf-8").splitlines() if not line.startswith("#"))
    return dict(line.split("\t") for line in lines)


def country(ip: str) -> str | None:
    """The country's English name; None for a private address, and for what is none."""
    code = iptocc.country_code(ip.removeprefix("::ffff:"))
    return None if code is None else _names().get(code, code)
