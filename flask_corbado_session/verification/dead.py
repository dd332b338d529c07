"""Sessions seen dead are remembered for a minute, so that a dead cookie costs no statement a request."""

from __future__ import annotations
