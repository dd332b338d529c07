"""Mutants of the rules: sign-in, refresh, ending, revocation, and the links of mails."""

from __future__ import annotations

from .mutant import INTEGRATION, Mutant

REFRESH, SIGN_IN, ENDING, LINKS = (
    "sessions/refresh.py",
    "sessions/sign_in.py",
    "sessions/ending.py",
    "sessions/new_device.py",
)
MINTING, PRESENTED, AHEAD = "sessions/minting.py", "sessions/presented.py", "sessions/ahead.py"
REVOCATION, CONNECTED = "sessions/revocation.py", "sessions/connected.py"
LIFECYCLE, NOTICES = "test_lifecycle.py::", "test_notices.py::"
KEPT, WHO = INTEGRATION + "test_handed_out_and_kept.py::", INTEGRATION + "test_who_may_be_signed_in.py::"
OPTIONS, OF_AHEAD = INTEGRATION + "test_sign_in_options.py::", INTEGRATION + "test_refresh_ahead.py::"

MUTANTS = [
    Mutant(
        MINTING,
        "whole_seconds(issued_at),",
        "issued_at,",
        "a token that this process made says another time here than elsewhere",
        LIFECYCLE + "test_a_process_never_verifies_a_token_that_it_made",
    ),
    Mutant(
        MINTING,
        "self._verifier.remember(token, short, version)",
        "pass",
        "each process verifies what it has just signed",
        LIFECYCLE + "test_a_process_never_verifies_a_token_that_it_made",
    ),
    Mutant(
        REFRESH,
        "if not self._hooks.user_exists(user_id):",
        "if False:",
        "a disabled account is refreshed for weeks",
        LIFECYCLE + "test_a_user_the_app_no_longer_knows_is_not_refreshed",
    ),
    Mutant(
        REFRESH,
        "self._ending.add_to_ended_set([session_id])",
        "pass",
        "the thief's short session serves on in the process that found the theft",
        LIFECYCLE + "test_who_was_found_out_is_out_before_the_next_look_at_the_database",
    ),
    Mutant(
        REFRESH,
        "self._ended_cache.remember([session_id], gone.reason, token.secret_hash)",
        "self._ended_cache.remember([session_id], gone.reason)",
        "whoever has SECRET_KEY and an id makes the owner's session look dead",
        KEPT + "test_a_wrong_secret_makes_nobody_missing",
    ),
    Mutant(
        REFRESH,
        'self._hooks.notify(Notice("reuse", user_id, session_id, context, gone.previous), None)',
        "pass",
        "nobody is told that their session was copied",
        NOTICES + "test_a_copied_session_is_told_once_with_both_contexts",
    ),
    Mutant(
        MINTING,
        "issued_at = at if not_before is None else max(at, not_before + _ONE_SECOND)",
        "issued_at = at",
        "after expire_short each request of that second refreshes anew",
        INTEGRATION + "test_policies.py::test_expire_short_costs_one_refresh_and_then_nothing",
    ),
    Mutant(
        REFRESH,
        "if token.session_id == session_id:",
        "if True:",
        "of two long cookies another person's is refreshed, and they are signed in as them",
        OF_AHEAD + "test_of_two_long_cookies_the_one_of_the_short_session_is_refreshed",
    ),
    Mutant(
        MINTING,
        "min(issued_at + self._settings.short_lifetime, long_expires_at)",
        "(issued_at + self._settings.short_lifetime)",
        "a short session outlives the long one",
        LIFECYCLE + "test_a_short_session_never_outlives_the_long_one",
    ),
    Mutant(
        PRESENTED,
        "token.generation >= furthest.get",
        "token.generation <= furthest.get",
        "a stale cookie beside the good one signs the person out as a thief",
        INTEGRATION + "test_hostile_input.py::test_a_stale_long_cookie_beside_the_good_one_does_no_harm",
    ),
    Mutant(
        ENDING,
        "session_ids += [token.session_id for token in authentic_tokens(self._long_tokens, presented.long)]",
        "pass",
        "signing out with the long cookie alone leaves the session alive",
        LIFECYCLE + "test_either_cookie_is_enough_to_end_it",
    ),
    Mutant(
        ENDING,
        "        self.add_to_ended_set(session_ids)\n",
        "",
        "a copied short cookie serves for a second after the sign-out",
        LIFECYCLE + "test_who_signed_out_is_out_before_the_next_look_at_the_database",
    ),
    Mutant(
        ENDING,
        "        self._ended_cache.remember(session_ids, reason)\n",
        "",
        "each request with an ended cookie costs a statement",
        KEPT + "test_a_session_that_ended_here_costs_no_statement_whatever_the_secret",
    ),
    Mutant(
        SIGN_IN,
        "self._ending.presented_session_ids(presented, superseding))",
        "self._ending.presented_session_ids(presented))",
        "a step-up by bearer leaves the old session alive",
        WHO + "test_a_login_confirmed_by_bearer_ends_the_session_it_replaces",
    ),
    Mutant(
        SIGN_IN,
        "self._sessions.add(new, self._ending.presented_session_ids(presented, superseding))",
        "self._sessions.add(new, [])",
        "session fixation: the session that was planted before the sign-in lives on",
        INTEGRATION + "test_request_table.py::test_a_sign_in_over_another_session_ends_that",
    ),
    Mutant(
        SIGN_IN,
        "claims=checked_claims,",
        "claims=short.claims,",
        "a role that was taken away comes back after a step-up",
        WHO + "test_a_loaded_claim_that_is_gone_does_not_come_back_after_a_step_up",
    ),
    Mutant(
        SIGN_IN,
        "min(lifetime or self._settings.long_lifetime, self._settings.long_lifetime)",
        "(lifetime or self._settings.long_lifetime)",
        "a sign-in may be longer than the setting allows",
        OPTIONS + "test_no_lifetime_is_longer_than_the_setting",
    ),
    Mutant(
        SIGN_IN,
        "auth_time = at if fresh else LONG_AGO",
        "auth_time = at",
        "a remembered login counts as a recent sign-in",
        OPTIONS + "test_step_up_asks_at_once_where_nobody_proved_who_they_are",
    ),
    Mutant(
        SIGN_IN,
        "min(at + self._settings.idle_lifetime, expires_at)",
        "(at + self._settings.idle_lifetime)",
        "the devices page tells of a session that has ended as of one that stays",
        LIFECYCLE + "test_the_idle_end_of_a_new_session_is_never_beyond_its_end",
    ),
    Mutant(
        REVOCATION,
        "            self._ended.add(ended)\n",
        "",
        "a revoked device serves for a second more in the very process that revoked it",
        INTEGRATION + "test_operator.py::test_those_ended_by_a_time_are_out_at_once_in_this_process",
    ),
    Mutant(
        REVOCATION,
        "if self.old_logins is not None:  # before",
        "if False:  # before",
        "an old login of a revoked user becomes a session again",
        INTEGRATION + "test_moving_flask_login.py::test_revoking_a_user_who_has_not_come_yet_refuses_their_old_logins",
    ),
    Mutant(
        LINKS,
        "LINK_LIFETIME = timedelta(days=7)",
        "LINK_LIFETIME = timedelta(days=70)",
        "links of mails are good for ten weeks",
        NOTICES + "test_a_link_lasts_seven_days",
    ),
    Mutant(
        LINKS,
        "if from_ms(until) <= now:",
        "if False:",
        "links of mails are good for ever",
        NOTICES + "test_a_link_lasts_seven_days",
    ),
    Mutant(
        LINKS,
        "found is not None and _cookie_mark(found[1]) == mark",
        "found is not None",
        "a used link ends whatever is on that device later",
        NOTICES + "test_a_link_works_once",
    ),
    Mutant(
        LINKS,
        'salt="flask-corbado-session.disown"',
        'salt="itsdangerous"',
        "whatever the app signs with URLSafeSerializer may be passed off as a link",
        NOTICES + "test_a_token_signed_for_something_else_is_no_link",
    ),
    Mutant(
        AHEAD,
        "max(settings.short_lifetime * settings.refresh_ahead, MIN_AGE + _ONE_SECOND)",
        "(settings.short_lifetime * settings.refresh_ahead)",
        "with short lifetimes each request costs a statement in vain",
        OF_AHEAD + "test_a_lifetime_of_a_minute_is_not_asked_for_in_vain",
    ),
    Mutant(
        AHEAD,
        "if short.session_id is None or not presented.may_refresh or self._pauses():",
        "if short.session_id is None or not presented.may_refresh:",
        "while the database is away each request waits for it",
        OF_AHEAD + "test_while_the_database_is_away_the_short_session_serves_and_is_tried_again_after_a_pause",
    ),
    Mutant(
        CONNECTED,
        "if not self._hooks.user_exists(user_id):",
        "if False:",
        "the socket of a disabled account goes on",
        LIFECYCLE + "test_a_connection_of_a_user_who_is_gone_is_not_renewed",
    ),
]
