"""Marks for tests of what not every system has."""

from __future__ import annotations

import os
import sys

import pytest

posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no modes, owners, pipes with names or forks"
)
root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root acts for others")

OPEN_TO_OTHERS = pytest.param("open to others", marks=posix_only)
"""How a key file can be spoilt where files have modes."""
