"""The key file on disk: refused when others may read it or it is broken, written whole and for its owner alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from flask_corbado_session.keys.file import KeyFileError, KeyFileExists, parse, read, write
from flask_corbado_session.keys.jwk import read_jwk
from tests.support.key_files import PRIVATE_MEMBERS, a_jwk, file_of, key_file
from tests.support.systems import posix_only, root_only

ONE, TWO = read_jwk(a_jwk("EdDSA", 0)), read_jwk(a_jwk("EdDSA", 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key file of this test is or will be."""
    return tmp_path / "keys.json"


def refused(path: Path) -> str:
    with pytest.raises(KeyFileError, match=r"^CORBADO_SESSION_KEYS_FILE: ") as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# ---- reading


def test_what_was_written_is_read(path: Path) -> None:
    write(path, [ONE, TWO], new=True)
    assert [each.kid for each in read(path)] == [ONE.kid, TWO.kid]


def test_a_missing_file_names_the_command_that_makes_one(path: Path) -> None:
    assert "does not exist; `flask corbado-session keys generate` makes one" in refused(path)


@posix_only
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o601, 0o666])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    key_file(path, a_jwk()).chmod(mode)
    assert "run `chmod 600` on it" in refused(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(path: Path, mode: int) -> None:
    key_file(path, a_jwk()).chmod(mode)
    assert [each.kid for each in read(path)] == [a_jwk()["kid"]]


@root_only
@pytest.mark.parametrize(
    ("owner", "group", "mode", "is_read"),
    [
        (0, "ours", 0o440, True),
        (0, "ours", 0o640, False),
        (0, "ours", 0o444, False),
        (0, 65534, 0o440, False),
        (65534, "ours", 0o440, False),
    ],
)
def test_a_secret_mounted_by_root_for_a_group_of_ours_is_read(
    path: Path, owner: int, group: Any, mode: int, is_read: bool
) -> None:
    """Kubernetes mounts it so under ``fsGroup``."""
    key_file(path, a_jwk()).chmod(mode)
    os.chown(path, owner, os.getegid() if group == "ours" else group)
    if is_read:
        assert len(read(path)) == 1
    else:
        assert "may be read by others" in refused(path)


@root_only
def test_the_group_that_may_read_the_file_can_read_the_next_one(path: Path) -> None:
    key_file(path, a_jwk()).chmod(0o440)
    os.chown(path, 0, 65534)
    write(path, parse(path.read_bytes(), path))
    assert (path.stat().st_gid, mode_of(path)) == (65534, 0o440)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": {}}',
        '{"keys": null}',
        "[" * 100_000,
        "\x00" * 40,
        "-----BEGIN PRIVATE KEY-----\n",
        '{"keys": [' + json.dumps(a_jwk()),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_broken_file_is_refused(path: Path, text: str) -> None:
    assert 'is no JSON object with a list of "keys"' in refused(file_of(path, text))


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    file_of(path, "").write_bytes(b'{"keys": ["\xff\xfe"]}')
    assert "is no JSON object" in refused(path)


def test_an_endless_file_is_refused_unread(path: Path) -> None:
    assert "is longer than 1048576 bytes" in refused(file_of(path, " " * (1024 * 1024 + 1)))


def test_a_wrong_key_is_named_by_its_place(path: Path) -> None:
    text = refused(key_file(path, a_jwk(), {**a_jwk("EdDSA", 1), "alg": "none"}))
    assert "key 2 of 2 must have one of RS256, ES256, EdDSA as alg" in text


def test_a_key_that_is_there_twice_is_refused(path: Path) -> None:
    twice = key_file(path, a_jwk(), a_jwk(signs_from=1_800_000_000))
    assert "has the same key twice" in refused(twice)


def test_an_error_tells_nothing_of_a_key(path: Path) -> None:
    jwk = {**a_jwk("RS256"), "signs_from": "soon"}
    text = refused(key_file(path, jwk))
    assert not [name for name in PRIVATE_MEMBERS if jwk[name] in text]


@posix_only
def test_what_was_opened_is_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file may be put in its place after the first look."""
    key_file(path, a_jwk())
    opened = Path.open

    def open_another(self: Path, mode: str) -> Any:
        os.chmod(path, 0o644)
        return opened(self, mode)

    monkeypatch.setattr(Path, "open", open_another)
    assert "may be read by others (mode 644)" in refused(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is not a file" in refused(tmp_path)


@posix_only
def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path, 0o600)
    assert "is not a file" in refused(path)


def test_a_path_through_a_file_is_refused(path: Path) -> None:
    file_of(path, "")
    assert "can't be looked at (Not a directory)" in refused(path / "keys.json")


@root_only
def test_a_file_of_somebody_else_is_refused() -> None:
    with TemporaryDirectory() as folder:  # pytest's own are closed to everybody else, several folders deep
        Path(folder).chmod(0o755)
        path = Path(folder, "keys.json")
        key_file(path, a_jwk())
        code = f"""if True:
            import os
            from pathlib import Path
            from flask_corbado_session.keys.file import KeyFileError, read
            os.setgid(65534); os.setuid(65534)
            try:
                read(Path({str(path)!r}))
            except KeyFileError as error:
                print(error)
        """
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "can't be read (Permission denied); it must belong to the user who runs this" in run.stdout


# ---- writing


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix_only
def test_a_new_file_is_its_owners_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        write(path, [ONE], new=True)
    finally:
        os.umask(before)
    assert mode_of(path) == 0o600


def test_the_first_byte_is_written_to_a_file_of_its_owner_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is made first and closed to others afterwards can be opened in between, and read for ever."""
    seen: list[int] = []
    on_disk = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        on_disk(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write(path, [ONE], new=True)
    write(path, [ONE, TWO])
    assert seen == [0o600, 0o600]


def test_no_draft_is_left(path: Path) -> None:
    write(path, [ONE], new=True)
    write(path, [TWO])
    with pytest.raises(KeyFileExists):
        write(path, [ONE], new=True)
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


def test_a_new_file_replaces_nothing(path: Path) -> None:
    write(path, [ONE], new=True)
    with pytest.raises(KeyFileExists, match="keys rotate` adds a key to it"):
        write(path, [TWO], new=True)
    assert [each.kid for each in read(path)] == [ONE.kid]


def test_of_many_who_make_the_file_at_once_one_does(path: Path) -> None:
    outcomes: list[bool] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        try:
            write(path, [ONE], new=True)
        except KeyFileExists:
            outcomes.append(False)
        else:
            outcomes.append(True)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == [False] * 7 + [True]


@posix_only
def test_the_instance_folder_is_made_closed_to_others(tmp_path: Path) -> None:
    write(tmp_path / "instance" / "keys.json", [ONE], new=True)
    assert mode_of(tmp_path / "instance") == 0o700


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"can't be written \(No such file or directory\)"):
        write(tmp_path / "no" / "such" / "keys.json", [ONE], new=True)


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, [ONE], new=True)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyFileError, match="No space left on device"):
        write(path, [TWO])
    assert [each.kid for each in read(path)] == [ONE.kid]
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


@posix_only
def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "real" / "keys.json")
    write(link, [ONE], new=True)
    write(link, [TWO])
    assert link.is_symlink()
    assert [each.kid for each in read(tmp_path / "real" / "keys.json")] == [TWO.kid]


@root_only
def test_root_keeps_the_owner_of_the_file(path: Path) -> None:
    write(path, [ONE], new=True)
    os.chown(path, 65534, -1)
    write(path, [ONE, TWO])
    assert (path.stat().st_uid, mode_of(path)) == (65534, 0o600)


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    write(path, [ONE], new=True)
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            write(path, [ONE, TWO])
            write(path, [ONE])

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        assert {len(read(path)) for _ in range(200)} <= {1, 2}
    finally:
        stop.set()
        writer.join()
