"""Forty tasks on Celery's prefork pool, each of which signs somebody in and asks who they are; how many went right."""

from __future__ import annotations

from typing import Any

from tests.support.forking_app import app
from tests.support.jars import Jar, asked

TASKS, WORKERS = 40, 4


def task(number: int) -> int:
    """How many of five requests were answered for this very person."""
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user=f"user-{number}")
    answers = [asked(app, jar, "/recheck", short=bool(turn % 2)) for turn in range(5)]
    return sum(answer.status == 200 and answer.body["user_id"] == f"user-{number}" for answer in answers)


if __name__ == "__main__":
    from billiard.pool import Pool

    pool: Any = Pool(WORKERS)
    print(sum(pool.map(task, range(TASKS))))
    pool.terminate()
    pool.join()
