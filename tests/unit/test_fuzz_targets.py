"""Each fuzz target holds for some hundred inputs in each run; ``make fuzz`` looks for longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

UNFORGEABLE = {"cookie", "link", "waiting_cookie"}
"""Those of which no input is accepted."""


@st.composite
def damaged(draw: st.DrawFn, target: Target) -> bytes:
    """A seed with a part of it replaced by other bytes, or by a part of another seed."""
    seed = draw(st.sampled_from(target.seeds))
    begin = draw(st.integers(0, len(seed)))
    end = draw(st.integers(begin, len(seed)))
    part = draw(st.binary(max_size=20) | st.sampled_from(target.seeds))
    return seed[:begin] + part * draw(st.sampled_from([0, 1, 1, 1, 50])) + seed[end:]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_whatever_is_sent_only_the_documented_comes_of_it(target: Target) -> None:
    @settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode) | damaged(target))
    def hold(data: bytes) -> None:
        target.check(data)

    hold()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_first_seed_is_accepted_so_that_the_target_tries_something(target: Target) -> None:
    assert target.check(target.seeds[0]) is (target.name not in UNFORGEABLE)
    for seed in target.seeds:
        target.check(seed)
