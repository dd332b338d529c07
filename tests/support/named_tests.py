"""The tests that a document names, and those that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"


def named_in(text: str) -> list[str]:
    """Each test that the text names, in the order it does."""
    return re.findall(r"`(test_\w+)`", text)


@cache
def existing() -> frozenset[str]:
    """The name of every test function there is."""
    trees = (ast.parse(path.read_text()) for path in TESTS.rglob("test_*.py"))
    return frozenset(
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )


def missing_in(text: str) -> list[str]:
    """The tests that the text names and that do not exist."""
    return [name for name in named_in(text) if name not in existing()]
