"""The rotation as a model for SPIN (docs/model/rotation.pml): it says what the search says, and what the code does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_corbado_session.model.outcome import Ended, Refreshed
from tests.conftest import do_without
from tests.support import spin
from tests.support.jars import SessionRows
from tests.support.oracle import read
from tests.support.rules import Rules, rules_on

CONSTANTS = "#define W 10000\n#define P 60000\n#define K 8"
WAITS = [0, 1, 4_000, 9_999, 10_000, 10_001, 30_000, 59_999, 60_000, 60_001, 61_000, 900_000, -5_000]


@pytest.fixture(autouse=True)
def _spin() -> None:
    if reason := spin.missing():
        do_without("SPIN", reason)


# ---- every state


@pytest.mark.parametrize("world", [
    {},  # three at once, a failover, cookies rolled back, a clock set back
    {"REQUEST": 1, "ANSWER": 2, "TO_DISK": 0, "FAILOVERS": 0},
    {"REQUEST": 0, "ANSWER": 2, "TO_DISK": 1, "FAILOVERS": 0},
    {"TO_DISK": 0, "HONOURED": 5, "ANY_TIME": 1, "K": 1},
    {"TO_DISK": 0, "HONOURED": 5, "AHEAD": 1, "FAILOVERS": 0, "CLOCK_BACK": 0},
])  # fmt: skip
def test_no_honest_browser_comes_to_a_theft(tmp_path: Path, world: dict[str, int]) -> None:
    found = spin.search(tmp_path, **world)
    assert not found.is_violated
    assert found.states > 300


SMALL = {"REQUEST": 0, "ANSWER": 1, "TO_DISK": 0, "FAILOVERS": 0, "CLOCK_BACK": 0}


def test_nor_in_the_small_world_of_the_broken_constants(tmp_path: Path) -> None:
    assert not spin.search(tmp_path, **SMALL).is_violated


@pytest.mark.parametrize(
    "broken",
    [{"W": 1, "P": 1}, {"P": 0}, {"K": 0}, {"W": 4, "P": 4}, {"ANSWER": 4}, {"FAILOVERS": 1, "ANY_TIME": 1}],
    ids=["P = W", "P = 0", "K = 0", "W = P", "delays of more than P - W", "a failover under requests"],
)
def test_a_broken_constant_is_found(tmp_path: Path, broken: dict[str, int]) -> None:
    assert spin.search(tmp_path, **(SMALL | broken)).is_violated


# ---- traces of the code


class Recorder:
    """Refreshes one session as a few holders of its tokens might, and writes down what came of it.

    Tokens are numbered as they are met; 1 is the root of the chain, which nobody holds.
    """

    def __init__(self, rules: Rules, rows: SessionRows, seed: int) -> None:
        self.rules, self.rows, self.random = rules, rows, random.Random(seed)
        first = rules.start().long_token
        self.cookies = {2: first}
        self.numbers = {read(first).token.parent_hash: 1, read(first).token.hash: 2}
        self.session_id = read(first).session_id
        self.steps = ["row.id = 1", "token[2].gen = 1; token[2].id = 2; token[2].parent = 1"]
        self.kinds: set[str] = set()
        self._earlier = self._rotation()

    def _rotation(self) -> dict[str, object]:
        row = self.rows.one()
        return {name: row[name] for name in ("generation", "token_hash", "rotated_at", "reopened")}

    def record(self, steps: int) -> None:
        """So many requests, or until a token was found to be a stolen one."""
        for _ in range(steps):
            self._wait()
            if self.random.random() < 0.1:
                self._fail_over()
            if not self._present():
                break

    def _wait(self) -> None:
        ms = self.random.choice(WAITS)
        self.rules.clock.move(milliseconds=ms)
        self.steps.append(f"waited({ms})")

    def _fail_over(self) -> None:
        """The database goes on with an earlier row, as after a commit that was lost."""
        self.rows.put(self.session_id, **self._earlier)
        row = self.rows.one()
        age = int(self.rules.clock.at.timestamp() * 1000) - row["rotated_at"]
        number = self.numbers[row["token_hash"]]
        self.steps.append(f"failed_over({row['generation']}, {number}, {age}, {row['reopened']})")

    def _present(self) -> bool:
        newest = max(self.cookies)
        number = newest if self.random.random() < 0.7 else self.random.choice(list(self.cookies))
        before = self._rotation()
        outcome = self.rules.refresh(self.cookies[number])
        assert isinstance(outcome, (Refreshed, Ended))
        kind = outcome.kind if isinstance(outcome, Refreshed) else outcome.reason
        self.kinds.add(kind)
        self.steps.append(f"presented({number}, {kind})")
        if isinstance(outcome, Ended):
            return False
        if outcome.long_token is not None:
            self._note_child(outcome.long_token)
        if self._rotation() != before:
            self._earlier = before
        row = self._rotation()
        self.steps.append(f"row_is({row['generation']}, {self.numbers[row['token_hash']]}, {row['reopened']})")
        return True

    def _note_child(self, cookie: str) -> None:
        token, number = read(cookie).token, max(self.numbers.values()) + 1
        self.cookies[number], self.numbers[token.hash] = cookie, number
        self.steps.append(f"was_given({number}, {token.generation}, {self.numbers[token.parent_hash]})")


def recorded(sqlite_url: str, seed: int, steps: int = 25) -> Recorder:
    rules = rules_on(sqlite_url)
    with SessionRows(sqlite_url) as rows:
        recorder = Recorder(rules, rows, seed)
        recorder.record(steps)
    return recorder


def accepted(folder: Path, trace: Recorder) -> bool:
    return spin.accepts(folder, CONSTANTS, trace.steps, tokens=100)


def test_what_the_code_does_the_model_does(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for trace in _recorded_in(tmp_path):
        kinds |= trace.kinds
        assert accepted(tmp_path, trace), trace.steps
    assert kinds == {"promote", "reopen", "rollback", "hold", "reissue", "reuse"}


@pytest.mark.parametrize(
    ("was", "instead"), [("promote", "hold"), ("hold", "promote"), ("reissue", "reopen"), ("reuse", "reissue")]
)
def test_a_trace_that_says_otherwise_is_not_accepted(tmp_path: Path, was: str, instead: str) -> None:
    trace = next(trace for trace in _recorded_in(tmp_path) if was in trace.kinds)
    number = next(number for number, step in enumerate(trace.steps) if f", {was})" in step)
    trace.steps[number] = trace.steps[number].replace(was, instead)
    assert not accepted(tmp_path, trace)


def _recorded_in(folder: Path) -> Iterator[Recorder]:
    return (recorded(f"sqlite:///{folder}/{seed}.sqlite", seed) for seed in range(30))
