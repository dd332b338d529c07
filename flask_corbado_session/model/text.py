"""Text from strangers, made safe to store and to print."""

from __future__ import annotations


def cut(raw: str | None, length: int) -> str | None:
    """Printable characters only, so that no log line, terminal or database chokes on them."""
    if not raw:
        return None
    text = raw[:length]
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
