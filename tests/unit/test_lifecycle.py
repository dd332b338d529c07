"""The rules: the table of DESIGN's "A request" without a request, by a clock that moves, on every database."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any, get_args

import pytest
from sqlalchemy import select, update

from flask_corbado_session.keys.key import Key
from flask_corbado_session.model.errors import InvalidShortSession, StoreUnavailable
from flask_corbado_session.model.outcome import Active, Anonymous, Ended, Refreshed, Started
from flask_corbado_session.model.records import Context, EndReason, LongSession, RefreshKind
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.tokens.long import LongTokenSigner, first_token
from tests.support.apps import statements_of
from tests.support.rules import NOON, SECRET, Rules, database_down, heard, presented, rules_on

MINUTE = timedelta(seconds=61)
FORGED = LongTokenSigner(["the key of somebody else altogether"]).dump(first_token(new_id())[0])


class Method(StrEnum):
    """An app's own names."""

    PASSWORD = "pwd"


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Rules:
    return rules_on(sqlite_url)


def token_of(outcome: Started | Refreshed) -> str:
    assert outcome.long_token is not None
    return outcome.long_token


def session_of(rules: Rules, outcome: Started | Refreshed) -> LongSession:
    found = rules.sessions.session(outcome.short.session_id or "")
    assert found is not None
    return found


def row(rules: Rules) -> dict[str, Any]:
    return dict(rules.database.run(lambda c: c.execute(select(rules.tables.session)).mappings().one()))


def promoted(rules: Rules) -> tuple[str, str]:
    """A long token that was used, and the child it got for it."""
    parent = token_of(rules.start())
    rules.clock.move(MINUTE)
    return parent, token_of(rules.refresh(parent))


# ---- how a token comes to be in each state: the last one it returns is presented


def a_child(rules: Rules) -> str:
    token = token_of(rules.start())
    rules.clock.move(MINUTE)
    return token


def a_young_child(rules: Rules) -> str:
    token = token_of(rules.start())
    rules.clock.move(seconds=60)
    return token


def the_current_one_soon_again(rules: Rules) -> str:
    parent, _ = promoted(rules)
    rules.clock.move(seconds=10)
    return parent


def the_current_one_later_again(rules: Rules) -> str:
    parent, _ = promoted(rules)
    rules.clock.move(seconds=11)
    return parent


def the_current_one_after_eight_reopenings(rules: Rules) -> str:
    parent, _ = promoted(rules)
    for _ in range(8):
        rules.clock.move(days=1)
        assert rules.refresh(parent).kind == "reopen"
    rules.clock.move(days=1)
    return parent


def one_the_database_forgot(rules: Rules) -> str:
    first = token_of(rules.start())
    before = row(rules)
    second = token_of(after_a_minute(rules, first))
    third = token_of(after_a_minute(rules, second))
    rules.database.run(lambda c: c.execute(update(rules.tables.session).values(**before)))
    return third


def after_a_minute(rules: Rules, token: str) -> Any:
    rules.clock.move(MINUTE)
    return rules.refresh(token)


KINDS = [
    (a_child, "promote", ["UPDATE"]),
    (a_young_child, "hold", ["UPDATE", "SELECT"]),
    (the_current_one_soon_again, "reissue", ["UPDATE", "SELECT"]),
    (the_current_one_later_again, "reopen", ["UPDATE"]),
    (the_current_one_after_eight_reopenings, "reissue", ["UPDATE", "SELECT"]),
    (one_the_database_forgot, "rollback", ["UPDATE"]),
]


def test_every_kind_of_refresh_is_in_the_table() -> None:
    assert {kind for _, kind, _ in KINDS} == set(get_args(RefreshKind))


@pytest.mark.parametrize(("prepare", "kind", "statements"), KINDS)
def test_a_living_long_session_gives_a_short_one(rules: Rules, prepare: Any, kind: str, statements: list[str]) -> None:
    token = prepare(rules)
    before = row(rules)
    with statements_of(rules.database.engine) as seen, heard(rules.sender) as said:
        outcome = rules.refresh(token)
    assert isinstance(outcome, Refreshed)
    assert (outcome.kind, seen.verbs) == (kind, statements)
    assert (outcome.long_token is None) is (kind == "hold")
    assert (row(rules) == before) is (statements == ["UPDATE", "SELECT"])
    assert outcome.short.issued_at == rules.clock.at
    assert isinstance(rules.resolve(PresentedTokens(short=[outcome.short_token])), Active)
    assert [(name, facts["kind"]) for name, facts in said] == [("session-refreshed", kind)]


