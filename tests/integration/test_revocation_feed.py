"""The session host's feed of revocations: open, bounded, and cheap however many services poll it."""

from __future__ import annotations

import threading

import pytest
from flask import Flask

from flask_corbado_session.testing import move_clock, signed_in
from flask_corbado_session.verification.ended import FEED_AGE
from flask_corbado_session.web.views import _FEED_LIMIT
from tests.support.apps import state_of, statements
from tests.support.key_files import NOON


def test_a_since_that_is_no_time_is_refused_by_name(subtests: pytest.Subtests, app: Flask) -> None:
    rows: list[str] = ["x", "-1", "1.5", "9" * 16, "9" * 5000, "0x1", " 1", "\u0661", "1e3", "1;2", "null", ""]
    for since in rows:
        with subtests.test(since=since):
            answer = app.test_client().get("/session/revocations", query_string={"since": since})
            told = answer.get_json()
            assert (answer.status_code, told["code"], told["field"]) == (400, "invalid_request", "since")


def test_any_time_is_a_since(subtests: pytest.Subtests, app: Flask) -> None:
    for since in [None, "0", "00", "999999999999999"]:
        with subtests.test(since=since):
            query = None if since is None else {"since": since}
            answer = app.test_client().get("/session/revocations", query_string=query)
            assert (answer.status_code, set(answer.get_json())) == (200, {"ended", "not_before", "until", "more"})


def test_the_feed_is_open_and_tells_ids_alone(app: Flask) -> None:
    client = signed_in(app, "alice")
    session_id = client.get("/session").get_json()["session_id"]
    client.post("/session/logout")
    answer = app.test_client().get("/session/revocations")
    assert answer.get_json()["ended"] == [session_id]
    assert "alice" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_the_feed_tells_what_came_after_since(app: Flask) -> None:
    clock = move_clock(app, NOON)
    ids = []
    for _ in range(3):
        client = signed_in(app, "alice")
        ids.append(client.get("/session").get_json()["session_id"])
        client.post("/session/logout")
        clock.move(seconds=10)
    base = int(NOON.timestamp() * 1000)

    def told(since: int) -> set[str]:
        return set(app.test_client().get(f"/session/revocations?since={since}").get_json()["ended"])

    assert [told(since) for since in (0, base - 1, base, base + 10_000, base + 20_000)] == [
        set(ids), set(ids), set(ids[1:]), set(ids[2:]), set(),
    ]  # fmt: skip


def test_the_feed_asks_the_database_every_200_milliseconds_at_most(app: Flask) -> None:
    clock = move_clock(app, NOON)
    client = app.test_client()
    client.get("/session/revocations")
    with statements(app) as seen:
        for _ in range(50):  # a second
            clock.move(milliseconds=20)
            client.get("/session/revocations?since=0")
    assert FEED_AGE.total_seconds() == 0.2
    assert len(seen) == 5


def test_many_at_once_cost_the_database_one_query(app: Flask) -> None:
    app.test_client().get("/session/revocations")
    move_clock(app).move(seconds=5)
    with statements(app) as seen:
        threads = [threading.Thread(target=app.test_client().get, args=("/session/revocations",)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen) == 1


def test_the_feed_is_bounded_and_says_that_there_is_more(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_corbado_session.web.views._FEED_LIMIT", 100)
    ended = state_of(app).short_sessions.ended
    assert ended is not None
    clock = move_clock(app, NOON)
    for number in range(250):
        clock.move(milliseconds=1)
        ended.add([f"{number:030}"])
    told: list[str] = []
    since, pages, more = 0, 0, True
    while more:
        page = app.test_client().get(f"/session/revocations?since={since}").get_json()
        assert len(page["ended"]) <= 100
        told, since, more, pages = told + page["ended"], page["until"], page["more"], pages + 1
    assert (sorted(told), pages) == ([f"{number:030}" for number in range(250)], 3)


def test_ids_that_ended_in_one_millisecond_are_told_together(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page was cut among them, and the next began after the time they share."""
    monkeypatch.setattr("flask_corbado_session.web.views._FEED_LIMIT", 100)
    ended = state_of(app).short_sessions.ended
    assert ended is not None
    move_clock(app, NOON)
    ended.add([f"{number:030}" for number in range(150)])
    page = app.test_client().get("/session/revocations").get_json()
    assert len(page["ended"]) == 150


def test_a_full_answer_stays_below_what_its_readers_take() -> None:
    assert _FEED_LIMIT * len('    "' + "x" * 30 + '": 1700000000000,\n') < 1024 * 1024
