"""Key files for the tests. Making an RSA key takes a quarter of a second, so those of one run are made once."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask_corbado_session.keys.jwk import new_jwk
from flask_corbado_session.keys.key import SigningAlgorithm
from flask_corbado_session.keys.ring import KeyFile
from flask_corbado_session.model.clock import Clock
from flask_corbado_session.testing import MovingClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALGORITHMS: tuple[SigningAlgorithm, ...] = ("RS256", "ES256", "EdDSA")
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi")


@functools.cache
def _made(algorithm: SigningAlgorithm, number: int) -> dict[str, Any]:
    return new_jwk(algorithm)


def a_jwk(algorithm: SigningAlgorithm = "EdDSA", number: int = 0, **members: Any) -> dict[str, Any]:
    """The private JWK of that number, the same one throughout a run; a datetime is written as its seconds."""
    times = {name: int(at.timestamp()) if isinstance(at, datetime) else at for name, at in members.items()}
    return {**_made(algorithm, number), **times}


def key_file(path: Path, *jwks: Any) -> Path:
    """A file of these keys in ``path``'s folder, 0600."""
    return file_of(path, json.dumps({"keys": list(jwks)}))


def file_of(path: Path, text: str) -> Path:
    """A file of any content, put in place as the library does: 0600 and in one step."""
    draft = path.with_suffix(".draft")
    draft.touch(0o600)
    draft.write_text(text)
    return draft.replace(path)


class Seconds:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Ring:
    """A ``KeyFile`` with both its clocks in the test's hand."""

    def __init__(self, path: Path) -> None:
        self.clock, self.seconds = MovingClock(NOON), Seconds()
        self.keys = KeyFile(path, Clock(self.clock), self.seconds)

    def kids(self) -> list[str]:
        """What the JWKS shows."""
        return [key.kid for key in self.keys.published()]

    def signing(self) -> str:
        """The kid of the key that signs."""
        return self.keys.signing(self.clock.at).kid

    def look(self) -> None:
        """Let the second pass within which the file is not looked at."""
        self.seconds.at += 1.0

    def move(self, by: timedelta) -> None:
        """Move the app's clock."""
        self.clock.move(by)
