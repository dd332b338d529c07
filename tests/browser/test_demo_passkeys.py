"""Passkeys at the demo site, in a browser with a virtual authenticator."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Route, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.support.person import Person, tab_to
from tests.support.servers import Server
from tests.support.virtual_authenticator import SYNCED, VirtualAuthenticator

SIX_MINUTES = 360


@pytest.fixture
def ada(context: BrowserContext, site: Server) -> Person:
    """Somebody at the sign-up page."""
    ada = Person(context, site.origin())
    ada.open("/sign-up")
    return ada


@pytest.fixture
def authenticator(ada: Person) -> VirtualAuthenticator:
    """The authenticator of their device, which syncs its passkeys."""
    return VirtualAuthenticator(ada.page, **SYNCED)


@pytest.fixture
def signed_up(ada: Person, authenticator: VirtualAuthenticator, email: str) -> Person:
    """Signed up with a passkey; on the dashboard."""
    ada.page.get_by_label("Email").fill(email)
    press(ada, "Create account with a passkey")
    arrive(ada, "/dashboard")
    return ada


def press(person: Person, button: str) -> None:
    """Press a button of the script."""
    person.page.get_by_role("button", name=button, exact=True).click()


def arrive(person: Person, path: str) -> None:
    """Wait for the page that the script leads to."""
    person.page.wait_for_url(re.compile(f"^{re.escape(person.origin + path)}$"))
    person.page.get_by_role("main").wait_for()


def is_told(person: Person, sentence: str) -> None:
    """Wait for what the button says of a failure."""
    expect(person.page.locator(".passkey [role=alert]")).to_contain_text(sentence)


def come_with_passkey(person: Person, email: str) -> None:
    """Signed up with a password, then with a passkey beside it; on the account page."""
    person.come(email)
    press(person, "Create a passkey")
    arrive(person, "/account?message=passkey-added#passkeys")


def sign_out(person: Person) -> None:
    """Leave for the start page, which asks for no passkey."""
    person.press("Sign out")


# ---- success


def test_somebody_signs_up_with_a_passkey_and_signs_in_from_the_email_field(
    signed_up: Person, authenticator: VirtualAuthenticator
) -> None:
    """Conditional mediation: the authenticator answers as if its passkey had been chosen in the field's list."""
    sign_out(signed_up)
    signed_up.open("/sign-in?next=/account")
    assert signed_up.page.get_by_label("Email").get_attribute("autocomplete") == "username webauthn"
    arrive(signed_up, "/account")
    assert authenticator.events[:2] == ["credentialAdded", "credentialAsserted"]
    assert signed_up.sees("with passkey on")


def test_the_devices_page_says_that_it_was_a_passkey(signed_up: Person) -> None:
    signed_up.open("/session/devices")
    signed_up.page.get_by_text("1 session on").first.click()
    assert signed_up.sees("with passkey")


def test_somebody_signs_in_with_the_button(signed_up: Person) -> None:
    """In a browser that offers no passkeys in the field."""
    sign_out(signed_up)
    signed_up.page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
    signed_up.open("/sign-in")
    press(signed_up, "Sign in with a passkey")
    arrive(signed_up, "/dashboard")


def test_the_button_goes_before_the_field(signed_up: Person, authenticator: VirtualAuthenticator) -> None:
    """A browser takes one request at a time, so that of the field is withdrawn, and its challenge is not spent."""
    sign_out(signed_up)
    authenticator.wait_for_touch(True)
    signed_up.page.add_init_script("""
        const get = CredentialsContainer.prototype.get;
        CredentialsContainer.prototype.get = function (options) {
          setTimeout(() => (document.documentElement.dataset.asked = options.mediation), 200);
          return get.call(this, options);
        };""")
    signed_up.open("/sign-in")
    signed_up.page.locator("html[data-asked=conditional]").wait_for()
    authenticator.wait_for_touch(False)  # from the next request on
    press(signed_up, "Sign in with a passkey")
    arrive(signed_up, "/dashboard")


def test_the_button_is_reached_and_pressed_with_the_keyboard(
    ada: Person, authenticator: VirtualAuthenticator, email: str
) -> None:
    ada.page.get_by_label("Email").fill(email)
    button = ada.page.get_by_role("button", name="Create account with a passkey")
    tab_to(ada.page, button)
    ada.page.keyboard.press("Enter")
    arrive(ada, "/dashboard")


def test_without_an_address_there_is_no_passkey(ada: Person, authenticator: VirtualAuthenticator) -> None:
    press(ada, "Create account with a passkey")
    assert ada.page.get_by_label("Email").evaluate("field => field.matches(':invalid:focus')")
    assert authenticator.events == []


