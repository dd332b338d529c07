"""Runs the Python examples of a document, in the order they are read, in one namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def run_examples(path: Path, **names: Any) -> dict[str, Any]:
    """The namespace after every ``python`` block of the document has run; ``names`` are there from the start."""
    document = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(ROOT)).parse(path)
    # Flask finds its folders by the name of the module the app is made in
    document.namespace.update(names, __name__=__name__)
    for example in document.examples():
        example.evaluate()
    return document.namespace
