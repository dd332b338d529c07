"""Browsers for ``benchmarks.soak``: honest ones, and ones whose cookies are copied."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from random import Random
from time import monotonic, sleep
from typing import Any

from tests.support.jars import DEVICE, LONG, SHORT, Answer, Jar, Sent
from tests.support.oracle import BURST_WINDOW, MIN_AGE, read
from tests.support.servers import ServerProcess

SPEED = 10
"""Seconds that pass for the servers in one of ours."""
SHORT_LIFETIME = 120
"""Of the short session, in the servers' seconds."""
PATIENCE = (MIN_AGE - BURST_WINDOW) / 1000 / SPEED
"""Seconds that a request and its answer may take together, which the protocol allows for."""


DOCUMENTED = ("session_store_unavailable", "logout_incomplete")
"""What a 503 may say."""


class Browser:
    """Honest: keeps its cookies, asks twice at once at times, loses one answer in ten, signs out and in."""

    def __init__(self, servers: Sequence[ServerProcess], threads: Executor, number: int) -> None:
        self._servers, self._threads, self._chance = servers, threads, Random(number)
        self.user = f"user-{number}"
        self.jar = Jar(user_agent=f"Browser/{number}")
        self.answers: Counter[str] = Counter()
        self.signed_out = 0
        """How often it had to sign in although it had not signed out."""
        self.longest = 0.0
        self.unexpected: list[str] = []
        """Method, path and status of what should not have been answered."""
        self._short_until = 0.0
        self.sign_in()

    def live(self, until: float, done: threading.Event) -> None:
        """Do what people do, until then."""
        while monotonic() < until and not done.is_set():
            self.visit()
            if self._chance.random() < 0.01:
                self.sign_out()
                self.sign_in()
            sleep(self._chance.uniform(0.05, 0.4))
        self.settle()

    def visit(self) -> None:
        """Ask for a page, or for two at once."""
        sent = [self._sends()] * self._chance.choice([1, 1, 2])
        answers = [answer for answer in self._threads.map(self.ask, sent) if answer is not None]
        if any(answer.status == 401 for answer in answers):
            self.signed_out += 1
            self.sign_in()
            return
        for answer in answers:
            if self._chance.random() < 0.9:
                self.take(answer)

    def settle(self) -> None:
        """Ask, without the short session, until an answer comes: whether the long one still serves."""
        for _ in range(40):
            answer = self.ask(self.jar.sends())
            if answer is not None and answer.status != 503:
                self.take(answer)
                self.signed_out += answer.status == 401
                return
            sleep(0.25)
        self.answers["never served again"] += 1

    def still_has_session(self, rows: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether the row of the session it holds is there and has not ended."""
        row = rows.get(read(self.jar.cookies[LONG]).session_id) if LONG in self.jar.cookies else None
        return row is not None and row["ended_at"] is None

    def sign_in(self) -> None:
        """Until it is answered, for a minute at most."""
        for _ in range(300):
            answer = self.ask(self.jar.sends("/sign-in", "POST", user=self.user))
            if answer is not None and answer.status == 200:
                self.take(answer)
                return
            sleep(0.2)
        raise RuntimeError("nobody could sign in for a minute")

    def sign_out(self) -> None:
        """Whether that is answered or not, its cookies are gone; the device's stays."""
        self.ask(self._sends("/sign-out", "POST"))
        self.jar.cookies = {name: value for name, value in self.jar.cookies.items() if name == DEVICE}

    def take(self, answer: Answer) -> None:
        """Keep its cookies, the short one as long as it lasts."""
        if answer.cookies.get(SHORT):
            self._short_until = monotonic() + SHORT_LIFETIME / SPEED
        self.jar.take(answer)

    def _sends(self, path: str = "/protected", method: str = "GET") -> Sent:
        keeps = monotonic() < self._short_until and self._chance.random() < 0.8
        return self.jar.sends(path, method, short=keeps)

    def ask(self, sent: Sent) -> Answer | None:
        """The answer, counted; None if the connection broke or the server did not answer."""
        began = monotonic()
        try:
            answer = self._chance.choice(self._servers).answers(sent)
        except OSError:
            self.answers["connection broke"] += 1
            return None
        finally:
            self.longest = max(self.longest, monotonic() - began)
        kind = _kind(answer)
        self.answers[kind] += 1
        if kind in ("5xx", "other"):
            self.unexpected.append(f"{sent.method} {sent.path}: {answer.status}")
        return answer


class Robbed(Browser):
    """One whose cookies are copied twenty seconds before the end; both go on, and the session must end as ``reuse``."""

    def live(self, until: float, done: threading.Event) -> None:
        """Go on until twenty seconds before the end, and then be two."""
        super().live(until - 20, done)
        thief = self.jar.copy()
        for jar in (thief, self.jar, thief, self.jar) * 3:
            sleep(MIN_AGE / 1000 / SPEED / 3)
            answer = self.ask(jar.sends())
            if answer is not None and answer.status == 200:
                jar.take(answer)


def _kind(answer: Answer) -> str:
    if answer.status in (200, 401):
        return str(answer.status)
    if answer.status == 503 and answer.body and answer.body.get("code") in DOCUMENTED:
        return "503"
    return "5xx" if answer.status >= 500 else "other"
