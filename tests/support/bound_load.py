"""People whose browsers bind their sessions, at a server in a process of its own whose answers often do not arrive.

Time passes faster for server and browsers than for us: a short session lasts two and a half seconds. Whoever is asked
to sign in again, although they did not sign out, is counted.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from time import monotonic, sleep
from typing import Any

from tests.support.app_server import FastClock
from tests.support.bound_client import BoundBrowser
from tests.support.bound_site import REFRESH, sign_in
from tests.support.bound_wire import HttpWire, Reply, Unreliable
from tests.support.jars import SessionRows
from tests.support.servers import ServerProcess

SPEED = 30
"""Seconds that pass for server and browsers in one of ours. What the library allows for shrinks with them: an answer is
to leave within 5 of their seconds, and on a busy machine a twentieth of a second is soon over."""
SHORT_LIFETIME = 75
"""Of the short session, in their seconds. Browsers that renew it ahead of time, in its last 120, do so all the time."""
SHARE = 0.25
"""Of the answers: lost, late, or a 503."""
TABS = 3
SITES = ("none", "same-origin", "same-origin", "same-origin", "cross-site", "same-site")


@dataclass
class Counts:
    """What came of it."""

    refreshes: int = 0
    honest_sign_outs: int = 0
    sessions_lost: int = 0
    keys_forgotten: int = 0
    """By browsers, for an answer they got."""
    copies_served_late: int = 0
    """Answers of 200 to copied cookies, after the copied short session had ended."""
    copies_refreshed: int = 0
    pages: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def wrong(self) -> dict[str, int]:
        """Those that must be zero and are not."""
        names = ("honest_sign_outs", "sessions_lost", "keys_forgotten", "copies_served_late", "copies_refreshed")
        found = {name: getattr(self, name) for name in names} | {"errors": self.pages["500"] + self.pages["other"]}
        return {name: count for name, count in found.items() if count}


class Person:
    """One browser with three tabs, on a wire that is not to be relied on."""

    def __init__(self, server: ServerProcess, clock: FastClock, number: int) -> None:
        self.user = f"user-{number}"
        self.pages: Counter[str] = Counter()
        self.signed_out = 0
        self._chance, self._lock = Random(number), threading.Lock()
        self._sure = HttpWire(server.port)
        self.wire = Unreliable(self._sure, SHARE, Random(number + 1000))
        self.browser = BoundBrowser(
            self._sure,
            now=lambda: clock().timestamp(),
            user_agent=f"Browser/{number}",
            origin=f"https://localhost:{server.port}",
            is_proactive=number % 2 == 0,
        )
        sign_in(self.browser, self.user)
        assert self.browser.events == ["registered"], self.browser.events
        self.session_id = self.browser.session.id
        self.browser.wire = self.wire

    def use(self, done: threading.Event) -> None:
        """One tab: ask for a page, often, by links of every kind and as script does."""
        while not done.is_set():
            self._ask()
            sleep(self._draw_uniform(0.02, 0.4))

    def _ask(self) -> None:
        site, method = self._draw(SITES), self._draw(["GET", "GET", "POST"])
        try:
            if site in ("same-origin", "none"):
                mode = "navigate" if site == "none" else "cors"
                reply = self.browser.request("/echo", method, site=site, mode=mode, form=_form(method))
            else:
                reply = self.browser.visit("/echo", site=site)
        except OSError:
            self._count("no answer")
            return
        self._count(self._kind(reply))
        if reply.status in (401, 303):
            self.signed_out += 1

    def _kind(self, reply: Reply) -> str:
        if reply.status == 200:
            return "200" if reply.json and reply.json["user_id"] == self.user else "other"
        if reply.status == 503:
            return "503, the proof is pending" if reply.code == "device_proof_pending" else "503"
        return "500" if reply.status == 500 else str(reply.status) if reply.status in (401, 303) else "other"

    def has_lost_its_session(self) -> bool:
        """Whether it needs a sign-in, now that answers arrive again."""
        self.browser.wire = self._sure
        for _ in range(40):
            reply = self.browser.request("/protected")
            if reply.status != 503:
                return reply.status != 200 or reply.json["session_id"] != self.session_id
            sleep(0.2)
        return True

    def close(self) -> None:
        """Its connections, once nothing is under way."""
        self.browser.settle()
        self._sure.close()

    def _count(self, what: str) -> None:
        with self._lock:
            self.pages[what] += 1

    def _draw(self, choices: Any) -> Any:
        with self._lock:
            return self._chance.choice(choices)

    def _draw_uniform(self, low: float, high: float) -> float:
        with self._lock:
            return self._chance.uniform(low, high)


class Thief:
    """Copies the cookies of one of them again and again, and keeps using the copy when it has run out."""

    def __init__(self, victim: Person, port: int) -> None:
        self._victim, self.wire = victim, HttpWire(port)
        self.served_late = self.refreshed = 0

    def use(self, done: threading.Event) -> None:
        """Steal, wait for the short session's end, and try everything."""
        while not done.is_set():
            headers = {"Cookie": self._victim.browser.jar.header(), "User-Agent": "Thief/6.6"}
            if done.wait(SHORT_LIFETIME / SPEED + 0.2):
                return
            self.served_late += self.wire("GET", "/protected", headers, b"").status == 200
            for path in (REFRESH, "/session/refresh"):
                self.refreshed += bool(self.wire("POST", path, headers, b"").cookie_names)

    def close(self) -> None:
        """Its connections."""
        self.wire.close()


