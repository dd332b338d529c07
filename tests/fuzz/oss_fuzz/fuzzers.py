"""Writes a fuzzer and a seed corpus for each target: ``python -m tests.fuzz.oss_fuzz.fuzzers FUZZERS CORPORA``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from ..targets import TARGETS

_FUZZER = '''"""Fuzz the target {name}."""

import sys

from tests.fuzz import one

sys.argv.insert(1, "{name}")
one.main()
'''


def main(arguments: Sequence[str]) -> None:
    """Write them into the two folders."""
    fuzzers, corpora = map(Path, arguments)
    for name, target in TARGETS.items():
        (fuzzers / f"fuzz_{name}.py").write_text(_FUZZER.format(name=name))
        with ZipFile(corpora / f"fuzz_{name}_seed_corpus.zip", "w") as corpus:
            for number, seed in enumerate(target.seeds):
                corpus.writestr(str(number), seed)


if __name__ == "__main__":
    main(sys.argv[1:])
