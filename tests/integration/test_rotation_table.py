"""The statement against the oracle, at every threshold of the transition and for every relation of token and row."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from flask_corbado_session.database.rotation import Rotation
from flask_corbado_session.database.verdicts import Accepted, Gone, Verdict
from flask_corbado_session.model.clock import from_ms, to_ms
from flask_corbado_session.model.records import Context
from flask_corbado_session.tokens.long import LongToken
from tests.support.jars import SessionRows, as_row
from tests.support.oracle import BURST_WINDOW, MAX_REOPENS, MIN_AGE, Token, kind, present
from tests.support.rules import NOON, Rules

DAY = 86_400_000
NOW = to_ms(NOON) + DAY
AGES = [-DAY, -1, 0, BURST_WINDOW - 1, BURST_WINDOW, BURST_WINDOW + 1, MIN_AGE - 1, MIN_AGE, MIN_AGE + 1, DAY // 2]
WINS = [0, MAX_REOPENS - 1, MAX_REOPENS, MAX_REOPENS + 1]
GEN = 5


@pytest.fixture
def rows(database_url: str, rules: Rules) -> Iterator[SessionRows]:
    """One session, started at noon; what follows happens a day later."""
    rules.start()
    with SessionRows(database_url) as rows:
        yield rows


def tokens(row: dict[str, Any], current: LongToken) -> dict[str, LongToken]:
    """One for each relation to the row; ``current`` is the one the row is at."""
    stranger = replace(current, nonce=secrets.token_bytes(16))
    return {
        "its child": current.child(),
        "a sister's child": stranger.child(),
        "current": current,
        "a sister": stranger,
        "its parent's generation": replace(stranger, generation=GEN - 1),
        "the first": replace(stranger, generation=1),
        "a grandchild": current.child().child(),
        "a grandchild nobody knows": stranger.child().child(),
        "far ahead": replace(stranger, generation=GEN + 1000),
        "furthest": replace(stranger, generation=2**31 - 1),
    }


def test_the_statement_does_what_the_oracle_says_at_every_threshold(rules: Rules, rows: SessionRows) -> None:
    rotation = Rotation(rules.database, timedelta(days=7))
    started = rows.one()
    secret = secrets.token_bytes(16)
    current = LongToken(started["id"], secret, GEN, secrets.token_bytes(16), secrets.token_bytes(32))
    base = started | {"secret_hash": current.secret_hash, "generation": GEN, "token_hash": current.hash}
    shown = Context("203.0.113.6", "Somebody/1")
    cases = list(product(tokens(base, current).items(), AGES, WINS))
    assert len(cases) == 10 * 10 * 4
    for (relation, token), age, win in cases:
        was = base | {"rotated_at": NOW - age, "reopened": win}
        rows.put(base["id"], **was)
        verdict = rotation.present(token, shown, from_ms(NOW))
        t = Token(token.generation, token.hash, token.parent_hash)
        expected = kind(as_row(was), t, NOW)
        case = f"{relation}, {age} ms, win {win}: {expected}"
        check(verdict, rows.one(), expected, case)
        assert as_row(rows.one()) == present(as_row(was), t, NOW)[0], case


def check(verdict: Verdict, row: dict[str, Any], expected: str, case: str) -> None:
    if expected == "reuse":
        assert isinstance(verdict, Gone), case
        assert verdict.found_now, case
        assert (row["ended_at"], row["end_reason"]) == (NOW, "reuse"), case
    else:
        assert isinstance(verdict, Accepted), case
        assert verdict.kind == expected, case
        assert row["ended_at"] is None, case


@pytest.mark.parametrize("relation", ["its child", "current", "a sister", "far ahead"])
def test_a_token_with_another_secret_matches_no_row_and_ends_none(
    rules: Rules, rows: SessionRows, relation: str
) -> None:
    """Whoever has the key and the database's identities still does not know the session's secret."""
    rotation = Rotation(rules.database, timedelta(days=7))
    row = rows.one()
    current = LongToken(row["id"], secrets.token_bytes(16), GEN, secrets.token_bytes(16), secrets.token_bytes(32))
    rows.put(row["id"], generation=GEN, token_hash=current.hash)
    before = rows.all()
    verdict = rotation.present(tokens(row, current)[relation], Context(), from_ms(NOW))
    assert verdict == Gone("missing")
    assert rows.all() == before
