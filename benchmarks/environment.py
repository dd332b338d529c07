"""Where the cases run: .bench, an environment of its own for the peers, with the databases and Redis of this run."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import sleep

_NAMED = ("flask", "flask-sqlalchemy", "sqlalchemy", "pyjwt", "flask-login", "flask-jwt-extended", "flask-session",
          "flask-security-too", "waitress", "psycopg")  # fmt: skip
_IMPORTS = {
    "nothing": "pass",
    "flask": "import flask",
    "ours": "import flask, flask_corbado_session as f; f.CorbadoSession, f.login_required, f.login_user",
    "needs": "import flask, flask_sqlalchemy, jwt",
}
_IMPORT_TITLES = {
    "ours": "import, against Flask's own (goal: at most 3.2)",
    "needs": "Flask with Flask-SQLAlchemy and PyJWT, which an app with a database imports in any case",
}

_BARE_APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
app, db = Flask("bench"), SQLAlchemy()
app.config.update(SECRET_KEY="benchmarks only: 0f6d1c9e5a", SQLALCHEMY_DATABASE_URI="sqlite://")
db.init_app(app)
"""
_OUR_APP = """
from flask_corbado_session import CorbadoSession
CorbadoSession(db).init_app(app)
"""


class Environment:
    """Installed when it is first needed, and again when the list of peers or the pins change."""

    def __init__(self, root: Path, databases: dict[str, str], redis_url: str | None) -> None:
        self.root, self._databases, self._redis_url = root, databases, redis_url
        self._numbers = count()
        self.today = datetime.now(UTC).strftime("%Y-%m-%d")
        self.python = root / ".bench/bin/python"
        wanted = [root / "benchmarks/peers.txt", root / "constraints.txt", root / "pyproject.toml"]
        stamp = root / ".bench/.installed"
        if not stamp.exists() or any(path.stat().st_mtime > stamp.stat().st_mtime for path in wanted):
            print("Installing the peers into .bench, once; this takes a minute or two.", flush=True)
            self._install(stamp)

    def _install(self, stamp: Path) -> None:
        if not self.python.exists():
            venv.create(self.root / ".bench", with_pip=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        what = ["--constraint", "constraints.txt", "--requirement", "benchmarks/peers.txt", "--editable", "."]
        subprocess.run([*pip, *what], cwd=self.root, check=True)
        stamp.touch()

    def command(self, case: str, database: str) -> list[str]:
        """What runs a case. A database or server that this machine has not is a RuntimeError."""
        if database not in self._databases:
            raise RuntimeError(f"no {database} here")
        url = self._databases[database]
        if database == "sqlite":  # a file for each, since some run side by side
            url = url.replace(".sqlite", f"-{next(self._numbers)}.sqlite")
        command = [str(self.python), "-m", "benchmarks", "--case", case, "--database-url", url]
        if not case.endswith("Redis"):
            return command
        if self._redis_url is None:
            raise RuntimeError("no redis-server here")
        return [*command, "--redis-url", self._redis_url]


def start_redis(stack: ExitStack, folder: Path) -> str | None:
    """The URL of a Redis server of this run, on a socket; None where none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    stack.callback(process.wait, 10)
    stack.callback(process.terminate)
    for _ in range(100):
        if socket.exists():
            return f"unix://{socket}"
        sleep(0.1)
    return None


def versions(environment: Environment) -> dict[str, str]:
    """Of Python and of what was measured."""
    script = f"import importlib.metadata as m\nfor name in {_NAMED!r}: print(name, m.version(name))"
    done = subprocess.run([environment.python, "-c", script], capture_output=True, text=True, check=True)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return {"Python": sys.version.split()[0], **found}


def figures(environment: Environment, folder: Path) -> dict[str, str]:
    """Import, memory, wheel and dependencies."""
    found = {}
    if shutil.which("valgrind"):
        # with bytecode, which an installed package has; a checkout may have none
        subprocess.run([environment.python, "-m", "compileall", "-q", "flask_corbado_session"], cwd=environment.root,
                       check=True)  # fmt: skip
        counted = {name: _import_instructions(environment, code) for name, code in _IMPORTS.items()}
        flask = counted["flask"] - counted["nothing"]
        for name in ("ours", "needs"):
            found[_IMPORT_TITLES[name]] = f"{(counted[name] - counted['nothing']) / flask:.2f}"
    memory = [_memory(environment, code) for code in (_BARE_APP, _BARE_APP + _OUR_APP)]
    found["memory of a worker beyond the bare app's, before its first request"] = f"{memory[1] - memory[0]:.0f} MB"
    found["size of the wheel"] = f"{_wheel_size(environment.root, folder) / 1024:.0f} KB"
    direct, all_of_them = _dependencies("flask-corbado-session")
    found["dependencies: direct, and all of them"] = f"{direct}, {all_of_them}"
    return found


def _import_instructions(environment: Environment, code: str) -> int:
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(environment.python), "-c", code]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(tool, cwd=environment.root, env=env, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected\s*:\s*(\d+)", done.stderr)[1])  # type: ignore[index]


def _memory(environment: Environment, code: str) -> float:
    """Megabytes that a process holds after this."""
    code += "print(open('/proc/self/status').read())"
    done = subprocess.run(
        [environment.python, "-c", code], cwd=environment.root, capture_output=True, text=True, check=True
    )
    return int(re.search(r"VmRSS:\s*(\d+)", done.stdout)[1]) / 1024  # type: ignore[index]


def _wheel_size(root: Path, folder: Path) -> int:
    subprocess.run([sys.executable, "-m", "flit_core.wheel", "--outdir", str(folder), str(root)], check=True,
                   capture_output=True)  # fmt: skip
    return next(folder.glob("*.whl")).stat().st_size


def _dependencies(package: str) -> tuple[int, int]:
    """How many packages it needs, and how many with theirs."""
    direct = _required(package)
    known, waiting = set(direct), list(direct)
    while waiting:
        new = _required(waiting.pop()) - known
        known |= new
        waiting += new
    return len(direct), len(known)


def _required(package: str) -> set[str]:
    try:
        lines = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return set()
    from packaging.requirements import Requirement  # not in .bench, where this module is imported too

    needed = [Requirement(line) for line in lines]
    extras = ("", "crypto") if package == "pyjwt" else ("",)
    return {
        need.name.lower().replace("_", "-").replace(".", "-")
        for need in needed
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)
    }
