"""The search of the operator pages: what it reads, and what it refuses by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session.operators.search import LONGEST, READERS, FilterError, parse, read_time, term

ALL = tuple(READERS)
AN_ID = "a1" * 15
NEW_YEAR = 1_767_225_600_000


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", {}),
        ("  ", {}),
        ("user:alice", {"user": "alice"}),
        ("user:a:b", {"user": "a:b"}),
        ("  user:alice   ip:10.0.0.1 ", {"user": "alice", "ip": "10.0.0.1"}),
        ('user:"Ada Lovelace" status:live', {"user": "Ada Lovelace", "status": "live"}),
        ('user:"say ""hi"""', {"user": 'say "hi"'}),
        ("ip:2001:DB8::0001", {"ip": "2001:db8::1"}),
        ("before:2026-01-01", {"before": NEW_YEAR}),
        ("after:2026-01-01T01:00+01:00", {"after": NEW_YEAR}),
        (f"device:{AN_ID} session:{AN_ID}", {"device": AN_ID, "session": AN_ID}),
        ("browser:Firefox system:macOS type:phone", {"browser": "Firefox", "system": "macOS", "type": "phone"}),
        ("reason:reuse", {"reason": "reuse"}),
    ],
)
def test_a_search_is_a_list_of_terms(text: str, terms: dict[str, object]) -> None:
    assert parse(text, ALL).terms == terms


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("alice", "q"),
        ('user:a"b', "q"),
        ('user:"a"b', "q"),
        ('user:"never closed', "q"),
        (":alice", "q"),
        ("user:a\0b", "q"),
        ("user:a\nb", "q"),
        ("x" * (LONGEST + 1), "q"),
        ("colour:red", "colour"),
        ("user:", "user"),
        ('user:""', "user"),
        ("user:a user:b", "user"),
        (f"user:{'a' * 256}", "user"),
        ("ip:10.0.0", "ip"),
        ("ip:10.0.0.0/8", "ip"),
        ("device:short", "device"),
        (f"session:{'-' * 30}", "session"),
        ("status:alive", "status"),
        ("reason:why", "reason"),
        ("type:watch", "type"),
        (f"browser:{'a' * 65}", "browser"),
        ("before:yesterday", "before"),
        ("before:2026-13-01", "before"),
        ("after:99999-01-01", "after"),
    ],
)
def test_what_is_outside_the_grammar_is_refused_by_name(text: str, field: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text, ALL)
    assert refused.value.field == field
    assert str(refused.value)[-1] == "."


def test_a_term_that_this_list_does_not_know_is_refused_with_those_it_knows() -> None:
    with pytest.raises(FilterError, match="known are user, browser"):
        parse("ip:10.0.0.1", ("user", "browser"))


@given(st.text(min_size=1, max_size=80).filter(str.isprintable))
def test_every_user_id_can_be_written_as_a_term(user_id: str) -> None:
    assert parse(term("user", user_id), ALL).terms == {"user": user_id}


@given(st.text(max_size=60))
def test_no_text_is_anything_but_read_or_refused(text: str) -> None:
    with suppress(FilterError):
        assert parse(text, ALL).text == text.strip()


def test_a_time_is_utc_unless_it_says_where() -> None:
    assert read_time("2026-01-01T00:00:00.123") == NEW_YEAR + 123
    assert read_time("2025-12-31T19:00-05:00") == NEW_YEAR


def test_a_search_knows_whether_it_asks_for_more_than_an_index_holds() -> None:
    search = parse("before:2026-01-01 ip:10.0.0.1", ALL)
    assert search.beyond("before", "after")
    assert not search.beyond("before", "ip")
    assert not parse("", ALL)
