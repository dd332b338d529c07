"""The house stands: the rooms import as docs/architecture.md says, without a circle, and the rules know no Flask."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import flask_corbado_session.migration

ROOT = Path(__file__).parents[2]
PACKAGE = "flask_corbado_session"
LIBRARY = ROOT / PACKAGE
SESSIONS_AND_BELOW = "sessions binding database verification tokens keys model"
WEB_AND_BELOW = f"web {SESSIONS_AND_BELOW}"
ROOMS = {
    "model": "",
    "keys": "model",
    "tokens": "keys model",
    "database": "tokens.ids model",
    "verification": "tokens keys model",
    "binding": "tokens keys model",
    "sessions": "binding database verification tokens keys model",
    "web": SESSIONS_AND_BELOW,
    "operators": WEB_AND_BELOW,
    "cli": WEB_AND_BELOW,
    "migration": WEB_AND_BELOW,
    "assembly": SESSIONS_AND_BELOW,
    "testing": f"{WEB_AND_BELOW} assembly extension",
    "extension": f"{WEB_AND_BELOW} assembly operators cli",
    "flask_login": f"{WEB_AND_BELOW} cli extension testing",
    "__init__": f"{WEB_AND_BELOW} extension",
}
"""What each room may import, beside its own files: docs/architecture.md, which is compared with this."""

FLASK_FREE = ("model", "keys", "tokens", "database", "verification", "binding", "sessions", "assembly")
WEB_PACKAGES = {"flask", "flask_sqlalchemy", "werkzeug", "jinja2", "click"}
LONGEST_MODULE = 275
LONGEST_FUNCTION = 50


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def module_name(path: Path) -> str:
    """The dotted name below the package: "web.request", "extension", "model" for a room's own face."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def imports(path: Path) -> Iterator[str]:
    """Every import anywhere in a file, within functions too, as dotted names; of a package its names' own."""
    folder = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """The modules of the library that a file imports."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == PACKAGE and len(parts) > 1:
            candidates = [".".join(parts[1:]), ".".join(parts[1:-1])]
            found |= {next((name for name in candidates if name in MODULES), parts[1])}
    return found - {""}


def test_every_module_stands_in_a_room() -> None:
    assert {room_of(module) for module in MODULES} == set(ROOMS)


def test_the_rooms_import_as_the_table_says() -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for imported in own_imports(path)
        if room_of(imported) != room_of(module)
        and room_of(imported) not in ROOMS[room_of(module)].split()
        and imported not in ROOMS[room_of(module)].split()
    ]
    assert offenders == []


def test_the_architecture_page_shows_these_rooms_and_modules() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    tables = re.findall(r"^\| ([a-z_, ]+) \| (.+) \|$", page, re.MULTILINE)
    allowed = {room: may for rooms, may in tables if "`" not in may for room in rooms.split(", ") if room != "room"}
    words = {
        "nothing of ours": "",
        "sessions and below": SESSIONS_AND_BELOW,
        "web and below": WEB_AND_BELOW,
    }
    for room, may in allowed.items():
        assert may == "all" or words.get(may, may.replace(",", "")) == ROOMS[room], room
    assert set(allowed) == set(ROOMS) - {"__init__"}
    shown = {room: modules.replace("`", "").split() for room, modules in tables if "`" in modules}
    real: dict[str, list[str]] = {}
    for module in sorted(MODULES):
        room, dot, name = module.partition(".")
        if dot:
            real.setdefault(room, []).append(name)
    assert shown == real


def test_nothing_but_the_extension_imports_the_operators() -> None:
    users = {room_of(module) for module, path in MODULES.items() if "operators" in map(room_of, own_imports(path))}
    assert users == {"operators", "extension"}


def test_modules_import_in_no_circle() -> None:
    graph = {module: own_imports(path) - {module} for module, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_rooms_import_in_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        graph.setdefault(room_of(module), set()).update(map(room_of, own_imports(path)))
    list(TopologicalSorter({room: below - {room} for room, below in graph.items()}).static_order())


def test_no_module_and_no_function_is_long() -> None:
    long_ones = {name: lines for name, path in MODULES.items() if (lines := len(path.read_text().splitlines())) > 250}
    too_long = {name: lines for name, lines in long_ones.items() if lines > LONGEST_MODULE and name != "extension"}
    assert too_long == {}
    functions = {
        f"{module}.{node.name}": node.end_lineno - node.body[0].lineno
        for module, path in MODULES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in functions.items() if lines > LONGEST_FUNCTION} == {}


def test_no_private_attribute_is_read_from_another_module() -> None:
    offenders = [
        f"{module}: {ast.unparse(node)}"
        for module, path in MODULES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "super"))
        and node.attr not in ("_get_current_object", "_replace", "_mapping")  # documented by their libraries
    ]
    assert offenders == []


def test_the_rules_import_no_flask() -> None:
    offenders = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if room_of(module) in FLASK_FREE
        for name in imports(path)
        if name.split(".")[0] in WEB_PACKAGES
    ]
    assert offenders == []


def test_the_rules_run_where_there_is_no_flask() -> None:
    """In an interpreter that cannot import it."""
    rules = [module for module in MODULES if room_of(module) in FLASK_FREE]
    program = f"""
import importlib, sys
for name in {sorted(WEB_PACKAGES)}:
    sys.modules[name] = None
for name in {rules}:
    importlib.import_module(f"{PACKAGE}.{{name}}")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60, cwd=ROOT)


def test_nothing_but_the_clock_asks_what_time_it_is() -> None:
    offenders = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("datetime.now", "datetime.utcnow", "time.time")
    }
    assert offenders <= {"model.clock", "testing"}


def test_every_public_thing_has_a_docstring() -> None:
    offenders = [
        f"{module}.{getattr(node, 'name', '')}"
        for module, path in MODULES.items()
        for node in [tree(path), *tree(path).body]
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
        and not getattr(node, "name", "").startswith("_")
        and ast.get_docstring(node) is None
        and not any("overload" in ast.unparse(each) for each in getattr(node, "decorator_list", []))
    ]
    assert offenders == []


def test_an_app_without_a_database_package_need_not_have_it() -> None:
    """``database/psycopg_timeout.py`` needs psycopg, which only an app on PostgreSQL has."""
    program = f"import sys; sys.modules['psycopg'] = None; import {PACKAGE}.extension"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60, cwd=ROOT)


# ---- the demo site and the examples are apps like any other


APPS = sorted(path for folder in ("demo_site", "examples") for path in (ROOT / folder).rglob("*.py"))


PUBLIC_MODULES = {"migration": flask_corbado_session.migration.__all__}
"""What is public beside the face."""


def is_public(name: str) -> bool:
    """Whether an app may import this name below the package."""
    module, _, attribute = name.rpartition(".")
    return attribute in PUBLIC_MODULES.get(module, flask_corbado_session.__all__)


def test_an_app_uses_the_public_api_alone() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in APPS
        for name in imports(path)
        if name.split(".")[0] == PACKAGE and not is_public(name.removeprefix(f"{PACKAGE}."))
    ]
    assert offenders == []


def test_an_app_reads_nothing_private() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in APPS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) != "self"
    ]
    assert offenders == []