def test_after_a_password_the_browser_makes_a_passkey_by_itself(
    ada: Person, authenticator: VirtualAuthenticator, email: str
) -> None:
    """Conditional creation. The virtual authenticator leaves it waiting, so it is told to create without condition."""
    ada.page.add_init_script("""
        const create = CredentialsContainer.prototype.create;
        CredentialsContainer.prototype.create = function ({ mediation, ...options }) {
          document.documentElement.dataset.mediation = mediation;
          return create.call(this, options);
        };""")
    ada.sign_up(email)
    expect(ada.page.locator(".offer")).to_contain_text("Your browser has made a passkey for you.")
    assert (ada.at, authenticator.events) == ("/dashboard", ["credentialAdded"])
    assert ada.page.locator("html").get_attribute("data-mediation") == "conditional"
    ada.open("/account")
    assert ada.page.locator("#passkeys li").count() == 1
    ada.open("/dashboard")
    assert not ada.sees("Sign in without a password")


def test_after_a_password_a_passkey_is_offered(ada: Person, email: str) -> None:
    """By the button, in a browser that makes none by itself."""
    authenticator = VirtualAuthenticator(ada.page)
    come_with_passkey(ada, email)
    assert ada.sees("Your passkey is ready.")
    assert ada.sees("On one device only")
    assert authenticator.credentials[0]["isResidentCredential"]


@pytest.mark.usefixtures("authenticator")
def test_a_second_passkey_is_listed_at_once(ada: Person, authenticator: VirtualAuthenticator, email: str) -> None:
    """Its page has the address that the browser is at already."""
    come_with_passkey(ada, email)
    authenticator.unplug()
    VirtualAuthenticator(ada.page)
    press(ada, "Add a passkey")
    expect(ada.page.locator("#passkeys li")).to_have_count(2)


# ---- step-up


def test_a_passkey_confirms_who_changes_the_password(signed_up: Person) -> None:
    signed_up.pass_time(SIX_MINUTES)
    signed_up.open("/account/password")
    assert signed_up.at == "/account/confirm?next=/account/password"
    press(signed_up, "Confirm with a passkey")
    arrive(signed_up, "/account/password")
    signed_up.page.get_by_label("New password").fill("another sound one")
    signed_up.press("Set password")
    assert signed_up.sees("Your password has been changed.")


@pytest.mark.usefixtures("authenticator")
def test_a_passkey_stands_in_for_the_current_password(ada: Person, email: str) -> None:
    come_with_passkey(ada, email)
    ada.open("/account/password")
    press(ada, "Use your passkey instead")
    expect(ada.page.get_by_text("the current password is not needed")).to_be_visible()
    assert ada.page.get_by_label("Current password").count() == 0


def test_a_passkey_confirms_the_end_of_another_session(
    signed_up: Person, new_context: CreateContextCallback, authenticator: VirtualAuthenticator
) -> None:
    other = Person(new_context(), signed_up.origin)
    other.open("/")
    theirs = VirtualAuthenticator(other.page, **SYNCED)
    theirs.put(authenticator.credentials[0])
    other.open("/sign-in")
    arrive(other, "/dashboard")
    authenticator.clear()
    authenticator.put(theirs.credentials[0])  # synced, with the counter that a virtual one has all the same
    signed_up.pass_time(16 * 60)
    signed_up.devices()
    signed_up.end("Sign out everywhere else")
    assert signed_up.at == "/account/confirm?next=/session/resume"
    press(signed_up, "Confirm with a passkey")
    arrive(signed_up, "/session/resume")
    signed_up.press("Continue")
    assert not other.reaches("/dashboard")


def test_the_wrong_persons_passkey_confirms_nothing(
    signed_up: Person, authenticator: VirtualAuthenticator, new_context: CreateContextCallback
) -> None:
    """The browser offers only those of the account; a page that asks for any, as a script could, is refused."""
    eve = Person(new_context(), signed_up.origin)
    eve.open("/sign-up")
    theirs = VirtualAuthenticator(eve.page, **SYNCED)
    eve.page.get_by_label("Email").fill(f"eve-{uuid4()}@example.com")
    press(eve, "Create account with a passkey")
    arrive(eve, "/dashboard")
    authenticator.clear()
    authenticator.put(theirs.credentials[0])
    signed_up.open("/account/confirm")
    press(signed_up, "Confirm with a passkey")
    is_told(signed_up, "No passkey was used")
    signed_up.page.route("**/passkeys/confirm/options", ask_for_any)
    press(signed_up, "Confirm with a passkey")
    is_told(signed_up, "This is not a passkey of the account that you are signed in to.")


def ask_for_any(route: Route) -> None:
    """The site's options, without the list of passkeys."""
    answer = route.fetch()
    route.fulfill(response=answer, json={**answer.json(), "allowCredentials": []})
