"""Runs the Python examples of a document, in the order they are read, in one namespace."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import time_machine
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
RUN_AS_ONE_FILE = [page for page in DOCUMENTS if page.name != "tutorial.md"]
"""The blocks of the tutorial are several files, which tests/integration/test_tutorial.py writes and runs."""
ALL_PAGES = sorted([*DOCUMENTS, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))])
WRITTEN_AT = datetime(2026, 12, 1, tzinfo=UTC)
"""When the examples run, since some name a day that must be ahead."""


def without_code(markdown: str, *, keep_inline: bool = False) -> str:
    """A page without its blocks of code, and without the code in its lines."""
    prose = re.sub(r"^(```+).*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return prose if keep_inline else re.sub(r"`[^`\n]*`", "", prose)


def run_examples(path: Path, **names: Any) -> dict[str, Any]:
    """The namespace after every ``python`` block of the document has run; ``names`` are there from the start."""
    document = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(ROOT)).parse(path)
    # Flask finds its folders by the name of the module the app is made in
    document.namespace.update(names, __name__=__name__)
    with time_machine.travel(WRITTEN_AT):
        for example in document.examples():
            example.evaluate()
    return document.namespace
