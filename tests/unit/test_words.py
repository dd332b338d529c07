"""Times in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flask_corbado_session.testing import move_clock
from flask_corbado_session.words import ago
from tests.app import make_app


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=-3600), "just now"),
        (timedelta(seconds=9), "just now"),
        (timedelta(seconds=10), "10 seconds ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=29), "29 days ago"),
        (timedelta(days=30), "1 month ago"),
        (timedelta(days=359), "11 months ago"),
        (timedelta(days=360), "1 year ago"),
        (timedelta(days=7300), "20 years ago"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(age: timedelta, words: str, sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    clock = move_clock(app)
    with app.app_context():
        assert ago(clock.at - age) == words


def test_the_words_are_a_filter_of_the_templates(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    clock = move_clock(app)
    with app.app_context():
        template = app.jinja_env.from_string("{{ at|corbado_session_ago }}")
        assert template.render(at=clock.at - timedelta(minutes=3)) == "3 minutes ago"
