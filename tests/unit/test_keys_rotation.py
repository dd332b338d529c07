"""Rotation of the signing keys: published 10 minutes before it signs, and until its last token has expired."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session.keys.file import KeyFileError, KeyFileExists, read
from flask_corbado_session.keys.jwk import state_of
from flask_corbado_session.keys.key import SigningAlgorithm
from flask_corbado_session.keys.rotation import generate, rotate
from tests.support.key_files import ALGORITHMS, NOON, Ring, a_jwk, key_file

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SHORT = 15 * MINUTE
MARGIN = 60 * SECOND
FIRST = a_jwk("EdDSA", 0)["kid"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one key that signs."""
    return key_file(tmp_path / "keys.json", a_jwk("EdDSA", 0))


def states(path: Path, now: datetime) -> list[str]:
    keys = read(path)
    return [state_of(each, keys, now) for each in keys]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generate_makes_a_key_that_signs_at_once_and_everywhere(tmp_path: Path, algorithm: SigningAlgorithm) -> None:
    """Whose clock is a second behind must not find that nobody signs."""
    made = generate(tmp_path / "keys.json", algorithm)
    assert (made.key.algorithm, made.signs_from, made.published_until) == (algorithm, None, None)
    assert read(tmp_path / "keys.json")[0].kid == made.kid


def test_generate_makes_rs256_unless_told_otherwise(tmp_path: Path) -> None:
    assert generate(tmp_path / "keys.json").key.algorithm == "RS256"


def test_generate_replaces_nothing(path: Path) -> None:
    with pytest.raises(KeyFileExists):
        generate(path, "ES256")
    assert [each.kid for each in read(path)] == [FIRST]


def test_a_new_key_is_published_at_once_and_signs_after_ten_minutes(path: Path) -> None:
    new = rotate(path, NOON, SHORT).new
    assert new.signs_from is not None
    assert 10 * MINUTE <= new.signs_from - NOON <= 10 * MINUTE + SECOND
    ring = Ring(path)
    assert (ring.signing(), ring.kids()) == (FIRST, [FIRST, new.kid])
    ring.move(10 * MINUTE)
    assert ring.signing() == FIRST
    ring.move(SECOND)
    assert ring.signing() == new.kid


def test_ten_minutes_are_not_cut_short_by_a_fraction_of_a_second(path: Path) -> None:
    now = NOON + timedelta(microseconds=999_999)
    new = rotate(path, now, SHORT).new
    assert new.signs_from is not None
    assert new.signs_from - now >= 10 * MINUTE


def test_a_key_can_wait_longer_but_not_shorter(path: Path) -> None:
    with pytest.raises(ValueError, match="at least 10 minutes"):
        rotate(path, NOON, SHORT, delay=10 * MINUTE - SECOND)
    new = rotate(path, NOON, SHORT, delay=3 * 24 * 60 * MINUTE).new
    assert new.signs_from is not None
    assert new.signs_from - NOON >= timedelta(days=3)


def test_the_old_key_stays_until_its_last_token_has_expired(path: Path) -> None:
    done = rotate(path, NOON, SHORT)
    assert done.new.signs_from is not None
    last_token = done.new.signs_from + SHORT
    assert read(path)[0].published_until == done.old_until == last_token + MARGIN
    ring = Ring(path)
    ring.move(last_token - NOON)
    assert ring.keys.find(FIRST) is not None
    ring.move(MARGIN)
    assert ring.keys.find(FIRST) is None


def test_the_new_key_has_the_algorithm_of_the_old_one(path: Path) -> None:
    assert rotate(path, NOON, SHORT).new.key.algorithm == "EdDSA"


def test_the_new_key_may_have_another_algorithm(path: Path) -> None:
    assert rotate(path, NOON, SHORT, algorithm="ES256").new.key.algorithm == "ES256"
    assert [each.key.algorithm for each in read(path)] == ["EdDSA", "ES256"]


def test_keys_past_their_time_leave_the_file(path: Path) -> None:
    first = rotate(path, NOON, SHORT)
    done = rotate(path, first.old_until, SHORT)
    assert [each.kid for each in read(path)] == [first.new.kid, done.new.kid]


