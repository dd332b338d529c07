"""Settings: read and checked once, each refusal by name and with what the setting may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session import SettingsError
from flask_corbado_session.model.settings import PREFIX, Settings

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DEFAULTS = {
    "SHORT_LIFETIME": 15 * MINUTE,
    "LONG_LIFETIME": 30 * DAY,
    "IDLE_TIMEOUT": 7 * DAY,
    "REVOCATION_INTERVAL": timedelta(seconds=1),
    "MAX_SESSIONS_PER_USER": 50,
    "KEYS_FILE": None,
    "ISSUER": "flask-corbado-session",
    "AUDIENCE": None,
    "JWKS_URL": None,
    "REVOCATIONS_URL": None,
    "COOKIE_SECURE": True,
    "COOKIE_DOMAIN": None,
    "COOKIE_SAMESITE": "Lax",
    "SHORT_COOKIE": "__Host-cbo_short_session",
    "LONG_COOKIE": "__Host-cbo_long_session",
    "DEVICE_COOKIE": "__Host-cbo_device",
    "URL_PREFIX": "/session",
    "LOGIN_VIEW": None,
    "REAUTH_VIEW": None,
    "CORS_ORIGINS": frozenset[str](),
    "TRUSTED_ORIGINS": frozenset[str](),
    "CLEAR_CACHE": True,
    "STORE_IP": True,
    "STORE_USER_AGENT": True,
    "REFRESH_AHEAD": 0.6,
    "DEVICE_BINDING": False,
    "RETENTION": 90 * DAY,
    "API_SECRET": None,
    "PROJECT_ID": None,
}
OPTIONAL = [
    "IDLE_TIMEOUT", "KEYS_FILE", "AUDIENCE", "JWKS_URL", "REVOCATIONS_URL", "COOKIE_DOMAIN", "SHORT_COOKIE",
    "LONG_COOKIE", "DEVICE_COOKIE", "URL_PREFIX", "LOGIN_VIEW", "REAUTH_VIEW", "API_SECRET", "PROJECT_ID",
]  # fmt: skip


def read(**values: Any) -> Settings:
    return Settings.from_config({PREFIX + name: value for name, value in values.items()})


def value_of(name: str, settings: Settings) -> Any:
    return getattr(settings, name.lower())


def refusal(**values: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**values)
    return str(caught.value)


def test_a_setting_has_the_default_of_the_contract(subtests: pytest.Subtests) -> None:
    for name in DEFAULTS:
        with subtests.test(name=name):
            assert value_of(name, read()) == DEFAULTS[name]


def test_there_are_no_others() -> None:
    assert [name.upper() for name in Settings.__slots__] == list(DEFAULTS)


LIFETIMES = [
    ("SHORT_LIFETIME", 60, 3600),
    ("LONG_LIFETIME", 300, 3653 * 86400),
    ("IDLE_TIMEOUT", 960, 3653 * 86400),
    ("REVOCATION_INTERVAL", 0.05, 60),
    ("RETENTION", 3600, 3653 * 86400),
]
ROOM = {"LONG_LIFETIME": 3653 * DAY, "IDLE_TIMEOUT": None, "SHORT_LIFETIME": 60}


def test_a_lifetime_is_seconds_or_a_timedelta(subtests: pytest.Subtests) -> None:
    forms: list[Any] = [lambda seconds: seconds, float, lambda seconds: timedelta(seconds=seconds)]
    for name, low, high in LIFETIMES:
        for form in forms:
            with subtests.test(form=form, name=name, low=low, high=high):
                for seconds in (low, high):
                    settings = read(
                        **ROOM | {name: form(seconds)} | ({"SHORT_LIFETIME": 900} if name == "IDLE_TIMEOUT" else {})
                    )
                    assert value_of(name, settings) == timedelta(seconds=seconds)


def test_a_lifetime_is_nothing_else(subtests: pytest.Subtests) -> None:
    wrongs: list[Any] = ["900", "PT15M", True, [], None, float("nan"), float("inf"), -1, 0, 10**400, b"60"]
    for name in [name for name, _, _ in LIFETIMES]:
        for wrong in wrongs:
            with subtests.test(wrong=wrong, name=name):
                if name == "IDLE_TIMEOUT" and wrong is None:
                    assert read(IDLE_TIMEOUT=None).idle_timeout is None
                else:
                    message = refusal(**{name: wrong})
                    assert message.startswith(f"CORBADO_SESSION_{name} must be seconds or a timedelta from ")


def test_a_lifetime_has_bounds_which_the_refusal_names(subtests: pytest.Subtests) -> None:
    for name, low, high in LIFETIMES:
        with subtests.test(name=name, low=low, high=high):
            for seconds in (high + 1, low / 100):
                assert f"to {high:g} seconds" in refusal(**ROOM | {name: seconds})


GOOD: list[tuple[str, Any, Any]] = [
    ("MAX_SESSIONS_PER_USER", 1, 1),
    ("MAX_SESSIONS_PER_USER", 10_000, 10_000),
    ("ISSUER", "https://auth.example.com", "https://auth.example.com"),
    ("AUDIENCE", "orders", "orders"),
    ("KEYS_FILE", "keys.json", "keys.json"),
    ("JWKS_URL", "http://auth.example.com/jwks", "http://auth.example.com/jwks"),
    ("REVOCATIONS_URL", "https://[::1]:8000/x", "https://[::1]:8000/x"),
    ("COOKIE_SECURE", False, False),
    ("COOKIE_DOMAIN", "example.com", "example.com"),
    ("COOKIE_DOMAIN", ".münchen.example", ".münchen.example"),
    ("COOKIE_DOMAIN", "localhost", "localhost"),
    ("COOKIE_SAMESITE", "Strict", "Strict"),
    ("COOKIE_SAMESITE", "None", "None"),
    ("SHORT_COOKIE", "cbo_session_token", "cbo_session_token"),
    ("LONG_COOKIE", "__Secure-long", "__Secure-long"),
    ("DEVICE_COOKIE", "d", "d"),
    ("URL_PREFIX", "/auth/session", "/auth/session"),
    ("URL_PREFIX", None, None),
    ("LOGIN_VIEW", "auth.sign_in", "auth.sign_in"),
    ("LOGIN_VIEW", "/sign-in", "/sign-in"),
    ("REAUTH_VIEW", "auth.confirm", "auth.confirm"),
    ("CORS_ORIGINS", ["https://app.example.com"], frozenset({"https://app.example.com"})),
    ("CORS_ORIGINS", "https://a.example, https://b.example:8443", frozenset({"https://a.example", "https://b.example:8443"})),
    ("TRUSTED_ORIGINS", ("HTTPS://IdP.Example.com",), frozenset({"https://idp.example.com"})),
    ("TRUSTED_ORIGINS", {"http://[::1]:3000"}, frozenset({"http://[::1]:3000"})),
    ("TRUSTED_ORIGINS", [], frozenset()),
    ("STORE_IP", False, False),
    ("STORE_USER_AGENT", False, False),
]  # fmt: skip


def test_a_setting_is_read_as_what_it_means(subtests: pytest.Subtests) -> None:
    for name, value, used in GOOD:
        with subtests.test(name=name, value=value):
            assert value_of(name, read(**{name: value})) == used


def test_an_api_secret_goes_with_the_project_it_belongs_to() -> None:
    settings = read(API_SECRET="a secret", PROJECT_ID="pro-1")
    assert (settings.api_secret, settings.project_id) == ("a secret", "pro-1")
    assert "a secret" not in repr(settings)


def test_an_optional_setting_may_be_none(subtests: pytest.Subtests) -> None:
    for name in OPTIONAL:
        with subtests.test(name=name):
            read(**{name: None})


TEXTS = ["ISSUER", "AUDIENCE", "KEYS_FILE", "API_SECRET", "PROJECT_ID"]
NO_VIEW = ["", 5, "a\nb", "https://auth.example.com/sign-in", "//auth.example.com/sign-in", b"/sign-in"]
NO_PREFIX = ["session", "/", "/a/", "", 5, "/a\n", "https://a", "//a", "/<user>", "/a?b", "/a#b", "/a b", "/a\\b"]
NO_TEXT = ["", 5, True, [], "a\nb", "a\0b", b"text"]
NO_URL = [
    "",
    "auth.example.com/jwks",
    "file:///etc/passwd",
    "ftp://a/b",
    "https://",
    "//a/b",
    5,
    "https://[::1",
    None,
    "https://u:p@a.example/jwks",
]
NO_ORIGIN = [
    "https://app.example.com/", "https://app.example.com/path", "https://*.example.com", "*", "app.example.com",
    "https://", "http://?x", "https://user@app.example.com", "https://app.example.com#x", "ftp://app.example.com",
    "https://münchen.example", "null", "https://[::1", "file://", "https://a b", "https://a.example:443", "http://a.example:80",
]  # fmt: skip
NO_DOMAIN = ["a..b", "a b", "a;b", "https://a", "a:80", "x" * 64, ".", "", 5, "a\n"]
NO_NAME = ["", "a b", "a;b", "a=b", 'a"b', "ä", "a,b", "a\tb", "a\r\nb", 5, True]
BAD: list[tuple[str, Any, str]] = [
    *((name, wrong, "a non-empty string") for name in TEXTS for wrong in NO_TEXT),
    *((name, wrong, "an http or https URL") for name in ("JWKS_URL", "REVOCATIONS_URL") for wrong in NO_URL if wrong),
    *((name, [wrong], "a list of origins") for name in ("CORS_ORIGINS", "TRUSTED_ORIGINS") for wrong in NO_ORIGIN),
    *((name, wrong, "a list of origins") for name in ("CORS_ORIGINS", "TRUSTED_ORIGINS") for wrong in (5, True, None)),
    *((name, wrong, "True or False") for name in ("COOKIE_SECURE", "STORE_IP") for wrong in (1, 0, "false", None)),
    *((name, wrong, "a cookie name of letters") for name in ("SHORT_COOKIE", "LONG_COOKIE") for wrong in NO_NAME),
    *(("MAX_SESSIONS_PER_USER", wrong, "from 1 to 10000") for wrong in (0, -1, 10_001, 5.0, "5", True, None)),
    *(("COOKIE_SAMESITE", wrong, '"Lax", "Strict" or "None"') for wrong in ("lax", None, True, "", ["Lax"])),
    *(("URL_PREFIX", wrong, "a path such as") for wrong in NO_PREFIX),
    *((name, wrong, "or a path such as") for name in ("LOGIN_VIEW", "REAUTH_VIEW") for wrong in NO_VIEW),
    *(("COOKIE_DOMAIN", wrong, "a host name") for wrong in NO_DOMAIN),
]  # fmt: skip


def test_a_wrong_setting_is_refused_by_name_and_with_what_it_may_be(subtests: pytest.Subtests) -> None:
    for name, wrong, what_it_may_be in BAD:
        with subtests.test(name=name, wrong=wrong, what_it_may_be=what_it_may_be):
            message = refusal(**{name: wrong})
            assert message.startswith(f"CORBADO_SESSION_{name} must be ")
            assert what_it_may_be in message


def test_what_is_said_of_an_optional_setting_offers_none(subtests: pytest.Subtests) -> None:
    rows: list[str] = [name for name in OPTIONAL if name not in ("SHORT_COOKIE", "LONG_COOKIE", "DEVICE_COOKIE")]
    for name in rows:
        with subtests.test(name=name):
            assert refusal(**{name: 5.5 if name != "IDLE_TIMEOUT" else 5}).endswith(", or None")


def test_an_unknown_setting_is_refused_with_the_near_miss(subtests: pytest.Subtests) -> None:
    rows: list[tuple[str, str]] = [
        ("SHORT_LIFE_TIME", "SHORT_LIFETIME"),
        ("LOGINVIEW", "LOGIN_VIEW"),
        ("COOKIE_SAME_SITE", "COOKIE_SAMESITE"),
        ("TRUSTED_ORIGIN", "TRUSTED_ORIGINS"),
    ]
    for unknown, near in rows:
        with subtests.test(unknown=unknown, near=near):
            wrong, right = PREFIX + unknown, PREFIX + near
            message = refusal(**{unknown: 1})
            assert message == f"unknown setting {wrong}; did you mean {right}?"


def test_an_unknown_setting_like_no_other_is_refused_with_the_list() -> None:
    with pytest.raises(SettingsError, match="known are CORBADO_SESSION_SHORT_LIFETIME, ") as caught:
        Settings.from_config({"CORBADO_SESSION_XYZZY": 1})
    assert all(PREFIX + name in str(caught.value) for name in DEFAULTS)


def test_the_settings_of_others_are_none_of_ours() -> None:
    Settings.from_config({"SECRET_KEY": "x", "CORBADO_PROJECT": 1, "SESSION_COOKIE_NAME": "y"})


# ---- rules that bind two settings


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"SHORT_LIFETIME": 900, "IDLE_TIMEOUT": 959}, "IDLE_TIMEOUT"),
        ({"SHORT_LIFETIME": 900, "LONG_LIFETIME": 959, "IDLE_TIMEOUT": None}, "LONG_LIFETIME"),
        ({"SHORT_LIFETIME": 3600, "LONG_LIFETIME": 3659}, "LONG_LIFETIME"),
    ],
)
def test_an_idle_or_long_lifetime_leaves_the_short_one_a_minute_of_room(values: dict[str, Any], key: str) -> None:
    least = values["SHORT_LIFETIME"] + 60
    message = refusal(**values)
    assert message.startswith(f"CORBADO_SESSION_{key} must be at least CORBADO_SESSION_SHORT_LIFETIME + 60 seconds")
    assert f"({least} seconds)" in message
    read(**values | {key: least})


def test_the_idle_lifetime_is_the_lesser_of_the_two() -> None:
    assert read(IDLE_TIMEOUT=None).idle_lifetime == 30 * DAY
    assert read(LONG_LIFETIME=DAY).idle_lifetime == DAY
    assert read().idle_lifetime == 7 * DAY


def test_settings_that_contradict_each_other_are_named_both(subtests: pytest.Subtests) -> None:
    rows: list[tuple[dict[str, Any], list[str]]] = [
        ({"COOKIE_SAMESITE": "None", "COOKIE_SECURE": False}, ["COOKIE_SAMESITE", "COOKIE_SECURE"]),
        ({"SHORT_COOKIE": "same", "LONG_COOKIE": "same"}, ["SHORT_COOKIE", "LONG_COOKIE", "DEVICE_COOKIE"]),
        ({"LONG_COOKIE": "__Host-cbo_device"}, ["SHORT_COOKIE", "LONG_COOKIE", "DEVICE_COOKIE"]),
        ({"COOKIE_SECURE": False, "LONG_COOKIE": "__Host-long"}, ["LONG_COOKIE", "COOKIE_SECURE"]),
        ({"COOKIE_SECURE": False, "DEVICE_COOKIE": "__Secure-d"}, ["DEVICE_COOKIE", "COOKIE_SECURE"]),
        ({"COOKIE_DOMAIN": "example.com", "SHORT_COOKIE": "__Host-s"}, ["SHORT_COOKIE", "COOKIE_DOMAIN"]),
        ({"COOKIE_DOMAIN": "example.com", "DEVICE_BINDING": True}, ["COOKIE_DOMAIN", "DEVICE_BINDING"]),
        ({"API_SECRET": "something secret"}, ["PROJECT_ID", "API_SECRET"]),
    ]
    for values, names in rows:
        with subtests.test(values=values, names=names):
            message = refusal(**values)
            assert all(name in message for name in names)
            assert "something secret" not in message


@pytest.mark.parametrize(
    ("values", "prefix"),
    [
        ({}, "__Host-"),
        ({"COOKIE_DOMAIN": "example.com"}, "__Secure-"),
        ({"COOKIE_SECURE": False}, ""),
        ({"COOKIE_SECURE": False, "COOKIE_DOMAIN": "example.com"}, ""),
    ],
)
def test_the_cookies_prefix_promises_what_the_settings_keep(values: dict[str, Any], prefix: str) -> None:
    settings = read(**values)
    names = (settings.short_cookie, settings.long_cookie, settings.device_cookie)
    assert names == (f"{prefix}cbo_short_session", f"{prefix}cbo_long_session", f"{prefix}cbo_device")


# ---- from the environment


@pytest.mark.parametrize(
    ("name", "text", "used"),
    [
        ("SHORT_LIFETIME", "60", MINUTE),
        ("REVOCATION_INTERVAL", "0.5", timedelta(milliseconds=500)),
        ("IDLE_TIMEOUT", "null", None),
        ("COOKIE_SECURE", "false", False),
        ("LOGIN_VIEW", "auth.sign_in", "auth.sign_in"),
        ("TRUSTED_ORIGINS", '["https://a.example"]', frozenset({"https://a.example"})),
        ("TRUSTED_ORIGINS", "https://a.example https://b.example", frozenset({"https://a.example", "https://b.example"})),
    ],
)  # fmt: skip
def test_settings_come_from_the_environment(name: str, text: str, used: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FLASK_CORBADO_SESSION_{name}", text)
    app = Flask(__name__)
    app.config.from_prefixed_env()
    assert value_of(name, Settings.from_config(app.config)) == used


def test_false_in_the_wrong_letters_is_refused_and_not_taken_for_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_CORBADO_SESSION_COOKIE_SECURE", "False")
    app = Flask(__name__)
    app.config.from_prefixed_env()
    with pytest.raises(SettingsError, match="CORBADO_SESSION_COOKIE_SECURE must be True or False"):
        Settings.from_config(app.config)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(list(DEFAULTS)), JSON)
def test_whatever_the_environment_holds_is_read_or_refused_by_name(name: str, value: Any) -> None:
    message = PREFIX + name
    try:
        read(**{name: value})
    except SettingsError as error:
        message = str(error)
    assert PREFIX + name in message
