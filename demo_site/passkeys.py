"""Passkeys: sign up, sign in and confirm with one; add, rename and remove them.

Each ceremony is two calls of ``static/passkeys.js``: one for the options, one with the authenticator's answer.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from flask_corbado_session import (
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
)

from . import passkey_challenges, passkey_store, relying_party
from .account import password_limit
from .auth import sign_in_limit, sign_up_limit
from .errors import refusal
from .extensions import sessions
from .models import add_user_with_passkey, find_by_email, find_by_id, normalise_email
from .passkey_refusals import PasskeyRefused
from .relying_party import Answer
from .who import current_user_id

blueprint = Blueprint("passkeys", __name__, url_prefix="/passkeys")
BODY_LENGTH = 64 * 1024
MAX_AGE = 300
"""Seconds since the user proved who they are, for adding and removing a passkey."""


@blueprint.before_request
def check_request() -> None:
    """Refuse what another site's page sends, and bodies that no authenticator needs."""
    sessions.check_origin()
    request.max_content_length = BODY_LENGTH


@blueprint.errorhandler(PasskeyRefused)
def refuse(refused: PasskeyRefused) -> Response:
    """The refusal as problem+json for the script, as a page for a form."""
    return refusal(refused.status, refused.code, refused.sentence)


# ---- sign in


@blueprint.post("/sign-in/options")
def sign_in_options() -> ResponseReturnValue:
    """Options for a sign-in: the same for everybody, since the authenticator knows whose passkeys it holds."""
    return jsonify(relying_party.request_options(passkey_challenges.issue("sign-in")))


@blueprint.post("/sign-in")
@sign_in_limit
def sign_in() -> ResponseReturnValue:
    """Sign in whoever the passkey belongs to, and say where to go."""
    body = _body()
    answer = relying_party.read_answer(body.get("credential"))
    passkey_challenges.redeem(answer.challenge, "sign-in")
    passkey = passkey_store.find_by_credential_id(answer.credential_id)
    user = find_by_id(passkey.user_id) if passkey else None
    if passkey is None or user is None:
        raise PasskeyRefused("passkey_unknown")
    if answer.user_handle is None:  # only it says whom the authenticator means
        raise PasskeyRefused("passkey_refused")
    _use(answer, passkey)
    login_user(user, remember=body.get("remember") is True, amr=passkey.amr)
    return _go_to_next()


# ---- sign up


@blueprint.post("/sign-up/options")
@sign_up_limit
def sign_up_options() -> ResponseReturnValue:
    """Options for the passkey of a new account. Says early what is wrong with the address, as the form does."""
    email = normalise_email(_text(_body(), "email"))
    if email is None:
        raise PasskeyRefused("invalid_email")
    if find_by_email(email):
        raise PasskeyRefused("email_taken")
    handle = passkey_store.new_handle()
    challenge = passkey_challenges.issue("sign-up", email=email, handle=handle)
    return jsonify(relying_party.creation_options(challenge, email, handle, ()))


@blueprint.post("/sign-up")
@sign_up_limit
def sign_up() -> ResponseReturnValue:
    """Add an account without a password, and sign its user in."""
    body = _body()
    answer = relying_party.read_answer(body.get("credential"))
    facts = passkey_challenges.redeem(answer.challenge, "sign-up")
    new = relying_party.verify_new(answer)
    user = add_user_with_passkey(facts["email"], facts["handle"], new)
    amr = ("swk" if new.is_synced else "hwk"), "user"
    login_user(user, remember=body.get("remember") is True, amr=amr, claims={"first_session": True})
    return _go_to_next()


# ---- confirm


@blueprint.post("/confirm/options")
@login_required
def confirm_options() -> ResponseReturnValue:
    """Options for a step-up, with one of the user's own passkeys."""
    user_id = current_user_id()
    challenge = passkey_challenges.issue("confirm", user_id=user_id)
    return jsonify(relying_party.request_options(challenge, passkey_store.passkeys_of(user_id)))


