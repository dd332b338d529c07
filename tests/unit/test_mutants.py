"""The table of mutants fits the code it speaks of: ``make mutants`` is too slow to run each time."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.mutants import MUTANTS
from tests.mutants.mutant import ROOT


@cache
def functions_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_mutants_text_stands_in_its_file_once_and_the_mutant_is_code() -> None:
    offenders = []
    for mutant in MUTANTS:
        try:
            text = mutant.applied_to(mutant.path.read_text(encoding="utf-8"))
            if mutant.path.suffix == ".py":
                ast.parse(text)
        except (ValueError, SyntaxError) as error:
            offenders.append(f"{mutant.file}: {error}")
    assert offenders == []


def test_each_mutant_names_a_test_that_there_is() -> None:
    named = [mutant.test_id.partition("::") for mutant in MUTANTS]
    assert [test for file, _, test in named if test not in functions_in(ROOT / file)] == []


def test_no_mutant_stands_there_twice() -> None:
    edits = [(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS]
    assert len(set(edits)) == len(edits)
    assert all(mutant.old != mutant.new for mutant in MUTANTS)


def test_there_are_at_least_sixty() -> None:
    assert len([mutant for mutant in MUTANTS if not mutant.equivalent]) >= 60
