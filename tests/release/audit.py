"""Look for known holes in what is published and in how it is made: ``make audit``.

Prints a table of verdicts: ``ok``, ``FAILED``, or ``not run`` where a check could not be made here, which is no pass.
Exits with 1 if one failed; with ``--strict`` also if one was not run. The bill of materials: build/sbom.cdx.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.release.environments import ROOT, install, new_environment

SBOM = ROOT / "build" / "sbom.cdx.json"
FAILED, NOT_RUN, OK = "FAILED", "not run", "ok"


class Verdict(NamedTuple):
    """What one check came to."""

    verdict: str
    detail: str
    output: str = ""


def main(arguments: list[str]) -> int:
    """Run every check and print the table; the exit code."""
    verdicts = {name: check() for name, check in CHECKS.items()}
    for name, verdict in verdicts.items():
        if verdict.verdict != OK and verdict.output:
            print(f"---- {name}\n{verdict.output.strip()}\n")
    for name, verdict in verdicts.items():
        print(f"{name:<16}{verdict.verdict:<9}{verdict.detail}")
    bad = {FAILED, NOT_RUN} if "--strict" in arguments else {FAILED}
    return int(any(verdict.verdict in bad for verdict in verdicts.values()))


def bill_of_materials() -> Verdict:
    """A CycloneDX document of an environment that holds the library and what it needs, and nothing else."""
    python = new_environment(ROOT / ".audit" / "library")
    install(python, str(ROOT))
    SBOM.parent.mkdir(exist_ok=True)
    run = _run(
        "cyclonedx_py", "environment", python, "--pyproject", "pyproject.toml", "--mc-type", "library",
        "--output-reproducible", "--output-file", SBOM,
    )  # fmt: skip
    if run.returncode:
        return Verdict(FAILED, "the document could not be made", run.stderr)
    document = json.loads(SBOM.read_text("utf-8"))
    installed = _installed(python)
    name = document["metadata"]["component"]["name"]
    # It reads pyproject.toml, where the version is dynamic.
    document["metadata"]["component"] |= {"version": installed[name], "purl": f"pkg:pypi/{name}@{installed[name]}"}
    SBOM.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")
    components = {_normal(component["name"]): component["version"] for component in document["components"]}
    if missing := installed.keys() - components.keys() - {name}:
        return Verdict(FAILED, f"it lacks {', '.join(sorted(missing))}")
    return Verdict(OK, f"{len(components)} packages beside the library, in {SBOM.relative_to(ROOT)}")


def advisories() -> Verdict:
    """Known advisories against anything that constraints.txt pins. The package index is asked, and may be silent."""
    run = _run(
        "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--format", "json",
        "--progress-spinner", "off",
    )  # fmt: skip
    try:
        packages: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Verdict(NOT_RUN, "the advisory database can't be reached", run.stderr[-600:])
    known = [f"{package['name']} {hole['id']}" for package in packages for hole in package.get("vulns", [])]
    if known:
        return Verdict(FAILED, f"{len(known)} advisories", "\n".join(known))
    # pip-audit passes over a package that the database does not answer for, and exits with 0.
    asked = [package for package in packages if "skip_reason" not in package]
    if len(asked) < len(packages):
        return Verdict(NOT_RUN, f"the advisory database answered for {len(asked)} of {len(packages)} packages")
    return Verdict(OK, f"no advisory against any of {len(packages)} packages")


def workflows() -> Verdict:
    """What zizmor says of the GitHub workflows. It asks GitHub nothing, so that it says the same everywhere."""
    zizmor = Path(sys.executable).with_name("zizmor")
    command: list[str | Path] = [
        zizmor,
        "--offline",
        "--pedantic",
        "--strict-collection",
        "--no-progress",
        "--color=never",
        ".github",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return _of_linter(run, "no finding in .github, the pedantic ones included")


def code() -> Verdict:
    """flake8-bandit's rules, as ruff has them, over what is installed and the demo."""
    run = _run("ruff", "check", "--select", "S", "flask_corbado_session", "demo_site")
    return _of_linter(run, "no finding in the library and the demo")


CHECKS: dict[str, Callable[[], Verdict]] = {
    "cyclonedx-bom": bill_of_materials,
    "pip-audit": advisories,
    "zizmor": workflows,
    "flake8-bandit": code,
}


def _run(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True)


def _of_linter(run: subprocess.CompletedProcess[str], detail: str) -> Verdict:
    return Verdict(OK, detail) if run.returncode == 0 else Verdict(FAILED, "findings above", run.stdout + run.stderr)


def _installed(python: Path) -> dict[str, str]:
    """Name and version of each distribution in an environment."""
    listing = subprocess.check_output(
        [sys.executable, "-m", "pip", "--python", python, "list", "--format", "json"],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stderr=subprocess.DEVNULL,
    )
    return {_normal(package["name"]): package["version"] for package in json.loads(listing)}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