@blueprint.post("/confirm")
@password_limit
@login_required
def confirm() -> ResponseReturnValue:
    """Step-up with a passkey in the place of the password."""
    answer = relying_party.read_answer(_body().get("credential"))
    _redeem_own(answer, "confirm")
    passkey = passkey_store.find_by_credential_id(answer.credential_id)
    if passkey is None or str(passkey.user_id) != current_user_id():
        raise PasskeyRefused("passkey_wrong_account")
    _use(answer, passkey)
    confirm_login(amr=passkey.amr)
    return _go_to_next()


# ---- add, rename and remove


@blueprint.post("/add/options")
@fresh_login_required(max_age=MAX_AGE)
def add_options() -> ResponseReturnValue:
    """Options for another passkey of the signed-in user."""
    user_id, conditional = current_user_id(), _body().get("conditional") is True
    challenge = passkey_challenges.issue("add", user_id=user_id, conditional=conditional)
    handle, existing = passkey_store.find_or_create_handle(user_id), passkey_store.passkeys_of(user_id)
    return jsonify(relying_party.creation_options(challenge, current_user.email, handle, existing, conditional))


@blueprint.post("/add")
@password_limit
@fresh_login_required(max_age=MAX_AGE)
def add() -> ResponseReturnValue:
    """Store a passkey of the signed-in user."""
    answer = relying_party.read_answer(_body().get("credential"))
    facts = _redeem_own(answer, "add")
    passkey_store.add_passkey(current_user_id(), relying_party.verify_new(answer, facts["conditional"]))
    sessions.refresh_claims()  # the dashboard offers none from now on
    return jsonify(location=url_for("account.overview", message="passkey-added", _anchor="passkeys"))


@blueprint.post("/<int:passkey_id>/rename")
@login_required
def rename(passkey_id: int) -> ResponseReturnValue:
    """Name a passkey."""
    name = request.form.get("name", "").strip()
    if not name.isprintable() or not 0 < len(name) <= passkey_store.NAME_LENGTH or "\ufffd" in name:
        raise PasskeyRefused("invalid_name")
    if not passkey_store.rename_passkey(current_user_id(), passkey_id, name):
        abort(404)
    return _back_to_list("passkey-renamed")


@blueprint.post("/<int:passkey_id>/remove")
@fresh_login_required(max_age=MAX_AGE)
def remove(passkey_id: int) -> ResponseReturnValue:
    """Delete a passkey. The script of the page that follows tells the browser."""
    if not passkey_store.remove_passkey(current_user_id(), passkey_id, current_user.has_password):
        abort(404)
    sessions.refresh_claims()
    return _back_to_list("passkey-removed")


# ---- shared


def _body() -> dict[str, Any]:
    """The JSON object that was sent; PasskeyRefused if it is none."""
    try:
        body: Any = request.get_json(silent=True)
    except RecursionError:
        body = None
    if not isinstance(body, dict):
        raise PasskeyRefused("invalid_answer")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _redeem_own(answer: Answer, purpose: passkey_challenges.Purpose) -> dict[str, Any]:
    """Redeem a challenge that was made for the user who is signed in."""
    facts = passkey_challenges.redeem(answer.challenge, purpose)
    if facts["user_id"] != current_user_id():
        raise PasskeyRefused("challenge_unknown")
    return facts


def _use(answer: Answer, passkey: passkey_store.Passkey) -> None:
    """Verify that this passkey signed the answer, and record it."""
    sign_count = relying_party.verify_use(answer, passkey)
    if answer.user_handle not in (None, passkey_store.handle_of(passkey.user_id)):
        raise PasskeyRefused("passkey_refused")
    passkey_store.record_use(passkey, sign_count)


def _go_to_next() -> ResponseReturnValue:
    return jsonify(location=sessions.next_url(default=url_for("account.dashboard")))


def _back_to_list(message: str) -> ResponseReturnValue:
    return redirect(url_for("account.overview", message=message, _anchor="passkeys"), 303)
