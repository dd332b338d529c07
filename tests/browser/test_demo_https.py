"""The demo site over https, its cookies as the library sets them when nothing is configured."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Response
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.conftest import Serve
from tests.support.person import IPHONE, Cookie, Person, served_by_one_request
from tests.support.servers import Server
from tests.support.virtual_authenticator import SYNCED, VirtualAuthenticator

QUARTER = 15 * 60
NAMES = {"__Host-cbo_short_session", "__Host-cbo_long_session", "__Host-cbo_device"}


@pytest.fixture(scope="module")
def site(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """With the library's own setting in the place of the demo's, which is for http."""
    return serve(
        "tests.support.demo",
        DEMO_INSTANCE=str(tmp_path_factory.mktemp("instance")),
        TLS_FOLDER=str(tmp_path_factory.mktemp("tls")),
        FLASK_CORBADO_SESSION_COOKIE_SECURE="true",
    )


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "ignore_https_errors": True}


@pytest.fixture
def origin(site: Server) -> str:
    return site.origin().replace("http:", "https:")


@pytest.fixture
def ada(context: BrowserContext, origin: str) -> Person:
    return Person(context, origin).come(f"ada-{uuid4()}@example.com")


def attributes(line: str) -> tuple[str, set[str]]:
    """The name and the attributes of a Set-Cookie header, without values of names and times."""
    name, *rest = (part.strip() for part in line.split(";"))
    return name.partition("=")[0], {part.partition("=")[0] if part.startswith("Max-Age") else part for part in rest}


def test_signing_in_sets_three_host_cookies(context: BrowserContext, origin: str) -> None:
    ada = Person(context, origin).sign_in("demo@example.com", "correct horse battery")
    assert ada.at == "/dashboard"
    for cookie in ada.cookies().values():
        shared = (cookie.domain, cookie.path, cookie.secure, cookie.http_only, cookie.same_site)
        assert shared == ("localhost", "/", True, True, "Lax")
    assert {cookie.name for cookie in ada.cookies().values()} == NAMES
    assert ada.page.evaluate("document.cookie") == ""  # script reads none


def test_the_headers_say_so_name_no_domain_and_keep_the_browser_with_https(ada: Person) -> None:
    ada.press("Sign out")
    answers: list[Response] = []
    ada.page.on("response", lambda answer: answers.append(answer))
    ada.sign_in("demo@example.com", "correct horse battery")
    (sign_in,) = (answer for answer in answers if answer.request.method == "POST" and answer.url.endswith("/sign-in"))
    set_cookies = [each["value"] for each in sign_in.headers_array() if each["name"].lower() == "set-cookie"]
    assert "max-age=31536000" in sign_in.headers["strict-transport-security"]
    assert {attributes(line)[0] for line in set_cookies} == NAMES
    assert [attributes(line)[1] for line in set_cookies] == [
        {"Max-Age", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    ] * 3


def test_a_short_session_that_ran_out_is_replaced_in_the_request_that_came(ada: Person) -> None:
    before = ada.cookies()
    ada.pass_time(QUARTER)
    ada.lose_short_session()
    assert served_by_one_request(ada.open("/dashboard"))
    after = ada.cookies()
    assert {name for name in after if before[name].print != after[name].print} == {"short_session", "long_session"}
    assert set(map(_flags, after.values())) == set(map(_flags, before.values()))


def _flags(cookie: Cookie) -> tuple[Any, ...]:
    return cookie.name, cookie.domain, cookie.path, cookie.secure, cookie.http_only, cookie.same_site


def test_a_form_sent_when_the_short_session_ran_out_does_what_it_says(ada: Person) -> None:
    ada.open("/session/devices")
    ada.page.get_by_text("Rename").click()
    ada.page.get_by_role("textbox").fill("Kitchen")
    ada.pass_time(QUARTER)
    ada.press("Save")
    assert ada.devices() == ["Kitchen This device"]


def test_a_second_browser_is_listed_and_revoked(ada: Person, new_context: CreateContextCallback, origin: str) -> None:
    ada.open("/account")
    email = ada.facts()["App claim email"]
    phone = Person(new_context(user_agent=IPHONE), origin).sign_in(email)
    assert phone.at == "/dashboard"
    assert "Safari on iPhone" in ada.devices()
    ada.end("Sign out Safari on iPhone")
    assert not phone.reaches("/dashboard")
    assert ada.reaches("/dashboard")


def test_signing_out_takes_the_host_cookies_along(ada: Person) -> None:
    ada.press("Sign out")
    assert {cookie.name for cookie in ada.cookies().values()} == {"__Host-cbo_device"}
    assert not ada.reaches("/dashboard")


def test_passkeys_work_over_https_too(ada: Person) -> None:
    authenticator = VirtualAuthenticator(ada.page, **SYNCED)
    ada.open("/account")
    ada.page.get_by_role("button", name="Add a passkey").click()
    ada.page.get_by_text("Your passkey is ready.").wait_for()
    ada.press("Sign out")
    ada.open("/sign-in")
    ada.page.wait_for_url("**/dashboard")
    assert authenticator.events[:2] == ["credentialAdded", "credentialUpdated"]
    (challenge,) = (each for each in ada.context.cookies(ada.origin) if "passkey" in each.get("name", ""))
    named = (challenge.get("name"), challenge.get("secure"), challenge.get("httpOnly"), challenge.get("sameSite"))
    assert named == ("__Host-demo_passkey", True, True, "Strict")