# ---- what is no refresh


def test_a_valid_short_session_needs_no_statement(rules: Rules) -> None:
    started = rules.start()
    rules.warm()
    rules.clock.move(milliseconds=900)
    with statements_of(rules.database.engine) as seen:
        outcome = rules.resolve(presented(started))
    assert outcome == Active(started.short)
    assert seen == []


def test_a_process_never_verifies_a_token_that_it_made(rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have cost is what another process makes of the token: the very same short session."""
    asked: list[str] = []
    find = rules.state.keys.find

    def counting(kid: str) -> Key | None:
        asked.append(kid)
        return find(kid)

    monkeypatch.setattr(rules.state.keys, "find", counting)
    rules.clock.move(microseconds=123_456)
    started = rules.start(amr=["pwd", "otp"], claims={"role": "admin", "teams": [1, {"a": None}]})
    rules.clock.move(MINUTE)
    refreshed = rules.refresh(token_of(started))
    for made in (started, refreshed):
        asked.clear()
        assert rules.short_sessions.verify(made.short_token) == made.short
        assert asked == []
        assert rules_on_another_process(rules).short_sessions.verify(made.short_token) == made.short


def test_the_ended_set_is_asked_for_once_an_interval(rules: Rules) -> None:
    started = rules.start()
    with statements_of(rules.database.engine) as seen:
        for _ in range(4):
            rules.clock.move(milliseconds=500)
            rules.resolve(presented(started))
    assert seen.verbs == ["SELECT", "SELECT"]


@pytest.mark.parametrize(
    "nothing",
    [
        PresentedTokens(),
        PresentedTokens(short=["garbage"], long=["garbage"]),
        PresentedTokens(short=[""], long=[""]),
        PresentedTokens(long=[FORGED]),
        PresentedTokens(long=[FORGED] * 20, short=[FORGED]),
    ],
    ids=["none", "garbage", "empty", "forged", "many"],
)
def test_what_we_did_not_sign_is_nothing(on_sqlite: Rules, nothing: PresentedTokens) -> None:
    on_sqlite.start()
    with statements_of(on_sqlite.database.engine) as seen:
        assert on_sqlite.resolve(nothing) == Anonymous()
    assert seen == []


def missing(rules: Rules) -> str:
    return LongTokenSigner([SECRET]).dump(first_token(new_id())[0])


def revoked(rules: Rules) -> str:
    started = rules.start()
    rules_on(rules.database.engine.url.render_as_string(False), rules.clock).revocation.revoke_user("alice", "revoked")
    return token_of(started)


def idle(rules: Rules) -> str:
    started = rules.start()
    rules.clock.move(days=7)
    return token_of(started)


def expired(rules: Rules) -> str:
    token = token_of(rules.start())
    for _ in range(5):
        rules.clock.move(days=6)
        outcome = rules.refresh(token)
        token = outcome.long_token if isinstance(outcome, Refreshed) and outcome.long_token else token
    return token


@pytest.mark.parametrize("dead", [missing, revoked, idle, expired])
def test_a_dead_long_session_is_ended_with_its_reason(rules: Rules, dead: Any) -> None:
    token = dead(rules_on_another_process(rules))
    with statements_of(rules.database.engine) as seen, heard(rules.sender) as said:
        outcome = rules.refresh(token)
        assert seen.verbs == ["UPDATE", "SELECT"]
        assert isinstance(outcome, Ended)
        assert outcome.reason == dead.__name__
        rules.clock.move(seconds=59)
        assert rules.refresh(token) == outcome
        assert len(seen) == 2
        rules.clock.move(seconds=1)
        assert rules.refresh(token) == outcome
    assert seen.verbs == ["UPDATE", "SELECT"] * 2
    assert said == []


def rules_on_another_process(rules: Rules) -> Rules:
    """What it learns, the first one does not."""
    return rules_on(rules.database.engine.url.render_as_string(False), rules.clock)


def stolen(rules: Rules) -> tuple[str, str]:
    """A token of which a grandchild is current, and its owner's latest."""
    old, child = promoted(rules)
    return old, token_of(after_a_minute(rules, child))


def test_a_spent_token_ends_the_session_for_both(rules: Rules) -> None:
    old, owners = stolen(rules)
    rules.clock.move(MINUTE)
    with statements_of(rules.database.engine) as seen, heard(rules.sender) as said:
        thief = rules.resolve(PresentedTokens(long=[old], ip="203.0.113.9", user_agent="Thief/1.0"))
    assert seen.verbs == ["UPDATE", "SELECT", "UPDATE"]
    assert isinstance(thief, Ended)
    assert thief.reason == "reuse"
    assert [name for name, _ in said] == ["session-reuse-detected"]
    facts = said[0][1]
    assert (facts["user_id"], facts["context"]) == ("alice", Context("203.0.113.9", "Thief/1.0"))
    assert facts["previous"] == Context()
    assert rules.refresh(owners) == thief
    assert rules.sessions.history("alice", 1, 0)[0].previous == Context("203.0.113.9", "Thief/1.0")


def test_a_theft_ends_the_short_session_too_at_once(on_sqlite: Rules) -> None:
    old, owners = stolen(on_sqlite)
    on_sqlite.clock.move(MINUTE)
    fresh = on_sqlite.refresh(owners)
    on_sqlite.refresh(old)
    with pytest.raises(InvalidShortSession) as caught:
        on_sqlite.short_sessions.verify(fresh.short_token)
    assert caught.value.code == "revoked"


def test_a_theft_is_signalled_once(rules: Rules) -> None:
    old, _ = stolen(rules)
    other = rules_on_another_process(rules)
    with heard(rules.sender) as first, heard(other.sender) as second:
        rules.refresh(old)
        other.refresh(old)
    assert len(first) == 1
    assert second == []


def test_an_options_request_refreshes_nothing(on_sqlite: Rules) -> None:
    token = a_child(on_sqlite)
    with statements_of(on_sqlite.database.engine) as seen:
        assert on_sqlite.refresh(token, may_refresh=False) == Anonymous()
    assert seen == []


# ---- with the database down


def test_a_valid_short_session_is_served_without_the_database(on_sqlite: Rules, sqlite_url: str) -> None:
    started = on_sqlite.start()
    with database_down(on_sqlite.database, sqlite_url):
        on_sqlite.clock.move(minutes=10)
        assert isinstance(on_sqlite.resolve(presented(started)), Active)


def test_a_refresh_is_not_and_the_same_jar_goes_on_afterwards(on_sqlite: Rules, sqlite_url: str) -> None:
    started = on_sqlite.start()
    on_sqlite.clock.move(minutes=16)
    with database_down(on_sqlite.database, sqlite_url), pytest.raises(StoreUnavailable):
        on_sqlite.resolve(presented(started))
    assert isinstance(on_sqlite.resolve(presented(started)), Refreshed)


# ---- lifetimes


def test_a_short_session_never_outlives_the_long_one(on_sqlite: Rules) -> None:
    started = on_sqlite.start()
    token = token_of(started)
    for days in (6, 6, 6, 6, 5):
        on_sqlite.clock.move(days=days)
        token = token_of(on_sqlite.refresh(token))
    on_sqlite.clock.at = started.long_expires_at - timedelta(minutes=3)
    last = on_sqlite.refresh(token)
    assert last.short.expires_at == started.long_expires_at
    assert last.long_expires_at == started.long_expires_at


def test_a_refresh_puts_idleness_off_but_never_beyond_the_end(rules: Rules) -> None:
    started = rules.start()
    token, ends = token_of(started), NOON + timedelta(days=30)
    for days in (6, 6, 6, 6):
        rules.clock.move(days=days)
        outcome = rules.refresh(token)
        token = token_of(outcome)
        session = session_of(rules, outcome)
        assert session.idle_expires_at == min(rules.clock.at + timedelta(days=7), ends)
        assert (session.expires_at, session.last_seen_at) == (ends, rules.clock.at)


def test_the_idle_end_of_a_new_session_is_never_beyond_its_end(on_sqlite: Rules) -> None:
    session = session_of(on_sqlite, on_sqlite.start(lifetime=timedelta(hours=2)))
    assert session.idle_expires_at == session.expires_at == NOON + timedelta(hours=2)


def test_a_token_kept_for_days_is_good_until_the_session_is_idle(on_sqlite: Rules) -> None:
    parent, lost = promoted(on_sqlite)
    on_sqlite.clock.move(days=6)
    assert on_sqlite.refresh(parent).kind == "reopen"
    on_sqlite.clock.move(days=6)
    assert on_sqlite.refresh(lost).kind == "promote"


def test_a_clock_set_back_signs_nobody_out(rules: Rules) -> None:
    parent, child = promoted(rules)
    rules.clock.move(hours=-1)
    assert rules.refresh(child).kind == "hold"
    assert rules.refresh(parent).kind == "reissue"


# ---- keys


def test_a_new_secret_key_keeps_every_session_alive(sqlite_url: str) -> None:
    old = rules_on(sqlite_url)
    started = old.start()
    new = rules_on(sqlite_url, old.clock, ("a new secret of the tests, longer", SECRET))
    assert isinstance(new.resolve(presented(started)), Active)
    new.clock.move(MINUTE)
    child = token_of(new.refresh(token_of(started)))
    alone = rules_on(sqlite_url, old.clock, ("a new secret of the tests, longer",))
    alone.clock.move(MINUTE)
    assert isinstance(alone.refresh(child), Refreshed)
    assert alone.refresh(token_of(started)) == Anonymous()


def test_the_key_alone_forges_nothing(on_sqlite: Rules) -> None:
    """Whoever has the key and the database's ids lacks the session's secret."""
    started = on_sqlite.start()
    forged, _ = first_token(started.short.session_id or "")
    on_sqlite.clock.move(MINUTE)
    outcome = on_sqlite.refresh(LongTokenSigner([SECRET]).dump(forged))
    assert isinstance(outcome, Ended)
    assert outcome.reason == "missing"
    assert session_of(on_sqlite, started).end_reason is None


# ---- start


def test_a_start_costs_a_device_a_row_and_the_cap(rules: Rules) -> None:
    with statements_of(rules.database.engine) as seen:
        started = rules.start()
    assert [" ".join(each.split()[:3]) for each in seen if not each.startswith("SELECT")] == [
        "INSERT INTO corbado_device",
        "INSERT INTO corbado_session",
    ]
    assert seen.verbs == ["SELECT", "INSERT", "INSERT", "SELECT"]
    with statements_of(rules.database.engine) as again:
        rules.start(presented=PresentedTokens(device=[started.device_token]))
    assert again.verbs == ["SELECT", "INSERT", "SELECT"]


def test_a_start_says_so(on_sqlite: Rules) -> None:
    with heard(on_sqlite.sender) as said:
        started = on_sqlite.start(presented=PresentedTokens(ip="192.0.2.1", user_agent="Firefox"))
        on_sqlite.start(presented=PresentedTokens(device=[started.device_token]))
    assert [name for name, _ in said] == ["session-started", "device-added", "session-started"]
    session = session_of(on_sqlite, started)
    assert said[0][1] == said[1][1] == {
        "user_id": "alice",
        "session_id": session.session_id,
        "device_id": session.device_id,
        "context": Context("192.0.2.1", "Firefox"),
    }  # fmt: skip


def test_a_start_ends_what_the_browser_had_together_with_its_own_row(rules: Rules) -> None:
    first = rules.start("alice")
    rules.warm()
    with statements_of(rules.database.engine) as seen, heard(rules.sender) as said:
        second = rules.start("bob", presented(first))
    assert seen.verbs == ["SELECT", "INSERT", "BEGIN", "INSERT", "UPDATE", "COMMIT", "SELECT"]
    assert session_of(rules, first).end_reason == "superseded"
    assert first.short.session_id != second.short.session_id
    assert ("session-ended", "superseded") in [(name, facts.get("reason")) for name, facts in said]
    assert rules.resolve(presented(first)) == Ended(first.short.session_id or "", "superseded")


def test_the_cap_ends_the_least_recently_seen(database_url: str) -> None:
    rules = rules_on(database_url, MAX_SESSIONS_PER_USER=2)
    first, second = rules.start(), rules.start()
    rules.clock.move(MINUTE)
    rules.refresh(token_of(first))
    rules.start("bob")
    third = rules.start()
    reasons = [session_of(rules, each).end_reason for each in (first, second, third)]
    assert reasons == [None, "limit", None]
    assert isinstance(rules.resolve(presented(first)), Active)
    assert isinstance(rules.resolve(presented(second)), Ended)


def test_claims_that_do_not_fit_are_refused_before_anything_is_written(on_sqlite: Rules) -> None:
    first = on_sqlite.start()
    with statements_of(on_sqlite.database.engine) as seen, pytest.raises(ValueError, match="largest claim is 'b'"):
        on_sqlite.start(presented=presented(first), claims={"a": 1, "b": "x" * 4000})
    assert [verb for verb in seen.verbs if verb != "SELECT"] == []
    assert isinstance(on_sqlite.resolve(presented(first)), Active)


def test_methods_that_are_no_words_are_refused(subtests: pytest.Subtests, on_sqlite: Rules) -> None:
    rows: list[Any] = [["a b"], [""], ["a\n"], ["x" * 256], [5], [None], ["ok", "no ok"]]
    for amr in rows:
        with subtests.test(amr=amr):
            with pytest.raises((ValueError, TypeError)):
                on_sqlite.start(amr=amr)
            assert on_sqlite.revocation.stats()["live_sessions"] == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((), ()),
        ("pwd", ("pwd",)),
        (["pwd", "otp"], ("pwd", "otp")),
        ({"hwk": 1}, ("hwk",)),
        ([Method.PASSWORD], ("pwd",)),
    ],
)
def test_methods_are_kept_through_every_refresh(on_sqlite: Rules, given: Any, kept: tuple[str, ...]) -> None:
    started = on_sqlite.start(amr=given)
    assert {type(method) for method in started.short.amr} <= {str}  # as where the token is read
    on_sqlite.clock.move(MINUTE)
    assert started.short.amr == on_sqlite.refresh(token_of(started)).short.amr == kept


