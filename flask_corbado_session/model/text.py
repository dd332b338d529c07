"""Text from strangers (user agents, device names), made safe to store and to print."""

from __future__ import annotations


def printable(raw: str | None, length: int) -> str | None:
    """At most ``length`` characters, with spaces for unprintable ones, so that no log or terminal chokes on them."""
    if not raw:
        return None
    text = raw[:length]
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
