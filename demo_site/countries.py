"""The approximate location of an IP address: its country, as allocated by the internet registries."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import iptocc

_FILE = Path(__file__).with_name("countries.tab")


@cache
def _names() -> dict[str, str]:
    lines = (line for line in _FILE.read_text("utf-8").splitlines() if not line.startswith("#"))
    return dict(line.split("\t") for line in lines)


def country_of(ip: str) -> str | None:
    """The English name of the country; None for a private or invalid address."""
    code = iptocc.country_code(ip.removeprefix("::ffff:"))
    return None if code is None else _names().get(code, code)
