"""Mutants of the ended set, of the services that only verify, and of fetching from an issuer."""

from __future__ import annotations

from .mutant import INTEGRATION, Mutant

ENDED, VERIFIER, REMOTE = "verification/ended.py", "verification/verifier.py", "verification/remote_keys.py"
HTTP, SHORT = "verification/http.py", "verification/short_sessions.py"
OF_ENDED, OF_FEED, OF_REMOTE = "test_ended_set.py::", "test_verifier_feed.py::", "test_remote_keys.py::"
OF_HTTP = "test_http.py::"
KEPT = INTEGRATION + "test_handed_out_and_kept.py::"

MUTANTS = [
    Mutant(
        ENDED,
        "if not _NOTHING <= now - self._refreshed_at < self._interval:",
        "if not now - self._refreshed_at < self._interval:",
        "after a clock was set back no revocation is heard of until it has caught up",
        OF_ENDED + "test_a_clock_set_back_does_not_keep_anybody_from_asking",
    ),
    Mutant(
        ENDED,
        "to_ms(issued_at) <= self.not_before.get(session_id, -1)",
        "to_ms(issued_at) < self.not_before.get(session_id, -1)",
        "a token of that very millisecond survives expire_short",
        OF_ENDED + "test_a_short_session_made_in_the_millisecond_of_the_expiry_is_stale",
    ),
    Mutant(
        ENDED,
        "self._keep = lifetime_ms(short_lifetime) + OVERLAP",
        "self._keep = lifetime_ms(short_lifetime) // 2",
        "a revoked session serves again when the end is forgotten before its token is over",
        OF_ENDED + "test_an_end_is_kept_as_long_as_a_short_session_can_live",
    ),
    Mutant(
        ENDED,
        "max(oldest, self._known_until - overlap)",
        "max(oldest, self._known_until)",
        "an end that was committed late is never heard of",
        OF_ENDED + "test_the_first_query_looks_back_a_short_lifetime_and_the_next_ones_a_minute",
    ),
    Mutant(
        ENDED,
        "since = oldest if now < self._known_until else",
        "since = oldest if False else",
        "after a clock was set back ends that were dropped too early stay unknown",
        OF_ENDED + "test_a_clock_set_back_does_not_keep_anybody_from_asking",
    ),
    Mutant(
        ENDED,
        "        self._refreshed_at = self._clock.now()\n",
        "        self._refreshed_at = datetime.fromtimestamp(now / 1000, self._refreshed_at.tzinfo)\n",
        "each request asks the database again: the load of a slow one grows with the traffic",
        OF_ENDED + "test_the_interval_counts_from_the_answer",
    ),
    Mutant(
        ENDED,
        "if abs(oldest - self._forgotten_until) < OVERLAP:",
        "if True:",
        "memory grows with every end",
        OF_ENDED + "test_an_end_is_kept_as_long_as_a_short_session_can_live",
    ),
    Mutant(
        ENDED,
        "LONGEST_WAIT = 0.25",
        "LONGEST_WAIT = 2.5",
        "a slow database makes every page slow",
        OF_ENDED + "test_nobody_waits_longer_than_a_quarter_of_a_second",
    ),
    Mutant(
        ENDED,
        "key = session_id, secret_hash\n",
        "key = session_id, None\n",
        "whoever has SECRET_KEY and an id makes the owner's session look dead for a minute",
        KEPT + "test_a_wrong_secret_makes_nobody_missing",
    ),
    Mutant(
        ENDED,
        "if len(self._reasons) > _CACHE_SIZE:",
        "if False:",
        "memory grows with every ended session",
        OF_ENDED + "test_what_is_remembered_is_bounded",
    ),
    Mutant(
        ENDED,
        "CACHE_TTL = timedelta(seconds=60)",
        "CACHE_TTL = timedelta(minutes=60)",
        "an operator who repairs a row waits an hour until it serves",
        OF_ENDED + "test_an_ended_session_is_remembered_for_a_minute",
    ),
    Mutant(
        VERIFIER,
        "LONGEST_SHORT_LIFETIME = timedelta(hours=1)",
        "LONGEST_SHORT_LIFETIME = timedelta(minutes=15)",
        "a service forgets a revoked id after 16 minutes, and an hour-long token serves again",
        OF_FEED + "test_a_revoked_session_of_an_issuer_with_hour_long_short_sessions_stays_out_for_the_whole_hour",
    ),
    Mutant(
        VERIFIER,
        "max(self._until - OVERLAP, 0)",
        "self._until",
        "an end that the issuer committed late never reaches the services",
        OF_FEED + "test_each_poll_asks_for_what_came_since_in_the_issuers_time",
    ),
    Mutant(
        VERIFIER,
        'document.get("more") is True and page.until > since',
        'document.get("more") is True',
        "a feed that always says more is asked without an end",
        OF_FEED + "test_a_feed_that_says_more_for_ever_is_asked_once",
    ),
    Mutant(
        VERIFIER,
        'document.get("more") is True and page.until > since',
        "False",
        "after a mass revocation services hear of the first ten thousand only",
        OF_FEED + "test_a_feed_of_many_pages_is_read_to_its_end",
    ),
    Mutant(
        REMOTE,
        "FRESH = 240.0",
        "FRESH = 3600.0",
        "withdrawn keys verify for an hour",
        OF_REMOTE + "test_known_keys_are_looked_for_again_after_four_minutes",
    ),
    Mutant(
        REMOTE,
        "STALE = 24 * 3600.0",
        "STALE = 240 * 3600.0",
        "who cuts a service off from its issuer keeps a withdrawn key alive for ten days",
        OF_REMOTE + "test_while_the_issuer_is_down_old_keys_serve_for_a_day_and_no_longer",
    ),
    Mutant(
        REMOTE,
        "return self._version, age > STALE",
        "return self._version",
        "remembered tokens outlive their keys",
        OF_REMOTE + "test_while_the_issuer_is_down_old_keys_serve_for_a_day_and_no_longer",
    ),
    Mutant(
        REMOTE,
        "PAUSE = 30.0",
        "PAUSE = 0.0",
        "a stranger with made-up kids floods the issuer",
        OF_REMOTE + "test_made_up_kids_cost_the_issuer_one_fetch_in_thirty_seconds",
    ),
    Mutant(
        REMOTE,
        "changed = self._keys != keys ",
        "changed = set(self._keys) != set(keys) ",
        "another key under an old kid leaves the old one's tokens remembered",
        OF_REMOTE + "test_another_key_under_the_same_kid_ends_the_tokens_of_the_old_one",
    ),
    Mutant(
        REMOTE,
        'if "d" in jwk:',
        "if False:",
        "a key whose private half is published is trusted",
        OF_REMOTE + "test_a_key_that_everybody_could_sign_with_is_named_in_the_log",
    ),
    Mutant(
        REMOTE,
        "if key.kid in keys:",
        "if False:",
        "the later of two keys of one kid silently wins",
        OF_REMOTE + "test_two_keys_of_one_kid_are_no_set_of_keys",
    ),
    Mutant(
        HTTP,
        "if _origin(url) != origin:",
        "if False:",
        "a redirect leads the service to any host, with keys from there",
        OF_HTTP + "test_a_redirect_off_the_host_is_refused",
    ),
    Mutant(
        HTTP,
        "if len(body) > SIZE_LIMIT:",
        "if False:",
        "an answer without an end fills the memory",
        OF_HTTP + "test_what_is_no_answer_is_said_so",
    ),
    Mutant(
        HTTP,
        "decode_content=False)",
        "decode_content=True)",
        "a small compressed answer is a huge one",
        OF_HTTP + "test_what_is_no_answer_is_said_so",
    ),
    Mutant(
        HTTP,
        "self._socket.settimeout(_remaining(self._deadline))",
        "pass",
        "a peer that drips, then falls silent, holds a fetch twice as long",
        OF_HTTP + "test_a_peer_that_falls_silent_is_given_up_at_the_deadline",
    ),
    Mutant(
        HTTP,
        "for _ in range(MAX_REQUESTS):",
        "while True:",
        "redirects in a circle are followed until the time is up",
        OF_HTTP + "test_redirects_end",
    ),
    Mutant(
        SHORT,
        "if ended.holds(session_id, now):\n            raise",
        "if False:\n            raise",
        "a revoked session serves until its short one is over",
        "test_lifecycle.py::test_an_ended_session_is_refused_as_bearer_too",
    ),
    Mutant(
        SHORT,
        "if ended.not_before and ended.is_stale(session_id, short.issued_at):",
        "if False:",
        "a role that was taken away serves on for a short lifetime",
        INTEGRATION + "test_policies.py::test_expire_short_changes_every_browser_of_the_user_at_the_next_request",
    ),
    Mutant(
        SHORT,
        "            if ended.holds(session_id, now):\n                return False",
        "            if ended.holds(session_id, now):\n                return True",
        "a live connection of a revoked session goes on",
        "test_request_contexts.py::test_a_later_context_is_refused_once_the_session_has_ended",
    ),
]