def test_claims_given_at_the_start_stay_and_loaded_ones_are_fresh(on_sqlite: Rules) -> None:
    roles = iter(["reader", "writer"])
    on_sqlite.hooks.claims_loader = lambda user_id: {"role": next(roles), "of": user_id}
    started = on_sqlite.start(claims={"plan": "pro", "role": "none"})
    on_sqlite.clock.move(MINUTE)
    refreshed = on_sqlite.refresh(token_of(started))
    assert started.short.claims == {"plan": "pro", "role": "reader", "of": "alice"}
    assert refreshed.short.claims == {"plan": "pro", "role": "writer", "of": "alice"}


def test_the_time_of_signing_in_does_not_move(on_sqlite: Rules) -> None:
    started = on_sqlite.start()
    on_sqlite.clock.move(MINUTE)
    assert on_sqlite.refresh(token_of(started)).short.auth_time == NOON


# ---- end


def test_a_connection_of_a_user_who_is_gone_is_not_renewed(on_sqlite: Rules) -> None:
    started = on_sqlite.start()
    on_sqlite.hooks.user_loader = lambda user_id: None
    outcome = on_sqlite.state.with_database().connected.renew(started.short)
    assert outcome == Ended(started.short.session_id or "", "user_disabled")
    assert session_of(on_sqlite, started).end_reason == "user_disabled"


