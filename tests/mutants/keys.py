"""Mutants of the signing keys: the key, its JWK, the file, the ring and the rotation."""

from __future__ import annotations

from .mutant import INTEGRATION, Mutant

KEY, JWK, FILE, RING, ROTATION = "keys/key.py", "keys/jwk.py", "keys/file.py", "keys/ring.py", "keys/rotation.py"
OF_KEY, OF_JWK, OF_FILE = "test_keys_key.py::", "test_keys_jwk.py::", "test_keys_file.py::"
OF_RING, OF_ROTATION = "test_keys_ring.py::", "test_keys_rotation.py::"
APPS = INTEGRATION + "test_who_may_be_signed_in.py::"

MUTANTS = [
    Mutant(
        KEY,
        "mac = _with_key(key).copy()",
        "mac = _with_key(key)",
        "what was signed before is signed too: after the first token of a process none is good",
        "test_long_token.py::test_a_token_is_read_back",
    ),
    Mutant(
        KEY,
        "material = hmac.new(raw, purpose, hashlib.sha256).digest()",
        "material = raw",
        "any token that another library signs with SECRET_KEY is a session here",
        OF_KEY + "test_what_signs_is_derived_and_not_the_secret_itself",
    ),
    Mutant(
        KEY,
        'purpose = f"flask-corbado-session.short HS256 {whose}".rstrip().encode()',
        'purpose = b"flask-corbado-session.short HS256"',
        "the short session of one app is one in every other app under the same SECRET_KEY",
        APPS + "test_an_app_does_not_take_the_short_session_of_another_under_one_secret_key",
    ),
    Mutant(
        KEY,
        "return self._keys[0]",
        "return self._keys[-1]",
        "the key that was to be withdrawn goes on signing (CVE-2025-47278)",
        OF_KEY + "test_the_newest_key_signs_and_the_fallbacks_verify",
    ),
    Mutant(
        KEY,
        "for key in reversed(secret_keys)]",
        "for key in secret_keys]",
        "long cookies are signed with the oldest key (CVE-2025-47278)",
        "test_long_token.py::test_tokens_of_a_fallback_are_read_and_the_newest_key_signs",
    ),
    Mutant(
        KEY,
        '"EC": ("crv", "kty", "x", "y"),',
        '"EC": ("crv", "kty", "x"),',
        "two keys may have one kid, and the kid is no RFC 7638 thumbprint",
        OF_KEY + "test_the_thumbprints_of_ec_and_okp_keys_are_those_of_the_rfcs",
    ),
    Mutant(
        KEY,
        '"OKP": ("crv", "kty", "x"),',
        '"OKP": ("kty", "x"),',
        "the kid of an Ed25519 key is no RFC 7638 thumbprint",
        OF_KEY + "test_the_thumbprints_of_ec_and_okp_keys_are_those_of_the_rfcs",
    ),
    Mutant(
        KEY,
        "if len(text) < SHORTEST_SECRET:",
        "if False:",
        "an app starts with a SECRET_KEY that can be guessed",
        OF_KEY + "test_a_weak_secret_is_told_why",
    ),
    Mutant(
        KEY,
        "if text in _WELL_KNOWN or text.lower() in _WELL_KNOWN:",
        "if False:",
        "an app starts with the SECRET_KEY of a tutorial (CVE-2023-27524)",
        OF_KEY + "test_a_weak_secret_is_told_why",
    ),
    Mutant(
        JWK,
        "key.starts_at >= newest.starts_at",
        "key.starts_at <= newest.starts_at",
        "the oldest key signs, past its rotation",
        OF_JWK + "test_the_newest_active_key_signs",
    ),
    Mutant(
        JWK,
        "return self.starts_at <= now and self.is_published(now)",
        "return self.is_published(now)",
        "a key signs before every service has fetched it: people are signed out at a rotation",
        OF_JWK + "test_a_key_whose_time_has_not_come_does_not_sign",
    ),
    Mutant(
        JWK,
        "self.published_until is None or now < self.published_until",
        "True",
        "a withdrawn key verifies for ever",
        OF_RING + "test_a_key_is_found_until_its_publication_ends_to_the_second",
    ),
    Mutant(
        JWK,
        "LEAST_RSA_BITS = 2048",
        "LEAST_RSA_BITS = 1024",
        "a key that can be factored signs",
        OF_JWK + "test_an_rsa_key_has_2048_bits_and_all_crt_members",
    ),
    Mutant(
        JWK,
        'if jwk.get("kid") != kid:',
        "if False:",
        "a key may take another one's kid",
        OF_JWK + "test_a_wrong_key_is_refused_by_name_and_nothing_of_it_is_told",
    ),
    Mutant(
        FILE,
        "    _check_file(status, path)  # again,",
        "    # again,",
        "a file swapped between stat and open is read, whoever may write it",
        OF_FILE + "test_what_was_opened_is_looked_at",
    ),
    Mutant(
        FILE,
        "return status.st_mode & 0o077 != 0",
        "return status.st_mode & 0o007 != 0",
        "a group on the machine reads the signing key",
        OF_FILE + "test_a_file_open_to_others_is_refused",
    ),
    Mutant(
        FILE,
        "& ~0o440 == 0 and status.st_gid in ours",
        "& ~0o440 == 0",
        "a file for a group of others is taken for a mounted secret",
        OF_FILE + "test_a_secret_mounted_by_root_for_a_group_of_ours_is_read",
    ),
    Mutant(
        FILE,
        "os.link(draft, target)  # fails",
        "os.replace(draft, target)  # fails",
        "generate writes over the keys in use: everybody is signed out",
        OF_FILE + "test_a_new_file_replaces_nothing",
    ),
    Mutant(
        RING,
        "if key is None or not key.is_published(self._clock.now()):",
        "if key is None:",
        "a withdrawn key verifies until the next rotation",
        OF_RING + "test_a_key_is_found_until_its_publication_ends_to_the_second",
    ),
    Mutant(
        RING,
        "return loaded.digest, sum(now >= end for end in loaded.ends)",
        "return loaded.digest, 0",
        "remembered tokens outlive their key",
        OF_RING + "test_a_token_seen_before_dies_when_its_keys_publication_ends",
    ),
    Mutant(
        ROTATION,
        "PREPUBLICATION = timedelta(minutes=10)",
        "PREPUBLICATION = timedelta(minutes=1)",
        "a key signs before the services have fetched it: their users are refused",
        OF_ROTATION + "test_a_new_key_is_published_at_once_and_signs_after_ten_minutes",
    ),
    Mutant(
        ROTATION,
        "MARGIN = timedelta(seconds=60)",
        "MARGIN = timedelta(seconds=0)",
        "the last tokens of a key are refused by services whose clocks are fast",
        OF_ROTATION + "test_the_old_key_stays_until_its_last_token_has_expired",
    ),
    Mutant(
        ROTATION,
        "until = signs_from + short_lifetime + MARGIN",
        "until = now + short_lifetime + MARGIN",
        "tokens signed just before the change are refused",
        OF_ROTATION + "test_the_old_key_stays_until_its_last_token_has_expired",
    ),
    Mutant(
        ROTATION,
        "if soonest <= now + SETTLING:",
        "if soonest <= now:",
        "a key that another process already signs with is taken back",
        OF_ROTATION + "test_force_does_not_take_back_a_key_that_another_process_may_sign_with",
    ),
]
