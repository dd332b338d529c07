"""What a user agent says of its browser; a stranger's text, so it may say anything."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session.model.records import Device
from flask_corbado_session.model.text import printable
from flask_corbado_session.sessions.user_agent import USER_AGENT_LENGTH, clean_user_agent, describe
from tests.support.rules import NOON

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 18_3 like Mac OS X)"
SAMSUNG = "Mozilla/5.0 (Linux; Android 14; SM-S921B)"

REAL = [
    (f"{WINDOWS} {BLINK} Chrome/133.0.0.0 Safari/537.36", "Chrome on Windows", "desktop"),
    (f"{WINDOWS} {BLINK} Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0", "Edge on Windows", "desktop"),
    (f"{WINDOWS} {BLINK} Chrome/117.0.0.0 Safari/537.36 OPR/103.0.0.0", "Opera on Windows", "desktop"),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:135.0) Gecko/20100101 Firefox/135.0",
        "Firefox on Windows",
        "desktop",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:135.0) Gecko/20100101 Firefox/135.0",
        "Firefox on macOS",
        "desktop",
    ),
    (f"{MAC} {WEBKIT} Version/18.3 Safari/605.1.15", "Safari on macOS", "desktop"),
    (f"{MAC} {BLINK} Chrome/133.0.0.0 Safari/537.36", "Chrome on macOS", "desktop"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0", "Firefox on Linux", "desktop"),
    (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/133.0.0.0 Safari/537.36",
        "Chrome on Chrome OS",
        "desktop",
    ),
    (
        f"Mozilla/5.0 (X11; Linux x86_64) {BLINK} HeadlessChrome/133.0.0.0 Safari/537.36",
        "Chrome (headless) on Linux",
        "desktop",
    ),
    (f"{IPHONE} {WEBKIT} Version/18.3 Mobile/15E148 Safari/604.1", "Safari on iPhone", "phone"),
    (f"{IPHONE} {WEBKIT} CriOS/133.0.6943.33 Mobile/15E148 Safari/604.1", "Chrome on iPhone", "phone"),
    (f"{IPHONE} {WEBKIT} FxiOS/135.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone", "phone"),
    (f"{IPHONE} {WEBKIT} Mobile/15E148", "In-app browser on iPhone", "phone"),
    (f"{IPAD} {WEBKIT} Version/18.3 Mobile/15E148 Safari/604.1", "Safari on iPad", "tablet"),
    (f"Mozilla/5.0 (Linux; Android 10; K) {BLINK} Chrome/133.0.0.0 Mobile Safari/537.36", "Chrome on Android", "phone"),
    (
        f"{SAMSUNG} {BLINK} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
        "Samsung Internet on Android",
        "phone",
    ),
]


def label(user_agent: str | None) -> str:
    seen = describe(user_agent)
    return Device("d", "alice", None, seen.browser, seen.system, seen.device_type, None, NOON).label


def test_a_real_browser_is_called_as_its_owner_calls_it(subtests: pytest.Subtests) -> None:
    for user_agent, words, form in REAL:
        with subtests.test(user_agent=user_agent, words=words, form=form):
            assert (label(user_agent), describe(user_agent).device_type) == (words, form)


def test_what_is_no_desktop_and_no_phone_is_told_apart(subtests: pytest.Subtests) -> None:
    rows: list[tuple[str, str]] = [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        (f"Mozilla/5.0 (Linux; Android 13; SM-X900) {BLINK} Chrome/133.0.0.0 Safari/537.36", "tablet"),
        ("curl/8.5.0", "other"),
        ("python-requests/2.32", "other"),
    ]
    for user_agent, form in rows:
        with subtests.test(user_agent=user_agent, form=form):
            assert describe(user_agent).device_type == form


def test_an_unknown_browser_has_a_label_all_the_same(subtests: pytest.Subtests) -> None:
    rows: list[str | None] = [None, "", " ", "\0", "x" * 10_000, "Mozilla/5.0", "🦊", "<b>x</b>", "%s%n{0}"]
    for user_agent in rows:
        with subtests.test(user_agent=user_agent):
            assert label(user_agent) == "Unknown browser"


@given(st.text(max_size=2000))
def test_any_text_is_cut_to_what_fits_the_columns(text: str) -> None:
    seen = describe(clean_user_agent(text))
    assert 1 <= len(seen.browser) <= 64
    assert len(seen.system) <= 64
    assert (seen.browser + seen.system).isprintable()


def test_control_characters_become_spaces(subtests: pytest.Subtests) -> None:
    rows: list[tuple[str | None, str | None]] = [
        (None, None),
        ("", None),
        ("Firefox", "Firefox"),
        ("\x1b[31mred\r\nSet-Cookie: a=b\0", " [31mred  Set-Cookie: a=b "),
        ("a\u2028b\u202ec\ud800", "a b c "),
        ("Mäc🦊", "Mäc🦊"),
    ]
    for raw, clean in rows:
        with subtests.test(raw=raw, clean=clean):
            assert clean_user_agent(raw) == clean


def test_a_user_agent_is_cut_to_512_characters() -> None:
    assert clean_user_agent("x" * 10_000) == "x" * USER_AGENT_LENGTH == "x" * 512


def test_text_is_cut_before_it_is_cleaned() -> None:
    assert printable("\0" * 10**6, 3) == "   "


def test_a_hostile_user_agent_costs_no_more_than_a_real_one(subtests: pytest.Subtests) -> None:
    rows: list[str] = ["Mozilla/5.0 (", "Safari/", "((((", "Android ", "; ;", "1.1.1."]
    for piece in rows:
        with subtests.test(piece=piece):
            hostile = clean_user_agent(piece * 500)
            before = time.thread_time()
            describe(hostile)
            assert time.thread_time() - before < 0.5