def test_who_signed_out_is_out_before_the_next_look_at_the_database(on_sqlite: Rules) -> None:
    """A copy of the short cookie would serve for a second more otherwise."""
    started = on_sqlite.start()
    on_sqlite.warm()
    on_sqlite.ending.sign_out(presented(started))
    assert on_sqlite.short_sessions.first_valid([started.short_token]) is None


def test_who_was_found_out_is_out_before_the_next_look_at_the_database(on_sqlite: Rules) -> None:
    spent, child = promoted(on_sqlite)
    on_sqlite.clock.move(MINUTE)
    short = on_sqlite.refresh(child).short_token
    on_sqlite.warm()
    assert on_sqlite.refresh(spent).reason == "reuse"
    assert on_sqlite.short_sessions.first_valid([short]) is None


def test_an_end_is_one_update(rules: Rules) -> None:
    started = rules.start()
    rules.warm()
    with statements_of(rules.database.engine) as seen, heard(rules.sender) as said:
        rules.ending.sign_out(presented(started))
    assert seen.verbs == ["UPDATE"]
    assert [(name, facts["reason"]) for name, facts in said] == [("session-ended", "signed_out")]
    assert rules.resolve(presented(started)) == Ended(started.short.session_id or "", "signed_out")


@pytest.mark.parametrize("only", ["short", "long"])
def test_either_cookie_is_enough_to_end_it(on_sqlite: Rules, only: str) -> None:
    started = on_sqlite.start()
    all_of_it = presented(started)
    on_sqlite.ending.sign_out(PresentedTokens(**{only: getattr(all_of_it, only)}))
    assert session_of(on_sqlite, started).end_reason == "signed_out"


