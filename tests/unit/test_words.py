"""Times, places and texts, in the app's language where it has one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2.ext import extract_from_ast
from markupsafe import Markup

from flask_corbado_session.testing import move_clock
from flask_corbado_session.web import text as words
from tests.support.apps import make_app

GERMAN = {
    "just now": "gerade eben",
    "%(count)s hours ago": "vor %(count)s Stunden",
    "January": "Jänner",
    "%(day)s %(month)s %(year)s": "%(day)s. %(month)s %(year)s",
    "password": "Passwort",
    "one-time code": "Einmalcode",
    "%(these)s and %(this)s": "%(these)s und %(this)s",
    "Sign out": "Abmelden & <gehen>",
    "on %(device)s": "<b>auf</b> %(device)s",
}
AT = datetime(2026, 1, 5, 14, 3, 9, tzinfo=UTC)


def speak_german(app: Flask, newstyle: bool) -> None:
    """As Flask-Babel does (new style), and as its predecessors did."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    translate: Callable[[str], str] = lambda message: GERMAN.get(message, message)  # noqa: E731
    plural: Callable[..., str] = lambda one, many, n: one if n == 1 else many  # noqa: E731
    env: Any = app.jinja_env
    env.install_gettext_callables(translate, plural, newstyle=newstyle)


def test_how_long_ago_is_said_in_one_unit(subtests: pytest.Subtests, app: Flask) -> None:
    rows: list[tuple[timedelta, str]] = [
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
    ]
    for age, said in rows:
        with subtests.test(age=age, said=said):
            clock = move_clock(app)
            with app.app_context():
                assert words.ago(clock.at - age) == said


def test_the_words_are_filters_of_the_templates(app: Flask) -> None:
    clock = move_clock(app)
    source = "{{ at|corbado_session_ago }}, {{ amr|corbado_session_methods }}, {{ why|corbado_session_reason }}"
    with app.app_context():
        rendered = app.jinja_env.from_string(source).render(
            at=clock.at - timedelta(minutes=3), amr=["pwd"], why="limit"
        )
    assert rendered == "3 minutes ago, password, Ended because there were too many sessions"


def test_a_day_and_a_moment_are_in_utc(app: Flask) -> None:
    with app.app_context():
        assert words.day(AT) == "5 January 2026"
        assert words.moment(AT) == "5 January 2026, 14:03:09 UTC"


def test_a_day_near_another_one_leaves_out_the_year_they_share(app: Flask) -> None:
    with app.app_context():
        assert words.day(AT, near=AT + timedelta(days=300)) == "5 January"
        assert words.day(AT, near=AT - timedelta(days=10)) == "5 January 2026"


def test_methods_are_said_in_words_and_once(subtests: pytest.Subtests, app: Flask) -> None:
    rows: list[tuple[list[str], str]] = [
        ([], ""),
        (["pwd"], "password"),
        (["pwd", "otp"], "password and one-time code"),
        (["pwd", "otp", "own-method"], "password, one-time code and own-method"),
        (["hwk", "pop"], "passkey"),
        (["swk", "user"], "passkey"),
        (["user"], "a person's presence"),
    ]
    for amr, said in rows:
        with subtests.test(amr=amr, said=said), app.app_context():
            assert words.methods(amr) == said


def test_a_reason_nobody_knows_is_no_error(app: Flask) -> None:
    with app.app_context():
        assert [words.reason("of tomorrow"), words.reason(None)] == ["Ended", "Ended"]


# ---- gettext


@pytest.mark.parametrize("newstyle", [False, True])
def test_every_word_goes_through_the_apps_gettext(newstyle: bool, app: Flask) -> None:
    speak_german(app, newstyle)
    clock = move_clock(app)
    with app.app_context():
        assert words.ago(clock.at) == "gerade eben"
        assert words.ago(clock.at - timedelta(hours=3)) == "vor 3 Stunden"
        assert words.day(AT) == "5. Jänner 2026"
        assert words.methods(["pwd", "otp"]) == "Passwort und Einmalcode"


@pytest.mark.parametrize("newstyle", [None, False, True])
@pytest.mark.parametrize("message", ["100 % of it", "%(name)s", "%s", "%"])
def test_a_percent_sign_in_a_text_without_values_is_text(message: str, newstyle: bool | None, app: Flask) -> None:
    """The text of an error may name what somebody sent; new-style gettext would fill it in."""
    if newstyle is not None:
        speak_german(app, newstyle)
    with app.app_context():
        assert words.text(message) == message


@pytest.mark.parametrize("newstyle", [None, False, True])
def test_markup_stays_markup_and_text_is_escaped(newstyle: bool | None, app: Flask) -> None:
    if newstyle is not None:
        speak_german(app, newstyle)
    source = "{{ corbado_session_text('%(when)s by %(who)s', when=when, who='<i>') }}"
    with app.app_context():
        rendered = app.jinja_env.from_string(source).render(when=Markup("<time>now</time>"))
    assert rendered == "<time>now</time> by &lt;i&gt;"


def test_a_translation_is_text_unless_the_app_chose_new_style(app: Flask) -> None:
    """Jinja's new style takes translations for markup, as everywhere else in such an app."""
    speak_german(app, newstyle=False)
    with app.app_context():
        shown = app.jinja_env.from_string("{{ corbado_session_text('Sign out') }}").render()
        assert shown == "Abmelden &amp; &lt;gehen&gt;"
        assert words.text("on %(device)s", device=Markup("<i>x</i>")) == "&lt;b&gt;auf&lt;/b&gt; <i>x</i>"


def test_the_texts_of_the_templates_are_found_by_who_extracts_messages(app: Flask) -> None:
    app.jinja_env.add_extension("jinja2.ext.i18n")
    found: set[object] = set()
    for template in ("devices", "device", "ended", "macros", "disown", "resume", "error"):
        source = (Path(words.__file__).parents[1] / "templates" / "corbado_session" / f"{template}.html").read_text()
        extracted = extract_from_ast(app.jinja_env.parse(source))
        messages = [message for _, name, message in extracted if name == "_"]
        assert messages
        found |= {message[0] if isinstance(message, tuple) else message for message in messages}
    assert {"Sign out everywhere else", "%(count)s sessions", "Thank you. Continue?", "Was this you?"} <= found


# ---- places


def test_a_place_is_what_the_app_says_and_none_when_it_fails(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app, _, sessions = make_app(sqlite_url)
    places = {"192.0.2.1": "Switzerland"}
    with app.app_context():
        assert words.place("192.0.2.1") is None
        sessions.ip_locator(places.__getitem__)
        assert words.place("192.0.2.1") == "Switzerland"
        assert words.place(None) is None
        with caplog.at_level(logging.ERROR):
            assert words.place("203.0.113.1") is None
    assert "ip_locator failed" in caplog.text
