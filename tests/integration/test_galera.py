"""Three MariaDB Galera nodes that are written through all at once: nobody is refused, and everyone reads their writes.

Nodes certify writes against each other, and refuse the later of two that meet. The cluster runs with
``wsrep_sync_wait=7``, as docs/scaling.md says it must: a node answers when it has the writes of the others.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import Any

import pytest
from flask import Flask, Response, jsonify
from sqlalchemy import event

from flask_corbado_session import ANY_USER, CorbadoSession
from flask_corbado_session.testing import MovingClock, move_clock
from tests.conftest import do_without
from tests.support.apps import make_app, rows_of, state_of, unprepared_app
from tests.support.galera import GaleraCluster
from tests.support.jars import LONG, Answer, Jar, SessionRows, asked, processed
from tests.support.mariadb import MariaDBUnavailable
from tests.support.oracle import MIN_AGE, read

WIDTH = 64
ROUNDS = 20
pytestmark = pytest.mark.slow


class Site:
    """One app on each node, all with the same clock."""

    def __init__(self, urls: Sequence[str]) -> None:
        first, _, sessions = make_app(urls[0], CORBADO_SESSION_MAX_SESSIONS_PER_USER=WIDTH * 2)
        made = [(first, sessions)]
        for url in urls[1:]:
            app, _, sessions = unprepared_app(url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=WIDTH * 2)
            made.append((app, sessions))
        self.apps = [app for app, _ in made]
        self.clock: MovingClock = move_clock(first)
        self.conflicts: Counter[int] = Counter()
        for app, sessions in made:
            state_of(app).clock.read = self.clock
            _add_revoke(app, sessions)
            event.listen(rows_of(app).database.engine, "handle_error", self._note)

    def _note(self, context: Any) -> None:
        self.conflicts[context.original_exception.args[0]] += 1

    def at_once(self, sends: Callable[[int], Any]) -> list[Answer]:
        """64 requests at the same moment, the nodes taking turns."""
        barrier = threading.Barrier(WIDTH)

        def ask(app: Flask, number: int) -> Answer:
            barrier.wait()
            return processed(app, sends(number))

        with ThreadPoolExecutor(WIDTH) as threads:
            return list(threads.map(ask, islice(cycle(self.apps), WIDTH), range(WIDTH)))


def _add_revoke(app: Flask, sessions: CorbadoSession) -> None:
    @app.post("/revoke/<session_id>")
    def revoke(session_id: str) -> Response:
        sessions.revoke(session_id, user_id=ANY_USER)
        return jsonify(revoked=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[GaleraCluster]:
    try:
        cluster = GaleraCluster("wsrep_sync_wait=7")
    except MariaDBUnavailable as error:
        do_without("GALERA", str(error))
    with cluster:
        yield cluster


@pytest.fixture
def site(cluster: GaleraCluster) -> Site:
    return Site(cluster.urls)


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    """How often each status was answered."""
    return Counter(answer.status for answer in answers)


def test_a_burst_of_refreshes_through_all_nodes_is_served_with_one_step_of_the_row(
    site: Site, cluster: GaleraCluster
) -> None:
    jar = Jar()
    asked(site.apps[0], jar, "/sign-in", "POST", user="bursting")
    session_id = read(jar.cookies[LONG]).session_id
    for generation in range(1, 5):
        site.clock.move(milliseconds=MIN_AGE + 1)
        answers = site.at_once(lambda _: jar.sends())
        assert statuses(answers) == {200: WIDTH}
        with SessionRows(cluster.urls[generation % 3]) as rows:
            row = rows.all()[session_id]
        assert (row["generation"], row["ended_at"]) == (generation, None)
        jar.take(answers[generation])
    assert set(site.conflicts) <= {1213, 1020, 1205, 1047}, "the only errors a node may answer with"


def test_a_burst_of_sign_ins_through_all_nodes_is_served(site: Site) -> None:
    jar = Jar()
    asked(site.apps[0], jar, "/sign-in", "POST", user="signing")
    answers = site.at_once(lambda _: jar.sends("/sign-in", "POST", short=True, user="signing"))
    assert statuses(answers) == {200: WIDTH}


def test_a_burst_of_revocations_through_all_nodes_is_served(site: Site) -> None:
    jars = [Jar() for _ in range(8)]
    for jar in jars:
        asked(site.apps[0], jar, "/sign-in", "POST", user="revoked")
    ids = [read(jar.cookies[LONG]).session_id for jar in jars]
    answers = site.at_once(lambda number: Jar().sends(f"/revoke/{ids[number % 8]}", "POST"))
    assert statuses(answers) == {200: WIDTH}
    assert [asked(site.apps[2], jar, "/recheck").status for jar in jars] == [401] * 8


def test_what_one_node_was_told_the_next_one_knows(site: Site) -> None:
    """Sign in through one, be asked for the row through another, refresh through a third, revoke, be out of all."""
    for number in range(ROUNDS):
        jar = Jar()
        one, other, third = (site.apps[(number + offset) % 3] for offset in range(3))
        assert asked(one, jar, "/sign-in", "POST", user="reading").status == 200
        assert asked(other, jar, "/recheck", short=True).status == 200
        site.clock.move(milliseconds=MIN_AGE + 1)
        assert asked(third, jar).status == 200
        site.clock.move(milliseconds=MIN_AGE + 1)
        assert asked(one, jar).status == 200
        assert asked(other, Jar(), f"/revoke/{read(jar.cookies[LONG]).session_id}", "POST").status == 200
        assert {asked(app, jar.copy(), "/recheck", short=True).status for app in (one, third)} == {401}
    with SessionRows(str(rows_of(site.apps[0]).database.engine.url)) as rows:
        reasons = [row["end_reason"] for row in rows.all().values() if row["user_id"] == "reading"]
    assert reasons == ["operator"] * ROUNDS, "and nobody was taken for a thief"