def test_a_short_session_that_ran_out_ends_nothing(on_sqlite: Rules) -> None:
    started = on_sqlite.start()
    on_sqlite.clock.move(minutes=16)
    with statements_of(on_sqlite.database.engine) as seen:
        on_sqlite.ending.sign_out(PresentedTokens(short=[started.short_token]))
    assert seen == []


def test_nothing_forged_ends_anything(on_sqlite: Rules) -> None:
    on_sqlite.start()
    with statements_of(on_sqlite.database.engine) as seen:
        on_sqlite.ending.sign_out(PresentedTokens(short=["x.y.z"], long=[FORGED]))
    assert seen == []


# ---- the app's users


def test_a_user_the_app_no_longer_knows_is_not_refreshed(on_sqlite: Rules) -> None:
    started = on_sqlite.start()
    on_sqlite.hooks.user_loader = lambda user_id: None
    on_sqlite.clock.move(MINUTE)
    assert on_sqlite.refresh(token_of(started)) == Ended(started.short.session_id or "", "user_disabled")
    assert session_of(on_sqlite, started).end_reason == "user_disabled"


# ---- what is kept


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, ("192.0.2.1", "Firefox")),
        ({"STORE_IP": False}, (None, "Firefox")),
        ({"STORE_USER_AGENT": False}, ("192.0.2.1", None)),
    ],
)
def test_address_and_user_agent_can_each_be_switched_off(settings: Any, kept: Any, sqlite_url: str) -> None:
    rules = rules_on(sqlite_url, **settings)
    started = rules.start(presented=PresentedTokens(ip="192.0.2.1", user_agent="Firefox"))
    rules.clock.move(MINUTE)
    rules.refresh(token_of(started), ip="192.0.2.1", user_agent="Firefox")
    session, device = session_of(rules, started), rules.revocation.devices("alice", None)[0]
    assert (session.ip, session.user_agent) == kept
    assert device.user_agent == kept[1]