def load(
    database_url: str, *, refreshes: int, people: int = 16, thieves: int = 1, seconds: float = 3600, log: Any = None
) -> Counts:
    """Have so many refreshes done at a server on this database, whose tables are there; ``seconds`` is the limit."""
    began = time.time()
    config = {"CORBADO_SESSION_DEVICE_BINDING": True, "CORBADO_SESSION_SHORT_LIFETIME": SHORT_LIFETIME}
    with ServerProcess(database_url, speed=SPEED, began=began, log=log, **config) as server:
        clock = FastClock(began, SPEED)
        crowd = [Person(server, clock, number) for number in range(people)]
        robbers = [Thief(person, server.port) for person in crowd[:thieves]]
        counts = Counts()
        started, done = monotonic(), threading.Event()
        with ThreadPoolExecutor(people * TABS + thieves) as threads:
            running = [threads.submit(person.use, done) for person in crowd for _ in range(TABS)]
            running += [threads.submit(robber.use, done) for robber in robbers]
            try:
                _wait(crowd, refreshes, started + seconds)
            finally:
                done.set()
            for tab in running:
                tab.result()
        counts.seconds = monotonic() - started
        counts.sessions_lost = sum(person.has_lost_its_session() for person in crowd)
        for person in crowd:
            person.close()
        for robber in robbers:
            robber.close()
    _sum_up(counts, crowd, robbers)
    with SessionRows(database_url) as rows:
        counts.sessions_lost += sum(row["ended_at"] is not None for row in rows.all().values())
    return counts


def _wait(crowd: Iterable[Person], refreshes: int, until: float) -> None:
    while monotonic() < until and sum(person.browser.refreshes() for person in crowd) < refreshes:
        sleep(0.2)


def _sum_up(counts: Counts, crowd: Iterable[Person], robbers: Iterable[Thief]) -> None:
    for person in crowd:
        counts.refreshes += person.browser.refreshes()
        counts.honest_sign_outs += person.signed_out
        counts.pages += person.pages
        counts.faults += person.wire.faults
        counts.events.update(person.browser.events)
        counts.keys_forgotten += not person.browser.sessions
    for robber in robbers:
        counts.copies_served_late += robber.served_late
        counts.copies_refreshed += robber.refreshed


def _form(method: str) -> dict[str, str] | None:
    return {"text": "kept"} if method == "POST" else None
