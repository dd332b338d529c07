"""The challenges of device binding: each for one session, one purpose, one time and one key."""

from __future__ import annotations

from datetime import timedelta

from flask_corbado_session.binding.challenges import Challenges
from tests.support.rules import NOON, SECRET

HOUR = timedelta(hours=1)
REGISTER, REFRESH = Challenges([SECRET], "register", HOUR), Challenges([SECRET], "refresh", HOUR)
SESSION, OTHER = "a" * 30, "b" * 30


def test_a_challenge_is_read_by_what_made_it() -> None:
    assert REFRESH.read(REFRESH.make(SESSION, NOON), SESSION, NOON) == int(NOON.timestamp() * 1000)


def test_the_challenge_of_one_purpose_is_good_for_no_other() -> None:
    assert REFRESH.read(REGISTER.make(SESSION, NOON), SESSION, NOON) is None
    assert REGISTER.read(REFRESH.make(SESSION, NOON), SESSION, NOON) is None


def test_the_challenge_of_one_session_is_good_for_no_other() -> None:
    assert REFRESH.read(REFRESH.make(SESSION, NOON), OTHER, NOON) is None


def test_a_challenge_is_good_for_its_lifetime() -> None:
    challenge = REFRESH.make(SESSION, NOON)
    assert REFRESH.read(challenge, SESSION, NOON + HOUR) is not None
    assert REFRESH.read(challenge, SESSION, NOON + HOUR + timedelta(milliseconds=1)) is None


def test_a_challenge_of_another_key_is_none() -> None:
    another = Challenges(["another secret, also long enough"], "refresh", HOUR)
    assert REFRESH.read(another.make(SESSION, NOON), SESSION, NOON) is None