def test_every_reason_to_end_fits_its_column(rules: Rules) -> None:
    for reason in get_args(EndReason):
        started = rules.start(reason)
        rules.revocation.revoke(started.short.session_id or "", None, reason)
        assert session_of(rules, started).end_reason == reason


def test_an_ended_session_is_refused_as_bearer_too(on_sqlite: Rules) -> None:
    started = on_sqlite.start()
    on_sqlite.revocation.revoke_user("alice", "revoked")
    with pytest.raises(InvalidShortSession) as caught:
        on_sqlite.short_sessions.verify(started.short_token)
    assert caught.value.code == "revoked"
    assert on_sqlite.short_sessions.bearer(started.short_token) == Anonymous("revoked", "its session has been ended")


def test_what_was_presented_is_not_shown() -> None:
    assert repr(PresentedTokens(short=["SECRET"], long=["SECRET"])) == "<PresentedTokens 1 short, 1 long, 0 device>"


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_cookies_of_one_name_the_good_one_serves(rules: Rules, order: int) -> None:
    old, good = stolen(rules)
    rules.clock.move(MINUTE)
    outcome = rules.resolve(PresentedTokens(short=["x", "y"][::order], long=[old, FORGED, good][::order]))
    assert isinstance(outcome, Refreshed)


@pytest.mark.parametrize("order", [1, -1])
def test_a_dead_session_beside_a_living_one_does_no_harm(on_sqlite: Rules, order: int) -> None:
    dead, living = on_sqlite.start("bob"), on_sqlite.start("alice")
    on_sqlite.revocation.revoke_user("bob", "revoked")
    on_sqlite.clock.move(MINUTE)
    outcome = on_sqlite.resolve(PresentedTokens(long=[token_of(dead), token_of(living)][::order]))
    assert isinstance(outcome, Refreshed)
    assert outcome.short.user_id == "alice"
