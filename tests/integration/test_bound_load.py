"""A quarter of the answers is lost, late or a 503, in parallel tabs, at a server of its own: nobody is signed out.

``python -m benchmarks.bound_soak`` does the same for ten thousand refreshes.
"""

from __future__ import annotations

import pytest

from tests.support.apps import make_app
from tests.support.bound_load import load


@pytest.mark.slow
def test_hundreds_of_refreshes_with_lost_answers_sign_nobody_out(sqlite_url: str) -> None:
    make_app(sqlite_url)
    counts = load(sqlite_url, refreshes=250, people=12, seconds=22)
    assert counts.wrong == {}, counts
    assert counts.refreshes >= 150  # a busy machine does fewer
    assert set(counts.faults) >= {"lost", "late", "503", "lost before it was served", "503 before it was served"}
    assert not [event for event in counts.events if event.startswith("forgotten")]
