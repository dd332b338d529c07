"""The simulation of ``benchmarks.deploy`` on a fifth of its people: what docs/scaling.md says of a deploy."""

from __future__ import annotations

from random import Random

from benchmarks.deploy import GOAL, LIFETIME, POLICIES, THINK, Policy, simulate

PEOPLE = 20_000
AS_SHIPPED, ON_EXPIRY, _, JITTERED, EARLY, EARLIER = POLICIES


def test_the_steady_rate_is_one_refresh_for_each_lifetime_and_wait() -> None:
    for policy in (AS_SHIPPED, ON_EXPIRY):
        result = simulate(policy, "rolling", people=PEOPLE)
        assert abs(result.steady / (PEOPLE / (LIFETIME * policy.ahead + THINK)) - 1) < 0.05


def test_a_deploy_that_empties_every_cache_makes_no_peak() -> None:
    assert simulate(AS_SHIPPED, "rolling", people=PEOPLE).ratio < GOAL


def test_a_stop_of_half_a_minute_makes_one_which_lifetime_jitter_does_not_lower() -> None:
    assert simulate(AS_SHIPPED, "stopped", 30, PEOPLE).ratio > GOAL
    assert simulate(JITTERED, "stopped", 30, PEOPLE).ratio > GOAL


def test_refreshing_some_requests_earlier_lowers_it_for_more_refreshes() -> None:
    stopped, shipped = simulate(EARLIER, "stopped", 30, PEOPLE), simulate(AS_SHIPPED, "rolling", people=PEOPLE)
    assert stopped.ratio < GOAL
    assert stopped.steady > 1.3 * shipped.steady


def test_jitter_lowers_the_echoes_after_every_short_session_was_refused() -> None:
    plain, jittered = (simulate(policy, "refused", people=PEOPLE).echo for policy in (AS_SHIPPED, JITTERED))
    assert jittered < plain / 2


def test_a_policy_without_chance_refreshes_no_earlier_than_it_is_due() -> None:
    random = Random(1)
    policy = Policy("plain")
    assert all(policy.next_refresh(0, random) >= LIFETIME * policy.ahead for _ in range(1000))
