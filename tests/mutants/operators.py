"""Mutants of the operator pages and API, of the limit on guesses, and of ``check``."""

from __future__ import annotations

from .mutant import INTEGRATION, Mutant

API, QUERY, ATTEMPTS = "operators/api.py", "operators/api_query.py", "operators/attempts.py"
REVOKE, LOG, PANEL, CHECKS = "operators/revoke.py", "operators/log.py", "operators/panel.py", "cli/checks.py"
OF_API, PAGES, OF_CLI = "test_api_v2.py::", INTEGRATION + "test_operator.py::", "test_cli.py::"

MUTANTS = [
    Mutant(
        API,
        "if not _same(user, settings.project_id) & _same(password, settings.api_secret):",
        "if not _same(user, settings.project_id):",
        "the project id opens every session",
        OF_API + "test_wrong_credentials_are_rejected_before_the_database_is_asked",
    ),
    Mutant(
        API,
        "hmac.compare_digest(one, other) and bool(expected)",
        "hmac.compare_digest(one, other)",
        "an API without a secret is open",
        OF_API + "test_without_a_secret_there_is_nothing",
        equivalent="the routes exist only where both are set, which init_app checks",
    ),
    Mutant(
        API,
        'if is_foreign(request.method, headers.get("Sec-Fetch-Site")',
        'if False and is_foreign(request.method, headers.get("Sec-Fetch-Site")',
        "a browser that remembers the credentials revokes for any page",
        OF_API + "test_credentials_that_a_browser_remembers_are_of_no_use_to_a_foreign_page",
    ),
    Mutant(
        API,
        "        attempts.record_failure(address)\n",
        "",
        "a thousand guesses a minute",
        OF_API + "test_a_network_that_guesses_has_to_wait_even_with_the_right_secret",
    ),
    Mutant(
        ATTEMPTS,
        "LIMIT = 10\n",
        "LIMIT = 1000\n",
        "a thousand guesses a minute",
        "test_attempts.py::test_ten_failures_a_minute_are_the_limit",
    ),
    Mutant(
        ATTEMPTS,
        "WINDOW = timedelta(minutes=1)",
        "WINDOW = timedelta(seconds=1)",
        "ten guesses a second",
        "test_attempts.py::test_ten_failures_a_minute_are_the_limit",
    ),
    Mutant(
        ATTEMPTS,
        "not timedelta(0) <= now - times[0] < WINDOW",
        "not now - times[0] < WINDOW",
        "a clock set back locks a network out for as long",
        OF_API + "test_a_clock_set_back_locks_nobody_out",
    ),
    Mutant(
        ATTEMPTS,
        "            self._failed.move_to_end(network)\n",
        "",
        "whoever goes on failing is forgotten first",
        OF_API + "test_a_network_that_goes_on_failing_is_not_the_first_to_be_forgotten",
    ),
    Mutant(
        ATTEMPTS,
        "if len(self._failed) > _REMEMBERED:",
        "if False:",
        "memory grows with every network that fails",
        OF_API + "test_the_networks_that_failed_longest_ago_are_forgotten_first",
    ),
    Mutant(
        ATTEMPTS,
        "IPv6Address(int(parsed) >> 64 << 64)",
        "parsed",
        "2^64 guesses for each person with IPv6 (CVE-2026-45364)",
        OF_API + "test_an_ipv6_network_counts_as_one",
    ),
    Mutant(
        QUERY,
        'if name not in ("sort", "filter[]", "page", "pageSize"):',
        "if False:",
        "a script with a misspelt filter revokes everybody",
        OF_API + "test_what_is_outside_the_grammar_is_rejected_by_name",
    ),
    Mutant(
        REVOKE,
        "before = min(read_time(text), now_ms())",
        "before = read_time(text)",
        "a time ahead is taken as given, and whoever signs in meanwhile is out",
        PAGES + "test_a_time_that_lies_ahead_means_now",
    ),
    Mutant(
        REVOKE,
        "{target.value} by {current_session.user_id}",
        "{target.value}",
        "one operator continues what another began, in their name",
        PAGES + "test_only_the_operator_who_began_can_continue_and_only_with_the_same_time",
    ),
    Mutant(
        LOG,
        "for row in page.rows if row.id != except_session_id]",
        "for row in page.rows]",
        "an operator signs themselves out while they revoke",
        PAGES + "test_all_sessions_before_a_time_end_but_newer_ones_and_the_operators_own",
    ),
    Mutant(
        LOG,
        "within=c.created_at < before)",
        "within=None)",
        "everybody is signed out, not those before the time",
        PAGES + "test_all_sessions_before_a_time_end_but_newer_ones_and_the_operators_own",
    ),
    Mutant(
        PANEL,
        "if digest != _digest(purpose) or not cursor:",
        "if not cursor:",
        "a cursor of one list or action is taken in another",
        PAGES + "test_a_cursor_is_valid_for_its_own_list_search_and_order_only",
    ),
    Mutant(
        CHECKS,
        "if settings.api_secret is not None and len(settings.api_secret) < _MIN_SECRET_LENGTH:",
        "if False:",
        "check says nothing of a short API secret",
        OF_CLI + "test_each_risky_setting_is_named_with_what_to_do",
    ),
    Mutant(
        CHECKS,
        "if settings.keys_file is not None and settings.issuer == DEFAULT_ISSUER:",
        "if False:",
        "check says nothing of a key file with the default issuer",
        OF_CLI + "test_a_key_file_with_the_default_issuer_is_named",
    ),
]
