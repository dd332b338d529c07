"""The pictures of docs/ are those that docs/drawing.py draws, with the numbers of the code."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from tests.support.documents import DOCS


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawing", DOCS / "drawing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "drawing", module)  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_as_drawn(drawing: ModuleType) -> None:
    for name, content in drawing.drawn().items():
        assert (DOCS / "images" / name).read_text() == content, "python docs/drawing.py draws it anew"


def test_light_and_dark_say_the_same(drawing: ModuleType) -> None:
    pictures = {name: re.sub(r"#[0-9a-f]{6}", "", content) for name, content in drawing.drawn().items()}
    for name, content in pictures.items():
        assert content == pictures[name.replace("-light", "-dark")]


def test_the_rules_on_the_page_have_the_numbers_of_the_code(drawing: ModuleType) -> None:
    page = (DOCS / "protocol.md").read_text()
    numbers = f"min_age={drawing.YOUNG[:-2]}, burst_window={drawing.BURST[:-2]}, max_reopens={drawing.MAX_REOPENS}"
    assert numbers in page
    assert f"more than {drawing.YOUNG} have passed" in page
    assert f"less than {drawing.BURST} have passed" in page
    assert f"at most {drawing.MAX_REOPENS} times in a row" in page
