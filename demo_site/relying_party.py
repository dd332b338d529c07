"""The site as a relying party (Web Authentication): what it asks of authenticators, and how it verifies their answers.

Its id and origins come from the settings, never from the ``Host`` header, which is whatever a client sends.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from flask import Flask, current_app, request
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.options_to_json_dict import options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from .addresses import Addresses
from .passkey_refusals import PasskeyRefused
from .passkey_store import CREDENTIAL_ID_LENGTH, NAME_LENGTH, NewPasskey, Passkey

T = TypeVar("T")
log = logging.getLogger(__name__)

PROVIDERS = {
    "08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
    "531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
    "50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
    "53414d53-554e-4700-0000-000000000000": "Samsung Pass",
    "6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
    "9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
    "adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
    "bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
    "d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
    "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
    "fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
    "fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
}
"""The first name of a passkey, by the AAGUID of its authenticator. Nobody attests it, so it is a name and no more."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks for passkeys."""

    id: str
    origins: tuple[str, ...]
    name: str = "Two sessions"


@dataclass(frozen=True, slots=True)
class Answer:
    """An authenticator's answer as it was sent; nothing in it is verified yet."""

    credential: dict[str, Any] = field(repr=False)
    credential_id: bytes
    challenge: bytes = field(repr=False)
    user_handle: str | None
    """As hexadecimal digits."""


def init_app(app: Flask, addresses: Addresses) -> None:
    """Read the settings. By default the site is at localhost, over https if its cookies are for https only."""
    scheme = "https" if app.config["CORBADO_SESSION_COOKIE_SECURE"] else "http"
    origins = app.config["DEMO_PASSKEY_ORIGINS"] or f"{scheme}://localhost:{addresses.port}"
    listed = origins.replace(",", " ").split() if isinstance(origins, str) else origins
    party = RelyingParty(app.config["DEMO_PASSKEY_RP_ID"], tuple(listed))
    app.extensions["demo_relying_party"] = party
    app.jinja_env.globals["relying_party"] = party


def relying_party() -> RelyingParty:
    """That of the current app."""
    return cast(RelyingParty, current_app.extensions["demo_relying_party"])


# ---- asking


def creation_options(
    challenge: bytes, email: str, handle: str, existing: Iterable[Passkey], conditional: bool = False
) -> dict[str, Any]:
    """What the browser makes a passkey from. ``conditional``: without asking, after a password was filled in."""
    party, needed = relying_party(), UserVerificationRequirement
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=bytes.fromhex(handle),
        user_name=email,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=needed.PREFERRED if conditional else needed.REQUIRED,
        ),
        exclude_credentials=_descriptors(existing),
    )
    return options_to_json_dict(options)


def request_options(challenge: bytes, passkeys: Iterable[Passkey] = ()) -> dict[str, Any]:
    """What the browser uses a passkey for: any of the site's, or one of these."""
    options = generate_authentication_options(
        rp_id=relying_party().id,
        challenge=challenge,
        allow_credentials=_descriptors(passkeys),
        # a passkey signs in alone, so it must be two factors: the device, and who unlocks it
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def _descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=passkey.credential_id, transports=_transports(passkey.transports.split()))
        for passkey in passkeys
    ]


def _transports(names: Collection[Any]) -> list[AuthenticatorTransport]:
    return [transport for transport in AuthenticatorTransport if transport.value in names]


# ---- verifying


def read_answer(credential: Any) -> Answer:
    """Take an answer apart far enough to know which passkey, challenge and origin it names.

    Raises PasskeyRefused if it can't be read, or comes from a page of another origin.
    """
    answer, client_data = _read(lambda: _take_apart(credential))
    party = relying_party()
    if client_data.get("origin") not in party.origins or client_data.get("crossOrigin") not in (None, False):
        raise PasskeyRefused("wrong_origin", origins=" or ".join(party.origins))
    return answer


def _take_apart(credential: Any) -> tuple[Answer, dict[str, Any]]:
    response = credential["response"]
    client_data = json.loads(base64url_to_bytes(response["clientDataJSON"]))
    credential_id = base64url_to_bytes(credential["id"])
    handle = response.get("userHandle")
    if not 0 < len(credential_id) <= CREDENTIAL_ID_LENGTH or not isinstance(client_data, dict):
        raise ValueError
    challenge = base64url_to_bytes(client_data["challenge"])
    return Answer(
        credential, credential_id, challenge, base64url_to_bytes(handle).hex() if handle else None
    ), client_data


def _read(read: Callable[[], T]) -> T:
    try:
        return read()
    except Exception as error:  # somebody's bytes: whatever a parser of them fails with, they can't be read
        log.debug("an answer could not be read: %s", type(error).__name__)
        raise PasskeyRefused("invalid_answer") from None


def verify_new(answer: Answer, conditional: bool = False) -> NewPasskey:
    """The passkey that was made; PasskeyRefused if the answer does not hold."""
    party = relying_party()
    verified = _verify(
        lambda: verify_registration_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_presence=not conditional,  # the browser asked nobody then
        )
    )
    if not (verified.user_verified or conditional):
        raise PasskeyRefused("passkey_unverified")
    if not 0 < len(verified.credential_id) <= CREDENTIAL_ID_LENGTH:
        raise PasskeyRefused("passkey_refused")
    names = answer.credential["response"].get("transports")
    transports = _transports([name for name in names if isinstance(name, str)] if isinstance(names, list) else [])
    return NewPasskey(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        is_synced=verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        transports=tuple(transport.value for transport in transports),
        name=PROVIDERS.get(verified.aaguid) or _browser_label(),
    )


def _browser_label() -> str:
    """ "Chrome on Windows", as the devices page says it."""
    label = current_app.jinja_env.filters["corbado_session_label"]
    return str(label(request.user_agent.string))[:NAME_LENGTH]


def verify_use(answer: Answer, passkey: Passkey) -> int:
    """The counter of an answer that this passkey signed; PasskeyRefused if the answer does not hold."""
    party = relying_party()
    verified = _verify(
        lambda: verify_authentication_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # `record_use` compares, in the statement that stores it
        )
    )
    if not verified.user_verified:
        raise PasskeyRefused("passkey_unverified")
    if (verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE) != passkey.is_synced:
        raise PasskeyRefused("passkey_refused")  # an authenticator says the same of a passkey for ever
    return verified.new_sign_count


def _verify(verify: Callable[[], T]) -> T:
    try:
        return verify()
    except Exception as error:  # as above: what can't be verified does not hold, for whatever reason
        log.info("an answer was not accepted: %s", type(error).__name__)
        raise PasskeyRefused("passkey_refused") from None
