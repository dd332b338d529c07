"""Mutants of device binding: challenges, proofs, and what a bound session's token is worth without one."""

from __future__ import annotations

from .mutant import INTEGRATION, Mutant

CHALLENGES, PROOFS, ROTATION = "binding/challenges.py", "binding/proofs.py", "database/rotation.py"
BAD, TABLE = INTEGRATION + "test_bound_bad_input.py::", INTEGRATION + "test_bound_request_table.py::"
BASES = INTEGRATION + "test_bound_databases.py::"

MUTANTS = [
    Mutant(
        CHALLENGES,
        "is_ours = raw_id == session_id.encode() and ",
        "is_ours = ",
        "the proof of one session is good for another",
        BAD + "test_a_challenge_of_another_session_is_refused",
    ),
    Mutant(
        CHALLENGES,
        " and to_ms(at - self._lifetime) <= number",
        "",
        "a proof that was recorded long ago is good",
        BAD + "test_an_expired_challenge_is_answered_by_a_new_one",
    ),
    Mutant(
        CHALLENGES,
        'f"flask-corbado-session.binding.{purpose}"',
        '"flask-corbado-session.binding"',
        "the proof of a registration is good for a refresh",
        "test_challenges.py::test_the_challenge_of_one_purpose_is_good_for_no_other",
    ),
    Mutant(
        PROOFS,
        "algorithms=[algorithm])",
        'algorithms=[algorithm], options={"verify_signature": False})',
        "whoever copied the cookies proves what they like",
        BAD + "test_the_recorded_proof_with_one_character_changed_does_not",
    ),
    Mutant(
        PROOFS,
        'if (jwk["kty"], jwk.get("crv")) != (kty, crv):',
        "if False:",
        "a key of another kind is stored and serves",
        "test_proofs.py::test_a_key_on_another_curve_is_not",
        equivalent="PyJWT reads no key of another kind, and verifies ES256 on no other curve; that test holds it to it",
    ),
    Mutant(
        PROOFS,
        "key.key_size > _MOST_RSA_BITS or key.public_numbers().e > _MOST_RSA_EXPONENT",
        "key.key_size > _MOST_RSA_BITS",
        "anybody has the server compute for 40 ms a request",
        INTEGRATION + "test_advisories_tokens.py::"
        "test_cve_2023_6681_nor_does_a_key_that_a_stranger_sends_choose_how_long_its_check_takes",
    ),
    Mutant(
        PROOFS,
        'if header.get("typ") != "dbsc+jwt":',
        "if False:",
        "a JWT of another kind registers a key",
        BAD + "test_a_bad_key_is_refused_and_the_session_stays_unbound",
    ),
    Mutant(
        ROTATION,
        "self._advancing([is_free] if self._binds else [], ",
        "self._advancing([], ",
        "a copy of a bound session's cookies is refreshed without the key, and unbinds it",
        BASES + "test_a_long_cookie_alone_changes_nothing_in_the_row",
    ),
    Mutant(
        ROTATION,
        "if self._binds and not proven and row.binding_key is not None:",
        "if False:",
        "whoever has an old copy of a bound session's cookies ends it",
        BASES + "test_an_old_copy_alone_does_not_end_the_owners_session",
    ),
]
