"""The long session's token: nothing but what we signed is one."""

from __future__ import annotations

import hashlib
import itertools
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from flask_corbado_session.tokens.ids import is_id, new_id
from flask_corbado_session.tokens.long import DeviceTokenSigner, LongTokenSigner, first_token
from tests.support.rules import SECRET

SIGNER = LongTokenSigner([SECRET])
TOKEN, ROOT = first_token(new_id())
VALUE = SIGNER.dump(TOKEN)
OTHER = "another secret, also long enough"
ALPHABET = string.ascii_letters + string.digits + "-_"


def signed(body: bytes, secret: str = SECRET, salt: str = "flask-corbado-session.long") -> str:
    """Any body, well signed."""
    signer = Signer([secret.encode()], salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.sign(urlsafe_b64encode(body).rstrip(b"=")).decode()


def raw(value: str) -> bytes:
    return urlsafe_b64decode(value.split(".")[0] + "=")


def test_a_token_is_read_back() -> None:
    assert SIGNER.load(VALUE) == TOKEN


def test_every_token_has_the_one_length_and_alphabet() -> None:
    values = [SIGNER.dump(replace(TOKEN, generation=gen)) for gen in (1, 255, 2**31 - 1)]
    assert {len(value) for value in values} == {175}
    assert set("".join(values)) <= set(ALPHABET + ".")


def test_the_token_is_laid_out_as_the_protocol_says() -> None:
    body = raw(VALUE)
    assert body == TOKEN.session_id.encode() + TOKEN.secret + b"\0\0\0\1" + TOKEN.nonce + TOKEN.parent_hash
    assert TOKEN.hash == hashlib.sha256(b"id" + body[:30] + body[46:]).digest()
    assert TOKEN.secret_hash == hashlib.sha256(TOKEN.secret).digest()


def test_the_row_holds_the_hash_of_the_secret() -> None:
    """Of sixteen zeros, whose SHA-256 is written out."""
    of_zeros = "374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb"
    assert replace(TOKEN, secret=bytes(16)).secret_hash.hex() == of_zeros


def test_the_first_token_is_a_child_of_the_root() -> None:
    assert (TOKEN.generation, TOKEN.parent_hash, len(ROOT)) == (1, ROOT, 32)


def test_a_child_names_its_parent_and_keeps_the_secret() -> None:
    child = TOKEN.child()
    assert (child.session_id, child.secret, child.generation, child.parent_hash) == (
        TOKEN.session_id,
        TOKEN.secret,
        2,
        TOKEN.hash,
    )


def test_no_two_children_are_the_same() -> None:
    assert len({TOKEN.child().hash for _ in range(100)}) == 100


def test_the_identity_does_not_depend_on_the_key() -> None:
    other = LongTokenSigner([OTHER])
    assert other.load(other.dump(TOKEN)) == TOKEN
    assert SIGNER.dump(TOKEN) != other.dump(TOKEN)


# ---- keys


def test_tokens_of_a_fallback_are_read_and_the_newest_key_signs() -> None:
    """CVE-2025-47278: Flask 3.1.0 signed with the oldest of its keys."""
    both = LongTokenSigner([OTHER, SECRET])
    assert both.load(VALUE) == TOKEN
    assert both.dump(TOKEN) == LongTokenSigner([OTHER]).dump(TOKEN)


def test_tokens_of_a_key_that_was_taken_away_are_none() -> None:
    assert LongTokenSigner([OTHER]).load(VALUE) is None


# ---- what is none


@pytest.mark.parametrize("place", range(len(VALUE)))
def test_a_flipped_bit_anywhere_makes_it_no_token(place: int) -> None:
    for bit in range(7):
        changed = VALUE[:place] + chr(ord(VALUE[place]) ^ 1 << bit) + VALUE[place + 1 :]
        assert SIGNER.load(changed) is None


@pytest.mark.parametrize("length", range(len(VALUE)))
def test_a_truncated_token_is_none(length: int) -> None:
    assert SIGNER.load(VALUE[:length]) is None
    assert SIGNER.load(VALUE[-length:] if length else "") is None


@pytest.mark.parametrize(
    "value",
    [
        VALUE + "A",
        VALUE + "\n",
        " " + VALUE,
        f'"{VALUE}"',
        VALUE * 2,
        VALUE.replace(".", "%2E"),
        VALUE.replace(".", ""),
        VALUE[:131] + "." + VALUE[131:],
        "ü" * 175,
        "\ud800" * 175,
        "." * 175,
        "A" * 10_000,
        "A" * 131 + "." + "A" * 43,
    ],
)
def test_other_texts_are_no_token(value: str) -> None:
    assert SIGNER.load(value) is None


@given(st.text() | st.text(ALPHABET + ".", min_size=175, max_size=175))
def test_no_text_at_all_is(text: str) -> None:
    assert SIGNER.load(text) is None


def test_one_token_has_one_spelling() -> None:
    """The stray bits of the last characters of body and signature are none to play with."""
    last_of_body = (VALUE[:130] + other + VALUE[131:] for other in ALPHABET)
    last = (VALUE[:-1] + other for other in ALPHABET)
    assert [value for value in itertools.chain(last_of_body, last) if SIGNER.load(value)] == [VALUE, VALUE]


def test_a_signature_with_foreign_characters_is_no_token() -> None:
    """base64 decoders pass over what they do not know, and read "+" for "-" and "/" for "_"."""
    values = [SIGNER.dump(TOKEN.child()) for _ in range(20)]
    for plain, foreign in [("-", "+"), ("_", "/")]:
        for value in values:
            body, _, signature = value.rpartition(".")
            if plain in signature:
                assert SIGNER.load(f"{body}.{signature.replace(plain, foreign)}") is None
    assert any("-" in value[132:] for value in values)
    assert any("_" in value[132:] for value in values)


BODY = raw(VALUE)


@pytest.mark.parametrize(
    "body",
    [
        BODY[:46] + b"\0\0\0\0" + BODY[50:],
        BODY[:46] + b"\x80\0\0\0" + BODY[50:],
        BODY[:46] + b"\xff\xff\xff\xff" + BODY[50:],
        b"-" * 30 + BODY[30:],
        b"\xff" * 30 + BODY[30:],
        b" " * 30 + BODY[30:],
        b"\0" * 30 + BODY[30:],
        BODY[:-1],
        BODY + b"\0",
        b"",
    ],
    ids=["gen 0", "gen 2**31", "gen 2**32-1", "id -", "id binary", "id blank", "id NUL", "shorter", "longer", "empty"],
)
def test_even_a_well_signed_body_is_none_unless_it_is_well_formed(body: bytes) -> None:
    assert SIGNER.load(signed(body)) is None


def test_the_salt_keeps_the_kinds_of_tokens_apart() -> None:
    assert SIGNER.load(signed(BODY)) == TOKEN
    assert SIGNER.load(signed(BODY, salt="flask-corbado-session.device")) is None
    assert SIGNER.load(signed(BODY, salt="itsdangerous.Signer")) is None


def test_a_device_cookie_is_signed_with_a_salt_of_its_own() -> None:
    devices = DeviceTokenSigner([SECRET])
    assert devices.load(signed(bytes(16), salt="flask-corbado-session.device")) is not None
    assert devices.load(signed(bytes(16), salt="flask-corbado-session.long")) is None


# ---- ids


def test_every_character_of_an_id_is_as_likely_as_any_other() -> None:
    """Of 3,000 ids each character stands at each place about 48 times; 10 or 110 would be wrong."""
    places = zip(*(new_id() for _ in range(3000)), strict=True)
    counts = [count for place in places for count in Counter(place).values()]
    assert len(counts) == 30 * 62
    assert 10 < min(counts) < max(counts) < 110


def test_an_id_is_thirty_letters_and_digits() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_id(each) and len(each) == 30 for each in ids)
    assert set("".join(ids)) == set(string.ascii_letters + string.digits)


