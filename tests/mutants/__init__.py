"""Hand-made mutants of the lines that safety depends on: ``make mutants`` shows that a test notices each of them."""

from __future__ import annotations

from . import binding, database, keys, operators, sessions, tokens, verification, web
from .mutant import Mutant

MUTANTS: list[Mutant] = [
    *keys.MUTANTS,
    *tokens.MUTANTS,
    *database.MUTANTS,
    *verification.MUTANTS,
    *binding.MUTANTS,
    *sessions.MUTANTS,
    *web.MUTANTS,
    *operators.MUTANTS,
]
