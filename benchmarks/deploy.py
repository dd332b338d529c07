"""``python -m benchmarks.deploy``: how many refreshes a second follow a deploy, by simulation and without servers.

100,000 people are there. Each asks on average every 20 seconds, at random; a short session is refreshed by the first
request that finds it due (``CORBADO_SESSION_REFRESH_AHEAD`` of its lifetime, or its end). A deploy empties every cache
of the processes. That alone refreshes nobody, because a short session stands in the browser's cookie and needs no
cache; what can make a peak is that the service is away, or that every short session is refused.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from random import Random
from typing import Literal

Deploy = Literal["rolling", "stopped", "refused"]
PEOPLE, THINK, LIFETIME, AHEAD = 100_000, 20.0, 900.0, 0.6
DEPLOY_AT = 1800.0
"""Seconds from the start, when people's refreshes have long been spread evenly."""
AFTER = 2700.0
"""Seconds that are looked at from the deploy on: three lifetimes, for the echoes."""
ECHO_FROM = 300
"""Seconds after the deploy, when everybody has been refreshed once."""
GOAL = 1.3


@dataclass(frozen=True, slots=True)
class Policy:
    """When a short session is due.

    ``jitter``: the lifetime of each is shorter by a random part of it, up to this. ``early``: from this age on (a part
    of the lifetime), each request refreshes with ``chance``; from ``AHEAD`` on, every one does.
    """

    name: str
    ahead: float = AHEAD
    jitter: float = 0.0
    early: float = 0.0
    chance: float = 0.0

    def due_in(self, random: Random) -> float:
        """Seconds after it was made that the next request refreshes it for certain."""
        return LIFETIME * self.ahead * (1 - self.jitter * random.random())

    def next_refresh(self, made_at: float, random: Random) -> float:
        """When a request refreshes it. Requests come at random, so the wait for one has no memory."""
        certain = made_at + self.due_in(random)
        if self.chance:
            asked = made_at + LIFETIME * self.early + random.expovariate(self.chance / THINK)
            if asked < certain:
                return asked
        return certain + random.expovariate(1 / THINK)


POLICIES = (
    Policy("ahead at 0.6, as shipped"),
    Policy("only when expired", ahead=1.0),
    Policy("ahead, lifetime up to 10 % shorter", jitter=0.1),
    Policy("ahead, lifetime up to 30 % shorter", jitter=0.3),
    Policy("one request in six from 0.4 on", early=0.4, chance=1 / 6),
    Policy("one request in twelve from 0.2 on", early=0.2, chance=1 / 12),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Refreshes a second: before the deploy, and the highest after it: of a second, ten, and a minute of echoes."""

    steady: float
    peak: float
    peak_ten: float
    echo_minute: float

    @property
    def ratio(self) -> float:
        """The highest ten seconds against the steady rate: a second alone is mostly chance."""
        return self.peak_ten / self.steady

    @property
    def echo(self) -> float:
        """The highest minute after the first is over (ECHO_FROM), against the steady rate."""
        return self.echo_minute / self.steady


def simulate(policy: Policy, deploy: Deploy, away: float = 0.0, people: int = PEOPLE, seed: int = 0) -> Result:
    """What a deploy does: ``away`` is how many seconds nobody is served, for the kind ``stopped``."""
    random = Random(seed)
    seconds = int(DEPLOY_AT + AFTER)
    counted = [0] * (seconds + 1)
    for _ in range(people):
        at = -random.uniform(0, LIFETIME * policy.ahead)  # when the first short session was made
        refused = deploy == "refused"
        while True:
            at = policy.next_refresh(at, random)
            if refused and at > DEPLOY_AT:
                at, refused = DEPLOY_AT + random.expovariate(1 / THINK), False
            elif deploy == "stopped" and DEPLOY_AT <= at < DEPLOY_AT + away:
                at = _again(policy, DEPLOY_AT + away, random)
            if at >= seconds:
                break
            if at >= 0:
                counted[int(at)] += 1
    before, after = counted[600 : int(DEPLOY_AT)], counted[int(DEPLOY_AT) :]
    return Result(sum(before) / len(before), max(after), _highest(after, 10), _highest(after[ECHO_FROM:], 60))


def _again(policy: Policy, back_at: float, random: Random) -> float:
    """When somebody whose refresh failed gets it: by the next request that asks for one."""
    wait = THINK / policy.chance if policy.chance else THINK
    return back_at + random.expovariate(1 / wait)


def _highest(counted: list[int], width: int) -> float:
    """The highest mean of so many seconds on end."""
    running = sum(counted[:width])
    highest = running
    for old, new in zip(counted, counted[width:], strict=False):
        running += new - old
        highest = max(highest, running)
    return highest / width


def main() -> None:
    """Print a line for each policy and deploy."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    options = parser.parse_args()
    print(f"{options.people:,} people; highest ten seconds after a deploy, as a ratio to the steady rate")
    for policy in POLICIES:
        results = {
            "rolling": simulate(policy, "rolling", people=options.people),
            "away 5 s": simulate(policy, "stopped", 5, options.people),
            "away 30 s": simulate(policy, "stopped", 30, options.people),
            "all refused": simulate(policy, "refused", people=options.people),
        }
        echo = results["all refused"].echo
        figures = "  ".join(f"{name} {result.ratio:5.2f}" for name, result in results.items())
        print(f"  {policy.name:<36} {results['rolling'].steady:6.1f}/s  {figures}, echo {echo:.2f}")


if __name__ == "__main__":
    main()
