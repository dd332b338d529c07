"""The docstrings that the reference is made from: every public name says what it takes, returns and raises."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from blinker import NamedSignal
from werkzeug.local import LocalProxy

ROOT = Path(__file__).parents[2]
PACKAGE = "flask_corbado_session"
MODULES = (PACKAGE, f"{PACKAGE}.flask_login", f"{PACKAGE}.testing", f"{PACKAGE}.migration")
REFERENCE = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
NOT_SHOWN = {"flask_corbado_session.flask_login.__version__"}
"""Part of Flask-Login's face, and nothing to explain."""


def public_names() -> dict[str, Any]:
    """By what they are called in a program."""
    modules = {name: import_module(name) for name in MODULES}
    return {f"{name}.{each}": getattr(module, each) for name, module in modules.items() for each in face(module)}


def face(module: Any) -> list[str]:
    """Its ``__all__``, else what it defines without an underscore."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]


def described() -> Iterator[tuple[str, Any]]:
    """Every public function and class, and every public method and property of a class."""
    for name, value in public_names().items():
        if isinstance(value, (LocalProxy, NamedSignal)) or not callable(value):
            continue
        yield name, value
        members = vars(value).items() if inspect.isclass(value) else ()
        for member, inner in members:
            if not member.startswith("_") and isinstance(inner, (property, staticmethod, classmethod)):
                yield f"{name}.{member}", inner if isinstance(inner, property) else inner.__func__
            elif not member.startswith("_") and inspect.isfunction(inner):
                yield f"{name}.{member}", inner


def parameters(value: Any) -> set[str]:
    if isinstance(value, property):
        return set()
    try:
        return set(inspect.signature(value).parameters) - {"self", "cls"}
    except ValueError:  # an exception that takes whatever Exception takes
        return set()


def named(value: Any) -> set[str]:
    """The parameters that a docstring explains."""
    return set(re.findall(r"^ *:param (\w+): \S", inspect.getdoc(value) or "", re.MULTILINE))


def test_every_public_name_has_a_docstring() -> None:
    assert [name for name, value in described() if not inspect.getdoc(value)] == []


def test_every_parameter_of_a_public_name_is_explained_and_none_that_it_lacks() -> None:
    differences = {name: parameters(value) ^ named(value) for name, value in described()}
    assert {name: difference for name, difference in differences.items() if difference} == {}


def test_what_a_public_function_returns_is_said() -> None:
    silent = []
    for name, value in described():
        returns = inspect.signature(value).return_annotation if inspect.isfunction(value) else "None"
        if returns not in ("None", None, "NoReturn") and ":returns:" not in (inspect.getdoc(value) or ""):
            silent.append(name)
    assert silent == []


def test_a_docstring_that_lacks_a_parameter_is_found() -> None:
    def half(one: int, two: int) -> None:
        """Half.

        :param one: said.
        :param three: is none.
        """

    assert parameters(half) ^ named(half) == {"two", "three"}


def test_every_public_name_stands_in_the_reference() -> None:
    shown = set(re.findall(rf"{PACKAGE}(?:\.\w+)+", REFERENCE)) | NOT_SHOWN
    assert [name for name in public_names() if name not in shown] == []


def test_every_signal_says_what_it_brings() -> None:
    signals = {name: value for name, value in public_names().items() if isinstance(value, NamedSignal)}
    assert len(signals) == 16
    assert [name for name, value in signals.items() if value.__doc__ in (None, NamedSignal.__doc__)] == []
