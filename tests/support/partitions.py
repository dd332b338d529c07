"""The statements of docs/scaling.md that partition the session table on PostgreSQL."""

from __future__ import annotations

import re

import psycopg
from sqlalchemy import make_url

from tests.support.child import ROOT


def partitioning() -> str:
    """The SQL as it stands in the document."""
    text = (ROOT / "docs" / "scaling.md").read_text()
    block = re.search(r"## Partitions\n.*?```sql\n(.*?)```", text, re.DOTALL)
    assert block is not None, "docs/scaling.md says no longer how to partition"
    return block[1]


def partition(database_url: str) -> None:
    """Partition the session table of this database, as an administrator does."""
    address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(partitioning().encode())
