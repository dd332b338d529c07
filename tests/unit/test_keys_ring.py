"""The key ring of a file: a change is noticed within a second, a broken file changes nothing, nothing is read twice."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from flask_corbado_session.keys import file as key_file_module
from flask_corbado_session.keys.file import KeyFileError
from flask_corbado_session.model.errors import InvalidShortSession, SettingsError
from flask_corbado_session.tokens.short import ShortTokenVerifier, mint
from tests.support.key_files import NOON, Ring, a_jwk, file_of, key_file
from tests.support.short_tokens import a_short_session
from tests.support.systems import OPEN_TO_OTHERS, posix_only

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
FIRST, SECOND_KEY = a_jwk("EdDSA", 0)["kid"], a_jwk("EdDSA", 1)["kid"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one key."""
    return key_file(tmp_path / "keys.json", a_jwk("EdDSA", 0))


@pytest.fixture
def ring(path: Path) -> Ring:
    """The ring of that file, loaded."""
    ring = Ring(path)
    ring.keys.load()
    return ring


def calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Each call from here on of a function by which the ring touches its file; it does what it did before."""
    seen: list[str] = []
    real = getattr(key_file_module, name)

    def counted(*given: object) -> object:
        seen.append(name)
        return real(*given)

    monkeypatch.setattr(f"flask_corbado_session.keys.ring.{name}", counted)
    return seen


# ---- what it finds


def test_the_key_of_the_file_signs_and_is_found(ring: Ring) -> None:
    assert ring.signing() == FIRST
    found = ring.keys.find(FIRST)
    assert found is not None
    assert (found.kid, found.algorithm) == (FIRST, "EdDSA")


@pytest.mark.parametrize(
    "kid",
    ["", "../../etc/passwd", SECOND_KEY, FIRST + " ", FIRST.lower()],
    ids=["empty", "a path", "another key's", "with a space", "in lower case"],
)
def test_an_unknown_kid_is_not_found(ring: Ring, kid: str) -> None:
    assert ring.keys.find(kid) is None


def test_the_newest_active_key_signs(path: Path, ring: Ring) -> None:
    """CVE-2025-47278: Flask 3.1.0 signed with the oldest of its keys."""
    key_file(path, a_jwk("EdDSA", 1, signs_from=NOON + MINUTE), a_jwk("EdDSA", 0))
    ring.look()
    assert ring.signing() == FIRST
    assert ring.kids() == [SECOND_KEY, FIRST]
    ring.move(MINUTE)
    assert ring.signing() == SECOND_KEY


def test_a_key_is_found_before_it_signs(path: Path, ring: Ring) -> None:
    """The clock of the process that minted may be ahead of this one."""
    key_file(path, a_jwk("EdDSA", 0), a_jwk("EdDSA", 1, signs_from=NOON + MINUTE))
    ring.look()
    assert ring.keys.find(SECOND_KEY) is not None


def test_a_key_is_found_until_its_publication_ends_to_the_second(path: Path, ring: Ring) -> None:
    key_file(path, a_jwk("EdDSA", 0, published_until=NOON + MINUTE), a_jwk("EdDSA", 1, signs_from=NOON))
    ring.look()
    ring.move(59 * SECOND)
    assert ring.keys.find(FIRST) is not None
    ring.move(SECOND)
    assert ring.keys.find(FIRST) is None
    assert ring.kids() == [SECOND_KEY]


def test_when_no_key_signs_the_error_says_what_to_do(path: Path, ring: Ring) -> None:
    key_file(path, a_jwk("EdDSA", 0, published_until=NOON + MINUTE))
    ring.look()
    assert ring.signing() == FIRST
    ring.move(MINUTE)
    with pytest.raises(KeyFileError, match=r"has no key that signs now \(2026-03-01T12:01:00Z\).*keys generate"):
        ring.signing()


# ---- the first reading


def test_a_file_that_is_missing_is_an_error_at_first_use(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "keys.json")
    with pytest.raises(SettingsError, match="does not exist"):
        ring.keys.find(FIRST)
    with pytest.raises(SettingsError, match="does not exist"):
        ring.signing()
    key_file(tmp_path / "keys.json", a_jwk("EdDSA", 0))
    assert ring.signing() == FIRST


def test_a_file_where_nobody_signs_yet_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path / "keys.json", a_jwk(signs_from=NOON + SECOND))
    with pytest.raises(KeyFileError, match="has no key that signs now"):
        Ring(path).keys.load()


# ---- changes


def test_a_change_is_noticed_within_a_second(path: Path, ring: Ring) -> None:
    key_file(path, a_jwk("EdDSA", 1))
    ring.seconds.at += 0.9
    assert ring.kids() == [FIRST]
    ring.seconds.at += 0.1
    assert ring.kids() == [SECOND_KEY]


def test_a_file_that_stays_is_read_once(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = calls(monkeypatch, "read_content")
    for _ in range(100):
        ring.look()
        ring.keys.find(FIRST)
        ring.signing()
        _ = ring.keys.version
    assert reads == []


def test_the_file_is_looked_at_once_a_second(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = calls(monkeypatch, "current_fingerprint")
    for _ in range(1000):
        ring.keys.find(FIRST)
    assert looks == []
    ring.look()
    for _ in range(1000):
        ring.keys.find(FIRST)
        ring.signing()
    assert len(looks) == 1


def test_the_apps_clock_does_not_decide_when_to_look(path: Path, ring: Ring) -> None:
    """A clock that was set back an hour must not hide a change for an hour."""
    key_file(path, a_jwk("EdDSA", 1))
    ring.move(-60 * MINUTE)
    ring.look()
    assert ring.kids() == [SECOND_KEY]


def test_a_file_edited_in_place_is_noticed(path: Path, ring: Ring) -> None:
    content = key_file(path.with_name("other.json"), a_jwk("EdDSA", 1)).read_text()
    path.write_text(content)
    ring.look()
    assert ring.kids() == [SECOND_KEY]


def test_the_version_changes_with_the_file_and_only_then(path: Path, ring: Ring) -> None:
    before = ring.keys.version
    os.utime(path)
    ring.look()
    assert ring.keys.version == before
    key_file(path, a_jwk("EdDSA", 0), a_jwk("EdDSA", 1, signs_from=NOON + MINUTE))
    ring.look()
    assert ring.keys.version != before


def test_the_version_changes_when_a_key_is_published_no_longer(path: Path, ring: Ring) -> None:
    key_file(path, a_jwk("EdDSA", 0, published_until=NOON + MINUTE), a_jwk("EdDSA", 1, signs_from=NOON))
    ring.look()
    before = ring.keys.version
    ring.move(59 * SECOND)
    assert ring.keys.version == before
    ring.move(SECOND)
    assert ring.keys.version != before


def test_a_token_seen_before_dies_with_its_key(path: Path, ring: Ring) -> None:
    """The cache of verified tokens must not outlive the key that verified them."""
    short, verifier = a_short_session(NOON), ShortTokenVerifier(ring.keys, "tests")
    token = mint(short, ring.keys.signing(NOON), None, "cookie")
    assert verifier.verify(token, NOON) == verifier.verify(token, NOON)
    key_file(path, a_jwk("EdDSA", 1))
    ring.look()
    with pytest.raises(InvalidShortSession, match="no published key has the kid"):
        verifier.verify(token, NOON)


def test_a_token_seen_before_dies_when_its_keys_publication_ends(path: Path, ring: Ring) -> None:
    key_file(path, a_jwk("EdDSA", 0, published_until=NOON + MINUTE), a_jwk("EdDSA", 1, signs_from=NOON + SECOND))
    ring.look()
    short, verifier = a_short_session(NOON), ShortTokenVerifier(ring.keys, "tests")
    token = mint(short, ring.keys.signing(NOON), None, "cookie")
    verifier.verify(token, NOON)
    ring.move(MINUTE)
    with pytest.raises(InvalidShortSession, match="no published key has the kid"):
        verifier.verify(token, NOON)


# ---- changes for the worse


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]


def spoil(path: Path, how: str) -> None:
    match how:
        case "broken":
            file_of(path, "{")
        case "gone":
            path.unlink()
        case "open to others":
            path.chmod(0o644)
        case "a wrong key":
            key_file(path, {**a_jwk("EdDSA", 1), "alg": "HS256"})
        case "nobody signs":
            key_file(path, a_jwk("EdDSA", 1, signs_from=NOON + MINUTE))


@pytest.mark.parametrize("how", ["broken", "gone", OPEN_TO_OTHERS, "a wrong key", "nobody signs"])
def test_the_old_keys_serve_on_a_broken_file_and_one_error_says_so(
    path: Path, ring: Ring, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    before = ring.keys.version
    spoil(path, how)
    for _ in range(5):
        ring.look()
        assert (ring.signing(), ring.kids(), ring.keys.version) == (FIRST, [FIRST], before)
    assert len(errors(caplog)) == 1
    assert errors(caplog)[0].startswith(f"the keys read before go on serving: CORBADO_SESSION_KEYS_FILE: {path} ")


def test_a_file_that_is_whole_again_is_taken_up(path: Path, ring: Ring, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        spoil(path, "broken")
        ring.look()
        assert ring.signing() == FIRST
        key_file(path, a_jwk("EdDSA", 0))
        ring.look()
        assert ring.signing() == FIRST
    assert len(errors(caplog)) == 2
    key_file(path, a_jwk("EdDSA", 1))
    ring.look()
    assert ring.signing() == SECOND_KEY


@posix_only
def test_a_file_that_is_closed_to_others_again_is_taken_up(path: Path, ring: Ring) -> None:
    """chmod changes neither the time of modification, nor the size, nor the inode."""
    key_file(path, a_jwk("EdDSA", 1)).chmod(0o644)
    ring.look()
    assert ring.signing() == FIRST
    path.chmod(0o600)
    ring.look()
    assert ring.signing() == SECOND_KEY


def test_a_broken_file_is_parsed_once(path: Path, ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """To check an RSA key takes 50 ms: not once a second, for as long as nobody mends the file."""
    parsed = calls(monkeypatch, "parse")
    spoil(path, "broken")
    for _ in range(5):
        ring.look()
        ring.signing()
    assert len(parsed) == 1


def test_threads_find_a_key_that_stays_while_the_file_changes(path: Path, ring: Ring) -> None:
    stop, lost = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            ring.look()
            if ring.keys.find(FIRST) is None or ring.keys.signing(NOON).kid != FIRST:
                lost.append(ring.kids())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for number in range(1, 40):
        key_file(path, a_jwk("EdDSA", 0), a_jwk("EdDSA", number, signs_from=NOON + MINUTE))
    stop.set()
    for each in threads:
        each.join()
    assert lost == []
    ring.look()
    assert ring.kids() == [FIRST, a_jwk("EdDSA", 39)["kid"]]
