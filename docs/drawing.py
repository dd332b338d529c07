"""Draws the pictures of the protocol and of device binding, light and dark: ``python docs/drawing.py`` writes them.

The numbers in them are those of the code. A test compares the files with what this draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from flask_corbado_session.model.settings import BURST_WINDOW, MAX_REOPENS, MIN_AGE

IMAGES = Path(__file__).parent / "images"
YOUNG, BURST = f"{MIN_AGE.total_seconds():g} s", f"{BURST_WINDOW.total_seconds():g} s"
LIGHT = {"ink": "#1f2937", "soft": "#5b6472", "line": "#7b8494", "fill": "#f3f5f8", "good": "#0b6b4f", "bad": "#b3261e"}
DARK = {"ink": "#e6e9ef", "soft": "#a7b0be", "line": "#7b8494", "fill": "#1d222b", "good": "#5fd0a5", "bad": "#ff8a80"}


@dataclass(slots=True)
class Drawing:
    """An SVG that grows; colours are named, and stand in the palette."""

    width: int
    height: int
    title: str
    palette: dict[str, str]
    parts: list[str] = field(default_factory=list)

    def box(self, x: int, y: int, width: int, height: int, *lines: str, colour: str = "line") -> None:
        """A box with lines of text in its middle, the first of them bold."""
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{self.palette["fill"]}" '
            f'stroke="{self.palette[colour]}" stroke-width="1.5"/>'
        )
        top = y + height / 2 - 9 * (len(lines) - 1) + 5
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 18 * number, line, bold=number == 0, colour="soft" if number else "ink")

    def text(
        self, x: float, y: float, line: str, *, bold: bool = False, colour: str = "ink", at: str = "middle"
    ) -> None:
        """A line of text."""
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{at}" fill="{self.palette[colour]}"{weight}>{escape(line)}</text>'
        )

    def arrow(self, *points: tuple[int, int], colour: str = "line", dashed: bool = False) -> None:
        """A line through these points, with a head at the last one."""
        path = " ".join(f"{'L' if number else 'M'}{x} {y}" for number, (x, y) in enumerate(points))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="{self.palette[colour]}" stroke-width="1.5"{dash} '
            f'marker-end="url(#{colour})"/>'
        )

    def svg(self) -> str:
        """The whole file."""
        heads = "".join(
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
            for name, colour in self.palette.items()
        )
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'width="{self.width}" height="{self.height}" font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{escape(self.title)}</title><defs>{heads}</defs>",
            *self.parts,
            "</svg>\n",
        ])  # fmt: skip


def states(palette: dict[str, str]) -> Drawing:
    """What a long token does to its session."""
    drawing = Drawing(800, 480, "What each long token does to its session", palette)
    drawing.box(20, 30, 130, 50, "no session")
    drawing.arrow((150, 55), (218, 55))
    drawing.text(184, 46, "sign-in", colour="soft")
    drawing.box(220, 30, 260, 390, colour="good")
    drawing.text(350, 56, "live", bold=True)
    rows = [
        ("PROMOTE", f"the child, after {YOUNG}:", "it becomes the current token"),
        ("HOLD", f"the child, within {YOUNG}:", "a short session, nothing else"),
        ("REISSUE", f"the current token, within {BURST}:", "another child, nothing written"),
        ("REOPEN", f"the current token, after {BURST}:", f"another child, {MAX_REOPENS} times in a row"),
        ("ROLLBACK", "a token of later generations:", "the database lost commits"),
    ]
    for number, (name, when, then) in enumerate(rows):
        y = 70 + 69 * number
        drawing.box(232, y, 236, 64, name, when, then)
    drawing.box(570, 175, 210, 60, "ended: reuse", "every copy is signed out", colour="bad")
    drawing.arrow((480, 205), (568, 205), colour="bad")
    drawing.text(524, 178, "any other", colour="bad")
    drawing.text(524, 194, "token", colour="bad")
    drawing.box(570, 50, 210, 98, "ended", "signed_out, revoked,", "operator, superseded,", "user_disabled, limit")
    drawing.arrow((480, 99), (568, 99))
    drawing.box(570, 270, 210, 50, "idle", "unused for IDLE_TIMEOUT")
    drawing.arrow((480, 295), (568, 295), dashed=True)
    drawing.box(570, 350, 210, 50, "expired", "LONG_LIFETIME is over")
    drawing.arrow((480, 375), (568, 375), dashed=True)
    drawing.text(400, 446, "Each of the five gives a new short session in the same request.", colour="soft")
    drawing.text(400, 466, "What has ended, by whatever way, never comes back to life.", colour="soft")
    return drawing


def copies(palette: dict[str, str]) -> Drawing:
    """How a copy is found out."""
    drawing = Drawing(780, 330, "How a copied token is found out", palette)
    for x, label in (
        (95, "copied here"),
        (275, "20 minutes later"),
        (465, "40 minutes later"),
        (678, "60 minutes later"),
    ):
        drawing.text(x, 24, label, colour="soft")
    drawing.text(20, 84, "owner", bold=True, at="start", colour="good")
    drawing.text(20, 252, "thief", bold=True, at="start", colour="bad")
    drawing.box(30, 140, 130, 56, "token 1", "both have it")
    drawing.box(210, 52, 130, 56, "token 2a", "child of 1", colour="good")
    drawing.box(210, 220, 130, 56, "token 2b", "child of 1", colour="bad")
    drawing.arrow((160, 158), (208, 90), colour="good")
    drawing.arrow((160, 178), (208, 246), colour="bad")
    drawing.box(390, 46, 150, 68, "token 3", "2a is used:", "it is the current one", colour="good")
    drawing.arrow((340, 80), (388, 80), colour="good")
    drawing.box(590, 212, 176, 72, "2b is used", "neither the current one", "nor its child: REUSE", colour="bad")
    drawing.arrow((340, 248), (588, 248), colour="bad")
    drawing.box(590, 52, 176, 56, "signed out too", "and told of the copy")
    drawing.arrow((678, 210), (678, 110), colour="bad")
    drawing.text(380, 316, "Whichever branch is used first, the other one is found out when it is used.", colour="soft")
    return drawing


def binding(palette: dict[str, str]) -> Drawing:
    """How a session is bound to a browser."""
    drawing = Drawing(780, 440, "How a session is bound to a browser", palette)
    browser, app, copy = 130, 390, 650
    for x, label, colour in (
        (browser, "browser, with a key", "good"),
        (app, "your app", "line"),
        (copy, "a copy of the cookies", "bad"),
    ):
        drawing.box(x - 85, 16, 170, 40, label, colour=colour)
        drawing.arrow((x, 56), (x, 430), dashed=True)
    for y, start, end, line in (
        (92, browser, app, "signs in"),
        (126, app, browser, "cookies, and a challenge"),
        (166, browser, app, "public key, and a proof"),
        (200, app, browser, "the session is bound"),
        (246, copy, app, "both cookies: served"),
        (318, browser, app, "a proof"),
        (352, app, browser, "a new short session"),
        (378, copy, app, "the long cookie alone"),
        (412, app, copy, "signed out"),
    ):
        inward = 4 if start < end else -4
        drawing.arrow((start + inward, y), (end - inward, y), colour="bad" if copy in (start, end) else "good")
        drawing.text((start + end) / 2, y - 7, line)
    for x in ((browser + app) / 2, (app + copy) / 2):
        drawing.text(x, 282, "the short session ends", colour="soft")
    return drawing


PICTURES: dict[str, Callable[[dict[str, str]], Drawing]] = {
    "protocol-states": states,
    "protocol-copies": copies,
    "device-binding": binding,
}


def drawn() -> dict[str, str]:
    """The content of each file."""
    schemes = {"light": LIGHT, "dark": DARK}
    return {
        f"{name}-{scheme}.svg": draw(palette).svg()
        for name, draw in PICTURES.items()
        for scheme, palette in schemes.items()
    }


if __name__ == "__main__":
    for file, content in drawn().items():
        (IMAGES / file).write_text(content)
