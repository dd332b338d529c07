"""Fuzz one target with atheris, until libFuzzer's own arguments say stop: ``python -m tests.fuzz.one NAME …``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["flask_corbado_session", "itsdangerous", "jwt"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run libFuzzer, which ends the process."""
    name, *arguments = sys.argv[1:]
    check = TARGETS[name].check

    def once(data: bytes) -> None:
        check(data)

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