def test_a_key_that_retires_keeps_its_end(path: Path) -> None:
    first = rotate(path, NOON, SHORT)
    assert first.new.signs_from is not None
    rotate(path, first.new.signs_from + MINUTE, SHORT)
    assert read(path)[0].published_until == first.old_until
    assert states(path, first.new.signs_from + MINUTE) == ["retiring", "signing", "next"]


def test_no_rotation_while_a_key_waits_to_sign(path: Path) -> None:
    rotate(path, NOON, SHORT)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match=r"signs from 2026-03-01T12:10:01Z; rotate after that, .* --force"):
        rotate(path, NOON + 9 * MINUTE, SHORT)
    assert path.read_bytes() == before
    rotate(path, NOON + 10 * MINUTE + SECOND, SHORT)


def test_force_takes_back_the_key_that_waits(path: Path) -> None:
    waiting = rotate(path, NOON, SHORT).new
    done = rotate(path, NOON + 5 * MINUTE, SHORT, force=True)
    assert [each.kid for each in done.taken_back] == [waiting.kid]
    assert [each.kid for each in read(path)] == [FIRST, done.new.kid]
    assert read(path)[0].published_until == done.old_until == NOON + 15 * MINUTE + SECOND + SHORT + MARGIN


def test_force_does_not_take_back_a_key_that_another_process_may_sign_with(path: Path) -> None:
    """A process may look at the file a second later, and by then have signed with the key that was taken back."""
    rotate(path, NOON, SHORT)
    with pytest.raises(KeyFileError, match="too late to take it back"):
        rotate(path, NOON + 10 * MINUTE - 3 * SECOND, SHORT, force=True)


def test_force_where_nothing_waits_is_a_rotation_like_any_other(path: Path) -> None:
    assert rotate(path, NOON, SHORT, force=True).taken_back == ()
    assert states(path, NOON) == ["signing", "next"]


def test_a_file_where_nobody_signs_cannot_rotate(path: Path) -> None:
    key_file(path, a_jwk("EdDSA", 0, published_until=NOON))
    with pytest.raises(KeyFileError, match=r"has no key that signs now .* `flask corbado-session keys generate`"):
        rotate(path, NOON, SHORT)


def test_an_end_set_by_hand_is_moved_while_the_key_still_signs(path: Path) -> None:
    key_file(path, a_jwk("EdDSA", 0, published_until=NOON + MINUTE))
    assert read(path)[0].published_until != rotate(path, NOON, SHORT).old_until == read(path)[0].published_until


PAUSES = st.integers(0, 3000) | st.sampled_from([0, 1, 30, 570, 600, 601, 630, 870, 899, 900, 930])
STEPS = st.lists(
    st.tuples(PAUSES, st.sampled_from(["mint", "mint", "rotate", "rotate late", "force"])), min_size=3, max_size=20
)


@given(steps=STEPS, skew=st.sampled_from([-30, 0, 30]))
def test_whatever_is_rotated_when_no_token_is_refused(steps: list[tuple[int, str]], skew: int) -> None:
    """Also where the clock of those who rotate and verify differs by half a minute from that of the one who mints."""
    with tempfile.TemporaryDirectory() as folder:
        path = key_file(Path(folder) / "keys.json", a_jwk("EdDSA", 0))
        mints, verifies = Ring(path), Ring(path)
        verifies.move(skew * SECOND)
        published = {FIRST: NOON - 60 * MINUTE}
        tokens: list[tuple[str, datetime]] = []
        for seconds, step in steps:
            for ring in (mints, verifies):
                ring.move(seconds * SECOND)
                ring.look()
            now = mints.clock.at
            if step == "mint":
                tokens.append((mints.signing(), now + SHORT))
                assert now - published[mints.signing()] >= 10 * MINUTE - 30 * SECOND
            else:
                _rotate(path, verifies.clock.at, step)
                published |= {each.kid: now for each in read(path) if each.kid not in published}
            for ring in (mints, verifies):
                ring.look()
                assert not [kid for kid, ends in tokens if ends > ring.clock.at and ring.keys.find(kid) is None]


def _rotate(path: Path, now: datetime, step: str) -> None:
    delay = 25 * MINUTE if step == "rotate late" else 10 * MINUTE
    try:
        rotate(path, now, SHORT, delay=delay, force=step == "force")
    except KeyFileError as error:
        assert "signs from" in str(error) or "in a moment" in str(error)  # noqa: PT017  # others are none of these
