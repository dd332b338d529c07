"""Every public failure that this project has learned from is a test which carries its number."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

ADVISORIES = {
    "Authlib": "CVE-2024-37568 CVE-2025-59420 CVE-2025-61920 CVE-2026-27962",
    "authkit-nextjs": "CVE-2025-64762",
    "Beaker": "CVE-2013-7489",
    "better-auth": "GHSA-xg6x CVE-2026-45364 better-auth/6049 better-auth/9991",
    "bike4mind": "bike4mind/1801",
    "convex-auth": "convex-auth/555",
    "drf-jwt": "CVE-2020-10594",
    "fliks": "fliks/457",
    "Flask": "CVE-2023-30861 CVE-2025-47278 CVE-2026-27205",
    "Flask-AppBuilder": "CVE-2021-29621 CVE-2021-32805 CVE-2022-21659",
    "Flask-Caching": "CVE-2021-33026",
    "Flask-CORS": "CVE-2024-6221 CVE-2024-6839 CVE-2024-6844 CVE-2024-6866",
    "Flask-JWT-Extended": "Flask-JWT-Extended",
    "Flask-Login": "Flask-Login/0.6.3",
    "Flask-Security": "CVE-2021-21241 CVE-2021-32618 CVE-2023-49438 GHSA-97r5 GHSA-f66q GHSA-w2j7 Flask-Security/1258",
    "Flask-Session": "Flask-Session/0.7",
    "Flask-Unchained": "CVE-2021-23393",
    "Flask-User": "CVE-2021-23401",
    "gunicorn": "CVE-2018-1000164",
    "jwcrypto": "CVE-2023-6681",
    "Keycloak": "CVE-2026-1035 CVE-2026-9802 Keycloak/49213",
    "nextjs-auth0": "CVE-2025-48947",
    "nocturne": "nocturne/391",
    "open-mercato": "open-mercato/2686",
    "OpenRisk": "OpenRisk/700",
    "PyJWT": "CVE-2017-11424 CVE-2022-29217 CVE-2024-53861 CVE-2026-32597 CVE-2026-48523 CVE-2026-48524 CVE-2026-48525 "
    "CVE-2026-48526",
    "python-jose": "CVE-2016-7036 CVE-2024-33663 CVE-2024-33664",
    "python-jwt": "CVE-2022-39227",
    "revel": "revel/950",
    "simplejwt": "CVE-2024-22513",
    "Supabase": "GHSA-3529 Supabase-auth/v2",
    "Superset": "CVE-2023-27524 Superset/2025",
    "SuperTokens": "SuperTokens/12.1",
    "uvicorn": "CVE-2020-7694 CVE-2020-7695",
    "viur": "viur/1660",
    "Werkzeug": "CVE-2020-28724 CVE-2023-23934 CVE-2023-25577 CVE-2023-46136 CVE-2024-34069 CVE-2024-49767",
}
"""By CVE, by the first group of a GitHub advisory, or else by an issue, a pull request or a version of its own."""
NUMBERS = [number for numbers in ADVISORIES.values() for number in numbers.split()]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower())


def _tests_of_advisories() -> list[str]:
    """The name and the docstring of each test in the files of this subject."""
    found = []
    for path in sorted(TESTS.rglob("test_advisories*.py")):
        if path != Path(__file__):
            functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
            tests = [node for node in functions if node.name.startswith("test_")]
            found += [f"_{_plain(node.name)}_{_plain(ast.get_docstring(node) or '')}_" for node in tests]
    return found


def test_every_advisory_is_a_test_that_carries_its_number() -> None:
    tests = _tests_of_advisories()
    assert [number for number in NUMBERS if not any(f"_{_plain(number)}_" in test for test in tests)] == []


def test_every_test_of_an_advisory_carries_one_of_the_list() -> None:
    tests = _tests_of_advisories()
    assert len(tests) > 70
    assert [test for test in tests if not any(f"_{_plain(number)}_" in test for number in NUMBERS)] == []
