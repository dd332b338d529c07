"""The house stands: imports run downhill, the rules know no Flask, the demo site is an app like any other."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import flask_corbado_session

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "flask_corbado_session"
FLOORS = {
    1: "errors records signals clock",
    2: "devices settings keys signing_key key_set key_file key_rotation short_token long_token tables impatient engine"
    " reading store rotation ended_set remote remote_keys attempts",
    3: "short_sessions dead_sessions notices lifecycle overview verifier"
    " operator_scan operator_filter operator_store operator_chart operator_log api_query",
    4: "origin state problems incoming refusal resume current cookies guards freshness words",
    5: "views device_views cors well_known cli keys_cli checks operator_panel operator_views operator_revoke api_v2",
    6: "wiring extension",
    7: "testing __init__",
}
FLOOR = {module: floor for floor, modules in FLOORS.items() for module in modules.split()}
RULES = [module for module, floor in FLOOR.items() if floor <= 3]
WEB = {"flask", "flask_sqlalchemy", "werkzeug", "jinja2", "click"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Every import anywhere in a file, within functions too: the absolute module, and the names taken from it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(["flask_corbado_session" if path.parent == LIBRARY else "here"] * (node.level > 0))
            module = ".".join(part for part in (package, node.module) if part)
            yield module, [alias.name for alias in node.names]


def own_imports(module: str) -> set[str]:
    """The modules of the library that a module of the library imports."""
    found = set()
    for name, names in imports(LIBRARY / f"{module}.py"):
        parts = name.split(".")
        if parts[0] == "flask_corbado_session":
            found |= {parts[1]} if len(parts) > 1 else set(names)
    return found


MODULES = sorted(path.stem for path in LIBRARY.glob("*.py"))


def test_every_module_has_its_floor() -> None:
    assert set(MODULES) == set(FLOOR), "give a new module its floor in FLOORS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downhill(module: str) -> None:
    uphill = {each for each in own_imports(module) if FLOOR[each] > FLOOR[module]}
    assert not uphill, f"{module} stands on floor {FLOOR[module]}"


def test_imports_run_in_no_circle() -> None:
    graph = {module: own_imports(module) for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_the_first_floor_leans_on_nothing() -> None:
    assert [own_imports(module) for module in FLOORS[1].split()] == [set()] * 4


@pytest.mark.parametrize("module", RULES)
def test_the_rules_import_no_flask(module: str) -> None:
    assert not {name.split(".")[0] for name, _ in imports(LIBRARY / f"{module}.py")} & WEB


def test_the_rules_run_where_there_is_no_flask() -> None:
    """In an interpreter that cannot import it, the face of the package aside, which is for apps."""
    program = f"""
import sys, types
for name in {sorted(WEB)}:
    sys.modules[name] = None
package = types.ModuleType("flask_corbado_session")
package.__path__ = [{str(LIBRARY)!r}]
sys.modules["flask_corbado_session"] = package
import importlib
for name in {RULES}:
    importlib.import_module(f"flask_corbado_session.{{name}}")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_but_the_clock_asks_what_time_it_is(module: str) -> None:
    asked = {
        ast.unparse(node)
        for node in ast.walk(tree(LIBRARY / f"{module}.py"))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("datetime.now", "datetime.utcnow", "time.time")
    }
    assert asked == set() or module in ("clock", "testing")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_thing_has_a_docstring(module: str) -> None:
    found = tree(LIBRARY / f"{module}.py")
    public = [
        node.name
        for node in ast.walk(found)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and node in found.body
        if ast.get_docstring(node) is None and not any("overload" in ast.unparse(each) for each in node.decorator_list)
    ]
    assert ast.get_docstring(found)
    assert public == []


def test_an_app_without_a_database_package_need_not_have_it() -> None:
    """``impatient`` needs psycopg, which only an app on PostgreSQL has."""
    program = "import sys; sys.modules['psycopg'] = None; import flask_corbado_session"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60, cwd=ROOT)


# ---- the demo site, and the examples


APPS = sorted(path for folder in ("demo_site", "examples") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", APPS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_app_uses_the_public_api_alone(path: Path) -> None:
    taken = [(module, names) for module, names in imports(path) if module.split(".")[0] == "flask_corbado_session"]
    assert {module for module, _ in taken} <= {"flask_corbado_session"}
    assert {name for _, names in taken for name in names} <= set(flask_corbado_session.__all__)


@pytest.mark.parametrize("path", APPS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_app_looks_at_nothing_private(path: Path) -> None:
    private = {
        ast.unparse(node)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) != "self"
    }
    assert private == set()
