"""What a mutant is: one wrong edit of a line that safety depends on, and the test that must notice it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = "flask_corbado_session"

UNIT, INTEGRATION, BROWSER = "tests/unit/", "tests/integration/", "tests/browser/"


class Mutant(NamedTuple):
    """A wrong edit. ``file`` is below the package; ``old`` stands in it exactly once."""

    file: str
    old: str
    new: str
    means: str
    """What it would be in production."""
    test: str
    """The test that fails, as pytest names it, below ``tests/unit`` unless it begins with ``tests/``."""
    equivalent: str = ""
    """Why no test can tell it from the original; it does not count then."""

    @property
    def path(self) -> Path:
        """The file in the checkout."""
        return ROOT / PACKAGE / self.file

    @property
    def test_id(self) -> str:
        """The test, as an argument for pytest."""
        return self.test if self.test.startswith("tests/") else UNIT + self.test

    def line_in(self, text: str) -> int:
        """Where the edit begins."""
        return text[: text.index(self.old)].count("\n") + 1

    def applied_to(self, text: str) -> str:
        """The file's text with the edit; ValueError unless ``old`` stands in it once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file}: expected {self.old!r} once, and found it {found} times")
        return text.replace(self.old, self.new)