@pytest.mark.parametrize("value", ["", "a" * 29, "a" * 31, "a" * 29 + "-", "ä" * 30, "a" * 29 + "\n", "٣" * 30])
def test_nothing_else_is_an_id(value: str) -> None:
    assert not is_id(value)


# ---- the device cookie


def test_a_device_cookie_is_read_back_as_its_hash() -> None:
    devices = DeviceTokenSigner([SECRET])
    value, stored = devices.new()
    assert devices.load(value) == stored
    assert len(stored) == 32
    assert devices.new() != (value, stored)


@pytest.mark.parametrize("value", ["", "x", VALUE, "A" * 66, "A" * 22 + "." + "A" * 43, "ü" * 66])
def test_a_device_cookie_that_we_did_not_sign_is_none(value: str) -> None:
    assert DeviceTokenSigner([SECRET]).load(value) is None


def test_a_device_cookie_of_a_fallback_is_still_read() -> None:
    value, stored = DeviceTokenSigner([SECRET]).new()
    assert DeviceTokenSigner([OTHER, SECRET]).load(value) == stored
    assert DeviceTokenSigner([OTHER]).load(value) is None


def test_a_device_cookie_has_one_spelling() -> None:
    value, _ = DeviceTokenSigner([SECRET]).new()
    same = [value[:-1] + other for other in ALPHABET if DeviceTokenSigner([SECRET]).load(value[:-1] + other)]
    assert same == [value]


def test_no_two_device_cookies_of_ten_thousand_are_the_same() -> None:
    devices = DeviceTokenSigner([SECRET])
    assert len({devices.new()[1] for _ in range(10_000)}) == 10_000
