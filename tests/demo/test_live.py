"""The live feed: what it sends, to whom, and to how many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from threading import BoundedSemaphore

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from demo_site import live
from flask_corbado_session.web.watcher import watcher
from tests.support.live import wait_until


@pytest.fixture(autouse=True)
def _all_closed() -> Iterator[None]:
    yield
    wait_until(lambda: watcher.count == 0)


def fields(answer: TestResponse, count: int) -> list[str]:
    """The fields by which its first events begin."""
    return [event.decode().partition(":")[0] for event in islice(answer.iter_encoded(), count)]


def test_the_feed_is_a_stream_of_events_that_no_cache_keeps(signed_in: FlaskClient) -> None:
    answer = signed_in.get("/live/feed")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/event-stream", "no-store")
    assert fields(answer, 2) == ["retry", "data"]
    answer.close()


def test_the_feed_is_for_nobody_else(client: FlaskClient) -> None:
    answer = client.get("/live/feed", headers={"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 401


def test_the_feed_has_room_for_some_and_a_place_is_free_again_when_one_leaves(
    signed_in: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_free", BoundedSemaphore(1))
    first, second = signed_in.get("/live/feed"), signed_in.get("/live/feed")
    assert fields(first, 1) == ["retry"]
    assert second.text.startswith("event: busy")
    first.close()
    third = signed_in.get("/live/feed")
    assert fields(third, 1) == ["retry"]
    third.close()


def test_asking_for_its_headers_alone_takes_no_place(signed_in: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_free", BoundedSemaphore(1))
    assert [signed_in.head("/live/feed").status_code for _ in range(3)] == [200] * 3
    answer = signed_in.get("/live/feed")
    assert fields(answer, 1) == ["retry"]
    answer.close()
