"""The chart of README and docs, as SVG: one bar for each way to know who is there, in a light and a dark variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from .table import Report, Result

OURS = "flask-corbado-session"
_WIDTH, _LABELS, _ROW, _TOP = 760, 290, 28, 64
_RIGHT = 64


@dataclass(frozen=True, slots=True)
class Colours:
    """Of one variant."""

    ground: str
    text: str
    faint: str
    bar: str
    ours: str


LIGHT = Colours("#ffffff", "#1f2328", "#59636e", "#a9b4c0", "#1a7f5a")
DARK = Colours("#0d1117", "#e6edf3", "#9198a1", "#4d5866", "#3fb98a")


def draw(report: Report, colours: Colours) -> str:
    """The bars of the rows that are charted, shortest first; ours has a colour of its own."""
    rows = [row for row in report.results if row.charted and row.instructions is not None]
    ordered = sorted(rows, key=lambda row: row.instructions or 0)
    height = _TOP + _ROW * len(ordered) + 46
    longest = max((row.instructions or 0 for row in ordered), default=1.0)
    scale = (_WIDTH - _LABELS - _RIGHT) / longest
    title = "Instructions of a page that needs a signed-in user"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(_in_words(ordered), {chr(34): "&quot;"})}">',
        f"<title>{title}</title>",
        f'<g font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" fill="{colours.text}">',
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="{colours.ground}"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600">{title}</text>',
        f'<text x="16" y="46" font-size="12" fill="{colours.faint}">'
        "against the same page of an app that asks nobody; shorter is better</text>",
    ]
    for number, row in enumerate(ordered):
        parts += _bar(row, _TOP + _ROW * number, scale, colours)
    x, bottom = _LABELS + scale, _TOP + _ROW * len(ordered)
    parts += [
        f'<path d="M{x:.1f} {_TOP - 4}V{bottom}" stroke="{colours.text}" stroke-dasharray="3 3"/>',
        f'<text x="{x:.1f}" y="{bottom + 14}" font-size="11" text-anchor="middle" fill="{colours.faint}">'
        "1 = bare</text>",
        f'<text x="16" y="{height - 10}" font-size="11" fill="{colours.faint}">'
        f"{escape(report.date)}, {escape(report.command)}; callgrind</text>",
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(row: Result, y: int, scale: float, colours: Colours) -> list[str]:
    is_ours, ratio = row.title == "protected page, seen before", row.instructions or 0
    label, weight = (OURS, "600") if is_ours else (row.title, "400")
    colour, end = colours.ours if is_ours else colours.bar, _LABELS + ratio * scale
    return [
        f'<text x="{_LABELS - 10}" y="{y + 16}" font-size="13" font-weight="{weight}" text-anchor="end">'
        f"{escape(label)}</text>",
        f'<rect x="{_LABELS}" y="{y + 3}" width="{ratio * scale:.1f}" height="18" rx="3" fill="{colour}"/>',
        f'<text x="{end + 6:.1f}" y="{y + 17}" font-size="13" font-weight="{weight}">{ratio:.2f}</text>',
    ]


def _in_words(rows: Sequence[Result]) -> str:
    return "; ".join(
        f"{OURS if row.title == 'protected page, seen before' else row.title}: {row.instructions or 0:.2f}"
        for row in rows
    )
