"""The tests' app as a server of its own process, signing with a key file; its clock may run faster than time does.

``DATABASE_URL``, ``KEYS_FILE`` and ``PORT`` say where; the clock is ``CLOCK_START`` (seconds since the epoch) and from
there ``CLOCK_FACTOR`` seconds for each that passes, the same in every process that was given the same two.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import waitress
from flask import Flask

from tests.support.apps import state_of, unprepared_app

SHORT_LIFETIME = 300


def create_app() -> Flask:
    """What ``flask --app tests.support.key_site`` runs commands on, and what is served here."""
    app, _, _ = unprepared_app(
        os.environ["DATABASE_URL"],
        CORBADO_SESSION_KEYS_FILE=os.environ["KEYS_FILE"],
        CORBADO_SESSION_COOKIE_SECURE=False,
        CORBADO_SESSION_SHORT_LIFETIME=SHORT_LIFETIME,
    )
    state_of(app).clock.read = FastClock(float(os.environ["CLOCK_START"]), float(os.environ["CLOCK_FACTOR"]))
    return app


class FastClock:
    """Ten minutes pass in ten seconds, where the factor is 60."""

    def __init__(self, start: float, factor: float) -> None:
        self._start = start
        self._factor = factor

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self._start + (time.time() - self._start) * self._factor, UTC)


if __name__ == "__main__":
    waitress.serve(create_app(), host="127.0.0.1", port=int(os.environ["PORT"]), threads=8)
