"""Pages of native shells and browser extensions have origins of their own schemes, which can be trusted by name."""

from __future__ import annotations

import pytest

from flask_corbado_session import SettingsError
from flask_corbado_session.model.settings import Settings
from flask_corbado_session.testing import signed_in
from tests.support.apps import make_app

SHELLS = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "app://-",
    "app://bundle",
    "myapp://localhost",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://6f2e1b1e-1111-4222-8333-abcdefabcdef",
    "safari-web-extension://6f2e1b1e-1111-4222-8333-abcdefabcdef",
]
NO_ORIGINS = [
    "capacitor://", "capacitor:localhost", "capacitor://localhost/", "capacitor://*", "chrome-extension://*",
    "htps://app.example.com", "httpss://app.example.com", "javascript://app.example.com", "data://app.example.com",
    "file://localhost", "blob://localhost", "about://blank", "ws://app.example.com", "wss://app.example.com",
    "ftp://app.example.com", "://localhost", "capacitor",
]  # fmt: skip


def test_a_shell_s_origin_was_no_origin_at_all(subtests: pytest.Subtests) -> None:
    for origin in SHELLS:
        with subtests.test(origin=origin):
            settings = Settings.from_config(
                {"CORBADO_SESSION_TRUSTED_ORIGINS": origin, "CORBADO_SESSION_CORS_ORIGINS": [origin]}
            )
            assert settings.trusted_origins == settings.cors_origins == {origin}


def test_what_no_page_comes_from_and_what_is_misspelt_is_still_refused(subtests: pytest.Subtests) -> None:
    for name in ("CORBADO_SESSION_TRUSTED_ORIGINS", "CORBADO_SESSION_CORS_ORIGINS"):
        for origin in NO_ORIGINS:
            with subtests.test(name=name, origin=origin), pytest.raises(SettingsError, match="a list of origins"):
                Settings.from_config({name: [origin]})


def test_a_trusted_shell_may_post_and_another_may_not(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_TRUSTED_ORIGINS=["capacitor://localhost"])
    for origin, status in (("capacitor://localhost", 200), ("ionic://localhost", 403), ("capacitor://evil", 403)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert signed_in(app, "alice").post("/protected", headers=headers).status_code == status


def test_a_shell_that_is_a_page_of_the_api_reads_its_token(sqlite_url: str) -> None:
    shell = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=[shell])
    headers = {"Origin": shell, "Sec-Fetch-Site": "cross-site"}
    answer = signed_in(app, "alice").post("/session/refresh", headers=headers)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, shell)
    assert "token" in answer.get_json()
    preflight = app.test_client().options("/session/refresh", headers=headers)
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (200, shell)
