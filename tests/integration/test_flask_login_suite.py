"""Flask-Login's own tests, run against this package: which pass, and why the others can't."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.child import ROOT

pytestmark = pytest.mark.slow  # pip prepares a build before it hands the source over

SDIST = "flask-login==0.6.3"
TESTS = 114
MUST_PASS = 70

OWN_COOKIES = "it clears Flask's session to forget the login, which here has cookies of its own"
REMEMBER_COOKIE = "it looks at the remember cookie, its name, path, domain or age: there is none"
PROTECTION = "it expects session protection, which token rotation takes the place of"
FLASK_SESSION = "it reads the login from Flask's session, where none is kept"
NOBODY = "it confirms the login of nobody: that is a 401 here"
MAY_FAIL = {
    "LoginTestCase::test_confirm_login": OWN_COOKIES,
    "LoginTestCase::test_fresh_login_required_decorator": OWN_COOKIES,
    "LoginTestCase::test_invalid_remember_cookie": OWN_COOKIES,
    "LoginTestCase::test_remember_me": OWN_COOKIES,
    "LoginTestCase::test_remember_me_custom_duration": OWN_COOKIES,
    "LoginTestCase::test_remember_me_is_unfresh": OWN_COOKIES,
    "LoginTestCase::test_user_loaded_from_cookie_fired": OWN_COOKIES,
    "LoginTestCase::test_remember_me_accepts_duration_as_int": REMEMBER_COOKIE,
    "LoginTestCase::test_remember_me_custom_duration_uses_custom_cookie": REMEMBER_COOKIE,
    "LoginTestCase::test_remember_me_no_refresh_every_request": REMEMBER_COOKIE,
    "LoginTestCase::test_remember_me_refresh_each_request": REMEMBER_COOKIE,
    "LoginTestCase::test_remember_me_uses_custom_cookie_parameters": REMEMBER_COOKIE,
    "LoginTestCase::test_remember_me_with_invalid_duration_returns_500_response": REMEMBER_COOKIE,
    "LoginTestCase::test_set_cookie_with_invalid_duration_raises_exception": REMEMBER_COOKIE,
    "LoginTestCase::test_permanent_strong_session_protection_fires_signal": PROTECTION,
    "LoginTestCase::test_permanent_strong_session_protection_marks_session_unfresh": PROTECTION,
    "LoginTestCase::test_session_protection_basic_fires_signal": PROTECTION,
    "LoginTestCase::test_session_protection_basic_marks_session_unfresh": PROTECTION,
    "LoginTestCase::test_session_protection_strong_deletes_session": PROTECTION,
    "LoginTestCase::test_session_protection_strong_fires_signal_user_agent": PROTECTION,
    "LoginTestCase::test_session_protection_strong_fires_signal_x_forwarded_for": PROTECTION,
    "CustomTestClientTestCase::test_session_protection_modes": PROTECTION,
    "LoginTestCase::test_logout_without_current_user": FLASK_SESSION,
    "LoginViaRequestTestCase::test_login_via_request_uses_cookie_when_already_logged_in": FLASK_SESSION,
    "LoginTestCase::test_user_login_confirmed_signal_fired": NOBODY,
}
"""The tests that fail, each with its reason."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outcome of each of their tests. The source comes from the package index, and goes with the test run."""
    folder = tmp_path_factory.mktemp("flask_login_suite")
    tests, results = _unpacked(folder) / "tests" / "test_login.py", folder / "results.json"
    command = [sys.executable, "-m", "tests.support.flask_login_suite", str(tests), str(results)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=45)
    assert results.exists(), run.stdout + run.stderr
    outcomes: dict[str, str] = json.loads(results.read_text())
    return outcomes


def _unpacked(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    options = ["--timeout", "10", "--retries", "0", "--disable-pip-version-check", "-d", str(folder)]
    try:
        got = subprocess.run([*pip, *options, SDIST], capture_output=True, text=True, timeout=45)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{SDIST} could not be had from the package index within a minute")
    archives = sorted(folder.glob("*.tar.gz"))
    if not archives:
        pytest.skip(f"{SDIST} could not be had from the package index: {got.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if (path / "tests" / "test_login.py").exists())


def test_their_suite_is_the_one_this_list_was_made_for(outcomes: dict[str, str]) -> None:
    assert len(outcomes) == TESTS
    assert set(MAY_FAIL) <= set(outcomes)


def test_exactly_the_listed_tests_of_flask_login_fail(outcomes: dict[str, str]) -> None:
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == set(MAY_FAIL)


def test_most_of_flask_logins_tests_pass(outcomes: dict[str, str]) -> None:
    assert list(outcomes.values()).count("passed") >= MUST_PASS
