"""Why a passkey was not accepted: a code for the script, and a sentence that says what to do."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "challenge_expired",
    "challenge_spent",
    "challenge_unknown",
    "email_taken",
    "invalid_answer",
    "invalid_email",
    "invalid_name",
    "last_sign_in_method",
    "passkey_copied",
    "passkey_exists",
    "passkey_refused",
    "passkey_unknown",
    "passkey_unverified",
    "passkey_wrong_account",
    "too_many_passkeys",
    "wrong_origin",
]

MAX_PASSKEYS = 20
"""How many passkeys a user may have."""

_SENTENCES: dict[Code, str] = {
    "challenge_expired": "That took too long. Please try again.",
    "challenge_spent": "This answer was used already. Reload the page and try again.",
    "challenge_unknown": "This was not started on this page of this browser. Reload the page and try again.",
    "email_taken": "There is already an account with this address. Sign in, or use another address.",
    "invalid_answer": "The site could not read what your browser sent. Reload the page and try again.",
    "invalid_email": "This is not an email address.",
    "invalid_name": "Give the passkey a name of one line, at most 80 characters.",
    "last_sign_in_method": "This passkey is your only way to sign in. Set a password or add another passkey first.",
    "passkey_copied": (
        "This passkey seems to have been copied: it was used more often than this device knows. Sign in in another "
        "way, then remove it on your account page."
    ),
    "passkey_exists": "This passkey belongs to an account already. Sign in with it.",
    "passkey_refused": "The site could not verify this passkey. Try again, or sign in in another way.",
    "passkey_unknown": "The site does not know this passkey; it may have been removed. Sign in in another way.",
    "passkey_unverified": "Your device did not check that it is you. Set up its screen lock or PIN, then try again.",
    "passkey_wrong_account": "This is not a passkey of the account that you are signed in to. Use one that is.",
    "too_many_passkeys": f"You have {MAX_PASSKEYS} passkeys already. Remove one first.",
    "wrong_origin": "Passkeys work only at the site's own address: {origins}. Open that one and try again.",
}
_STATUSES: dict[Code, int] = {"email_taken": 409, "last_sign_in_method": 409, "passkey_exists": 409}


class PasskeyRefused(Exception):
    """The answer of an authenticator, or a request about a passkey, was not accepted."""

    def __init__(self, code: Code, **values: str) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = _SENTENCES[code].format(**values)
        self.status = _STATUSES.get(code, 422)
