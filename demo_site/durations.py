"""Durations in words, for the account page."""

from __future__ import annotations

from flask import Flask

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def init_app(app: Flask) -> None:
    """Give the templates the filter ``time_left``."""
    app.jinja_env.filters["time_left"] = time_left


def time_left(seconds: float) -> str:
    """Seconds in their two largest units: "14 min 32 s". ``static/countdown.js`` writes them the same way."""
    rest = max(int(seconds), 0)
    words: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or words:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "expired"
