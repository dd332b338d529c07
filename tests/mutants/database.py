"""Mutants of the rotation, of what ends and owns a session, and of the settings they stand on."""

from __future__ import annotations

from .mutant import INTEGRATION, Mutant

ROTATION, SESSIONS, DEVICES = "database/rotation.py", "database/sessions.py", "database/devices.py"
VERDICTS = "database/verdicts.py"
CONDITIONS, SETTINGS = "database/conditions.py", "model/settings.py"
TABLE = INTEGRATION + "test_rotation_table.py::test_the_statement_does_what_the_oracle_says_at_every_threshold"
SECRET = INTEGRATION + "test_rotation_table.py::test_a_token_with_another_secret_matches_no_row_and_ends_none"
STORIES, LIFECYCLE, STORE = INTEGRATION + "test_rotation_stories.py::", "test_lifecycle.py::", "test_store.py::"
OF_SETTINGS = "test_settings.py::"
ONLY_ONES_OWN = "test_ones_own_alone.py::"

MUTANTS = [
    Mutant(
        ROTATION,
        "promote = (c.generation == g - _ONE) & (c.token_hash == parent) & (now",
        "promote = (c.generation == g - _ONE) & (now",
        "a sibling that lost its race takes the session over: a copy is not found out",
        TABLE,
    ),
    Mutant(
        ROTATION,
        "(now - c.rotated_at > _number(MIN_AGE))",
        "(now - c.rotated_at >= _number(MIN_AGE))",
        "the bound of the protocol is off by one",
        TABLE,
    ),
    Mutant(
        ROTATION,
        "(now - c.rotated_at > _number(BURST_WINDOW))",
        "(now - c.rotated_at >= _number(BURST_WINDOW))",
        "the bound of the protocol is off by one",
        TABLE,
    ),
    Mutant(
        ROTATION,
        "(c.reopened < _number(settings.MAX_REOPENS))",
        "(c.reopened <= _number(settings.MAX_REOPENS))",
        "the holder of an old token holds its child back once more than the protocol says",
        TABLE,
    ),
    Mutant(
        ROTATION,
        "rollback = c.generation < g - _ONE",
        "rollback = c.generation <= g - _ONE",
        "whatever is of the next generation is taken for a rollback: a copy is not found out",
        TABLE,
    ),
    Mutant(
        ROTATION,
        'c.id == bindparam("sid"), c.secret_hash == bindparam("secret"), is_live(c, now))',
        'c.id == bindparam("sid"), is_live(c, now))',
        "whoever has SECRET_KEY and an id moves anybody's session on",
        SECRET,
    ),
    Mutant(
        ROTATION,
        'c.id == bindparam("sid"), c.secret_hash == bindparam("secret"), is_live(c, now))',
        'c.id == bindparam("sid"), c.secret_hash == bindparam("secret"))',
        "a revoked session is refreshed",
        LIFECYCLE + "test_a_dead_long_session_is_ended_with_its_reason",
    ),
    Mutant(
        ROTATION,
        'select(self._session).where(c.id == bindparam("sid"), c.secret_hash == bindparam("secret"))',
        'select(self._session).where(c.id == bindparam("sid"))',
        "whoever has SECRET_KEY and an id ends anybody's session as stolen",
        SECRET,
    ),
    Mutant(
        ROTATION,
        "case((idle < c.expires_at, idle), else_=c.expires_at)",
        "idle",
        "the idle end lies beyond the absolute one",
        LIFECYCLE + "test_a_refresh_puts_idleness_off_but_never_beyond_the_end",
    ),
    Mutant(
        ROTATION,
        "case((reopens, c.reopened + _ONE), else_=_number(0))",
        "case((reopens, c.reopened + _ONE), else_=c.reopened)",
        "after eight lost answers in a session's whole life it is no longer reopened",
        TABLE,
    ),
    Mutant(
        ROTATION,
        "case((reopens, c.reopened + _ONE), else_=_number(0))",
        "case((reopens, c.reopened), else_=_number(0))",
        "the holder of an old token holds its child back for ever",
        TABLE,
    ),
    Mutant(
        ROTATION,
        '.where(c.id == bindparam("sid"), c.ended_at.is_(None))',
        '.where(c.id == bindparam("sid"))',
        "a theft is told twice, and writes over the reason of an earlier end",
        STORIES + "test_a_session_that_is_revoked_as_its_theft_is_found_keeps_that_reason_and_no_theft_is_told",
    ),
    Mutant(
        ROTATION,
        "is_current = row.generation == token.generation and row.token_hash == token.hash",
        "is_current = row.generation == token.generation",
        "a sibling that lost gets a new child: a copy is not found out",
        TABLE,
    ),
    Mutant(
        ROTATION,
        "row.generation == token.generation - 1 and row.token_hash == token.parent_hash",
        "row.generation == token.generation - 1",
        "the child of a sibling that lost is served",
        TABLE,
    ),
    Mutant(
        VERDICTS,
        'return self.kind != "hold"',
        "return True",
        "a child is handed out before its parent is used: bursts of tabs come to a reuse",
        LIFECYCLE + "test_a_living_long_session_gives_a_short_one",
    ),
    Mutant(
        SETTINGS,
        "BURST_WINDOW = timedelta(seconds=10)",
        "BURST_WINDOW = timedelta(seconds=60)",
        "W = P: honest people are signed out as thieves (found by the search)",
        TABLE,
    ),
    Mutant(
        SETTINGS,
        "MIN_AGE = timedelta(seconds=60)",
        "MIN_AGE = timedelta(seconds=0)",
        "P = 0: parallel requests sign honest people out (found by the search)",
        TABLE,
    ),
    Mutant(
        SETTINGS,
        "MAX_REOPENS = 8",
        "MAX_REOPENS = 0",
        "K = 0: one lost answer signs an honest person out (found by the search)",
        TABLE,
    ),
    Mutant(
        SETTINGS,
        "least = settings.short_lifetime + MIN_AGE",
        "least = settings.short_lifetime",
        "an idle timeout that ends the session between two refreshes",
        OF_SETTINGS + "test_an_idle_or_long_lifetime_leaves_the_short_one_a_minute_of_room",
    ),
    Mutant(
        SETTINGS,
        "rules.lifetime(_MINUTE, 60 * _MINUTE)",
        "rules.lifetime(_MINUTE, 600 * _MINUTE)",
        "short sessions longer than services that verify remember a revocation",
        OF_SETTINGS + "test_a_lifetime_has_bounds_which_the_refusal_names",
    ),
    Mutant(
        SETTINGS,
        'return "__Secure-" if domain else "__Host-"',
        'return ""',
        "a sibling domain overwrites the cookies",
        OF_SETTINGS + "test_the_cookies_prefix_promises_what_the_settings_keep",
    ),
    Mutant(
        CONDITIONS,
        '"live": and_(unended, unexpired, columns.idle_expires_at > now),',
        '"live": and_(unended, unexpired),',
        "no idle timeout",
        STORE + "test_a_session_is_alive_until_it_is_idle_or_runs_out",
    ),
    Mutant(
        CONDITIONS,
        "unended, unexpired = columns.ended_at.is_(None), columns.expires_at > now",
        "unended, unexpired = columns.ended_at.is_(None), columns.expires_at >= now",
        "a session serves in the millisecond of its end",
        STORE + "test_a_session_is_alive_until_it_is_idle_or_runs_out",
    ),
    Mutant(
        SESSIONS,
        ".where(c.ended_at > after)",
        '.where(c.ended_at > after, c.end_reason != "signed_out")',
        "a sign-out does not reach the other processes: the copied short cookie serves on there",
        STORE + "test_every_end_is_known_to_another_process_whatever_its_reason",
    ),
    Mutant(
        SESSIONS,
        "return which if user_id is None else which & (self._session.c.user_id == user_id)",
        "return which",
        "anybody ends anybody's session who knows its id",
        ONLY_ONES_OWN + "test_a_session_of_somebody_else_can_not_be_ended",
    ),
    Mutant(
        SESSIONS,
        "unended = which & c.ended_at.is_(None)",
        "unended = which",
        "an end is recorded anew, with another reason and time",
        STORE + "test_ending_twice_keeps_the_first_reason",
    ),
    Mutant(
        SESSIONS,
        "whose if except_session_id is None else whose & (c.id != except_session_id)",
        "whose",
        '"sign out everywhere else" signs this browser out too',
        "test_views.py::test_all_others_are_signed_out_by_one_button",
    ),
    Mutant(
        SESSIONS,
        '"kept": limit}',
        '"kept": limit + 1}',
        "one session more than the setting allows",
        LIFECYCLE + "test_the_cap_ends_the_least_recently_seen",
    ),
    Mutant(
        SESSIONS,
        "return self._database.transaction(start)",
        "return self._database.run(start, writes=True)",
        "a sign-in is there and the session it replaces goes on",
        STORE + "test_a_sign_in_that_can_not_end_what_it_replaces_is_none",
    ),
    Mutant(
        DEVICES,
        "return self._database.transaction(disown, disown_again)",
        "return self._database.run(disown, disown_again, writes=True)",
        "\"this wasn't me\" is spent, and the intruder's sessions go on",
        STORE + "test_a_device_is_forgotten_and_its_sessions_end_together_or_not_at_all",
    ),
    Mutant(
        DEVICES,
        ".where(c.id == device_id, c.cookie_hash == cookie_hash).values(cookie_hash=fresh)",
        ".where(c.id == device_id).values(cookie_hash=fresh)",
        "a link of a mail works for two at once",
        STORE + "test_a_device_is_disowned_once_by_the_cookie_it_had",
    ),
    Mutant(
        DEVICES,
        "c.id == device_id if user_id is None else (c.id == device_id) & (c.user_id == user_id)",
        "c.id == device_id",
        "anybody renames anybody's device who knows its id",
        ONLY_ONES_OWN + "test_a_device_of_somebody_else_can_not_be_renamed",
    ),
    Mutant(
        DEVICES,
        'select(c.id, was_used).where(c.user_id == bindparam("of_user"), c.cookie_hash == bindparam("of_cookie"))',
        'select(c.id, was_used).where(c.cookie_hash == bindparam("of_cookie"))',
        "two people of one browser share a device, and see each other's sessions on it",
        STORE + "test_two_users_of_one_browser_have_a_device_each",
    ),
]
