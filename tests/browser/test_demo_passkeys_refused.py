"""Passkeys at the demo site when something is wrong: each refusal says what to do, and the password remains."""

from __future__ import annotations

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Route, expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.test_demo_passkeys import ada, arrive, authenticator, is_told, press, sign_out, signed_up
from tests.support.person import PASSWORD, Person
from tests.support.servers import Server
from tests.support.virtual_authenticator import SYNCED, VirtualAuthenticator

__all__ = ["ada", "authenticator", "signed_up"]  # fixtures


def see_forms(person: Person, path: str) -> None:
    """Open a page whose field offers no passkeys, so that only the button asks for one."""
    person.page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
    person.open(path)


# ---- nobody, nothing, never mind


def test_who_cancels_is_told_and_may_try_again(signed_up: Person, authenticator: VirtualAuthenticator) -> None:
    """An authenticator that does not recognise the person answers as if they had cancelled: browsers tell no page."""
    sign_out(signed_up)
    authenticator.know_the_person(False)
    see_forms(signed_up, "/sign-in")
    press(signed_up, "Sign in with a passkey")
    is_told(signed_up, "it was cancelled, took too long, or there is none for this site here. Try again, or sign in")
    authenticator.know_the_person(True)
    press(signed_up, "Sign in with a passkey")
    arrive(signed_up, "/dashboard")


def test_who_cancels_a_new_passkey_is_told(ada: Person, authenticator: VirtualAuthenticator, email: str) -> None:
    authenticator.know_the_person(False)
    ada.page.get_by_label("Email").fill(email)
    press(ada, "Create account with a passkey")
    is_told(ada, "No passkey was created: it was cancelled, or took too long. Try again, or choose a password.")
    ada.page.get_by_label("Password").fill(PASSWORD)
    ada.press("Create account")
    assert ada.at == "/dashboard"


def test_who_has_no_passkey_is_told_and_signs_in_with_a_password(
    ada: Person, authenticator: VirtualAuthenticator, email: str
) -> None:
    ada.come(email).press("Sign out")
    see_forms(ada, "/sign-in")
    press(ada, "Sign in with a passkey")
    is_told(ada, "there is none for this site here")
    assert ada.sign_in(email).at == "/dashboard"


@pytest.mark.usefixtures("authenticator")
def test_a_browser_that_knows_no_passkeys_shows_none(ada: Person, email: str) -> None:
    ada.page.add_init_script("delete window.PublicKeyCredential")
    ada.sign_up(email)
    for path in ("/sign-up", "/sign-in", "/account", "/dashboard"):
        ada.open(path)
        assert ada.page.locator(".passkey:visible, .offer:visible").count() == 0


def test_a_taken_address_is_named_before_a_passkey_is_made(ada: Person, authenticator: VirtualAuthenticator) -> None:
    ada.page.get_by_label("Email").fill("demo@example.com")
    press(ada, "Create account with a passkey")
    is_told(ada, "There is already an account with this address.")
    assert authenticator.events == []


def test_an_account_that_was_taken_meanwhile_leaves_no_passkey_behind(
    ada: Person, authenticator: VirtualAuthenticator, email: str
) -> None:
    """The browser is told that it keeps a passkey for nothing (Signal API)."""

    def take_the_address(route: Route) -> None:
        form: Any = {"email": email, "password": PASSWORD}
        ada.context.request.post(f"{ada.origin}/sign-up", form=form, max_redirects=0)
        route.continue_()

    ada.page.route("**/passkeys/sign-up", take_the_address)
    ada.page.get_by_label("Email").fill(email)
    press(ada, "Create account with a passkey")
    is_told(ada, "There is already an account with this address.")
    assert authenticator.credentials == []


def test_a_second_passkey_on_one_device_is_refused_by_the_device(signed_up: Person) -> None:
    signed_up.open("/account")
    press(signed_up, "Add a passkey")
    is_told(signed_up, "This device holds a passkey of this account already.")


# ---- copies


def test_an_answer_that_was_seen_is_good_for_nothing(signed_up: Person, new_context: CreateContextCallback) -> None:
    sign_out(signed_up)
    see_forms(signed_up, "/sign-in")
    with signed_up.page.expect_request("**/passkeys/sign-in") as sent:
        press(signed_up, "Sign in with a passkey")
    arrive(signed_up, "/dashboard")
    again = signed_up.context.request.post(sent.value.url, data=sent.value.post_data_json)
    assert (again.status, again.json()["code"]) == (422, "challenge_spent")
    thief = new_context().request.post(sent.value.url, data=sent.value.post_data_json)
    assert (thief.status, thief.json()["code"]) == (422, "challenge_unknown")


def test_a_cloned_authenticator_is_refused_and_its_owner_is_told(
    signed_up: Person, authenticator: VirtualAuthenticator, new_context: CreateContextCallback
) -> None:
    copy = authenticator.credentials[0]
    for _ in range(2):
        sign_out(signed_up)
        signed_up.open("/sign-in")
        arrive(signed_up, "/dashboard")
    thief = Person(new_context(), signed_up.origin)
    thief.open("/")
    VirtualAuthenticator(thief.page, **SYNCED).put(copy, signCount=0)
    see_forms(thief, "/sign-in")
    press(thief, "Sign in with a passkey")
    is_told(thief, "This passkey seems to have been copied")
    assert not thief.reaches()
    signed_up.open("/account")
    assert signed_up.sees("A copy of this passkey seems to exist")


