"""The search language of the operator pages: what it reads, and what it rejects by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session.operators.search import READERS, FilterError, parse, read_time, term

ALL = tuple(READERS)
AN_ID = "a1" * 15
NEW_YEAR = 1_767_225_600_000


def test_a_search_is_a_list_of_terms() -> None:
    searches: dict[str, dict[str, object]] = {
        "": {},
        "  ": {},
        "user:alice": {"user": "alice"},
        "user:a:b": {"user": "a:b"},
        "  user:alice   ip:10.0.0.1 ": {"user": "alice", "ip": "10.0.0.1"},
        'user:"Ada Lovelace" status:live': {"user": "Ada Lovelace", "status": "live"},
        'user:"say ""hi"""': {"user": 'say "hi"'},
        "ip:2001:DB8::0001": {"ip": "2001:db8::1"},
        "before:2026-01-01": {"before": NEW_YEAR},
        "after:2026-01-01T01:00+01:00": {"after": NEW_YEAR},
        f"device:{AN_ID} session:{AN_ID}": {"device": AN_ID, "session": AN_ID},
        "browser:Firefox system:macOS type:phone": {"browser": "Firefox", "system": "macOS", "type": "phone"},
        "reason:reuse": {"reason": "reuse"},
    }
    assert {text: dict(parse(text, ALL).terms) for text in searches} == searches


def rejected(text: str) -> tuple[str, str] | None:
    """The field that the error about a search names, and the last character of its text; None without an error."""
    try:
        parse(text, ALL)
    except FilterError as error:
        return error.field, str(error)[-1]
    return None


def test_what_is_outside_the_grammar_is_rejected_by_name() -> None:
    searches = {
        "alice": "q",
        'user:a"b': "q",
        'user:"a"b': "q",
        'user:"never closed': "q",
        ":alice": "q",
        "user:a\0b": "q",
        "user:a\nb": "q",
        "x" * 501: "q",
        "colour:red": "colour",
        "user:": "user",
        'user:""': "user",
        "user:a user:b": "user",
        f"user:{'a' * 256}": "user",
        "ip:10.0.0": "ip",
        "ip:10.0.0.0/8": "ip",
        "device:short": "device",
        f"session:{'-' * 30}": "session",
        "status:alive": "status",
        "reason:why": "reason",
        "type:watch": "type",
        f"browser:{'a' * 65}": "browser",
        "before:yesterday": "before",
        "before:2026-13-01": "before",
        "after:99999-01-01": "after",
    }
    assert {text: rejected(text) for text in searches} == {text: (field, ".") for text, field in searches.items()}


def test_a_term_that_this_list_does_not_know_is_rejected_with_those_it_knows() -> None:
    with pytest.raises(FilterError, match="known are user, browser"):
        parse("ip:10.0.0.1", ("user", "browser"))


@given(st.text(min_size=1, max_size=80).filter(str.isprintable))
def test_every_user_id_can_be_written_as_a_term(user_id: str) -> None:
    assert parse(term("user", user_id), ALL).terms == {"user": user_id}


@given(st.text(max_size=60))
def test_every_text_is_read_or_rejected(text: str) -> None:
    with suppress(FilterError):
        assert parse(text, ALL).text == text.strip()


def test_a_time_is_utc_unless_it_has_an_offset() -> None:
    assert read_time("2026-01-01T00:00:00.123") == NEW_YEAR + 123
    assert read_time("2025-12-31T19:00-05:00") == NEW_YEAR


def test_a_search_knows_whether_it_has_terms_that_an_index_does_not_answer() -> None:
    search = parse("before:2026-01-01 ip:10.0.0.1", ALL)
    assert search.has_terms_other_than("before", "after")
    assert not search.has_terms_other_than("before", "ip")
    assert not parse("", ALL)