# ---- another origin


def test_another_host_is_told_where_passkeys_work(context: BrowserContext, site: Server) -> None:
    """127.0.0.1 is the same server, and no host that the relying party id stands for."""
    ada = Person(context, site.origin("127.0.0.1"))
    ada.open("/sign-in")
    assert ada.sees(f"Passkeys work only at the site\u2019s own address: {site.origin()}.")
    assert ada.page.get_by_role("button", name="passkey").count() == 0
    VirtualAuthenticator(ada.page)
    public_key = "{ challenge: new Uint8Array(32), rpId: 'localhost' }"
    asked = f"navigator.credentials.get({{ publicKey: {public_key} }}).catch((error) => error.name)"
    assert ada.page.evaluate(asked) == "SecurityError"
    assert ada.sign_in("demo@example.com", "correct horse battery").at == "/dashboard"


def test_an_origin_that_is_not_in_the_settings_is_refused_by_the_site(
    context: BrowserContext, site: Server, serve: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A page on another port of the host may use its passkeys, as far as the browser is concerned."""
    other = serve(
        "tests.support.demo",
        DEMO_INSTANCE=str(tmp_path_factory.mktemp("instance")),
        FLASK_DEMO_PASSKEY_ORIGINS=json.dumps([site.origin()]),
    )
    ada = Person(context, other.origin())

    def claim(route: Route) -> None:
        answer = route.fetch()
        own = answer.text().replace(f'data-origins="{site.origin()}"', f'data-origins="{other.origin()}"')
        route.fulfill(response=answer, body=own)

    ada.page.route("**/sign-up", claim)
    ada.open("/sign-up")
    authenticator = VirtualAuthenticator(ada.page)
    ada.page.get_by_label("Email").fill("ada@example.com")
    press(ada, "Create account with a passkey")
    is_told(ada, f"Passkeys work only at the site's own address: {site.origin()}.")
    assert authenticator.credentials == []  # taken back by the Signal API
    assert not ada.reaches()


# ---- removal


def test_a_removed_passkey_is_gone_at_the_site_and_in_the_browser(
    signed_up: Person, authenticator: VirtualAuthenticator
) -> None:
    held = authenticator.credentials[0]
    signed_up.open("/account/password")
    signed_up.page.get_by_label("New password").fill(PASSWORD)
    signed_up.press("Set password")
    signed_up.open("/account")
    signed_up.page.get_by_text("Rename or remove").click()
    signed_up.press("Remove this passkey")
    assert signed_up.sees("The passkey is removed.")
    signed_up.page.wait_for_timeout(200)
    assert (authenticator.credentials, authenticator.events[-1]) == ([], "credentialDeleted")
    authenticator.put(held)  # a browser that was not told
    sign_out(signed_up)
    see_forms(signed_up, "/sign-in")
    press(signed_up, "Sign in with a passkey")
    is_told(signed_up, "The site does not know this passkey; it may have been removed.")
    assert authenticator.credentials == []  # now it was


def test_the_only_way_to_sign_in_cannot_be_removed(signed_up: Person) -> None:
    signed_up.open("/account")
    signed_up.page.get_by_text("Rename or remove").click()
    assert signed_up.sees("This passkey is your only way to sign in, so it can\u2019t be removed.")
    assert signed_up.page.get_by_role("button", name="Remove this passkey").count() == 0


def test_a_passkey_is_renamed(signed_up: Person) -> None:
    signed_up.open("/account")
    signed_up.page.get_by_text("Rename or remove").click()
    signed_up.page.get_by_role("textbox", name="Name of the passkey").fill("Kitchen tablet")
    signed_up.press("Save")
    expect(signed_up.page.locator("#passkeys li strong")).to_have_text("Kitchen tablet")


# ---- who sees it, and without script


def test_the_pages_with_passkeys_are_sound(signed_up: Person) -> None:
    axe, found = Axe(), list[str]()
    signed_up.page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/account", "/account/confirm", "/account/password", "/session/devices", "/sign-up", "/sign-in"):
        signed_up.page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
        signed_up.open(path)
        for summary in signed_up.page.locator("#passkeys summary").all():
            summary.click()
        if path == "/sign-up":
            signed_up.page.get_by_label("Email").fill("demo@example.com")
            press(signed_up, "Create account with a passkey")
            is_told(signed_up, "There is already an account with this address.")
        for scheme in ("light", "dark"):
            signed_up.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            violations = axe.run(signed_up.page).response["violations"]
            found += [
                f"{path}, {scheme}: {each['id']}: {node['html']}" for each in violations for node in each["nodes"]
            ]
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert signed_up.page.evaluate(wider) == 0
    assert found == []


def test_without_script_the_password_remains(new_context: CreateContextCallback, site: Server, email: str) -> None:
    ada = Person(new_context(java_script_enabled=False), site.origin())
    ada.sign_up(email)
    assert ada.at == "/dashboard"
    for path in ("/sign-up", "/sign-in", "/dashboard", "/account", "/account/confirm"):
        ada.open(path)
        assert ada.page.locator(".passkey:visible, .offer:visible").count() == 0
    ada.press("Sign out")
    assert ada.sign_in(email).at == "/dashboard"
