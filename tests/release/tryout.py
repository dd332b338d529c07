"""Run the examples of the README and of docs/start.md against the library that is installed, not the one beside them.

``python -I tests/release/tryout.py REPOSITORY``, in an environment with the library and its dependencies alone.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGES = ("README.md", "docs/start.md")


def main(root: Path) -> None:
    """Run each page in a folder of its own, and the README's app over a whole sign-in."""
    import flask_corbado_session

    library = Path(flask_corbado_session.__file__).resolve()
    assert library.is_relative_to(Path(sys.prefix).resolve()), f"{library} is not the installed library"
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.environ["FLASK_SECRET_KEY"] = secrets.token_hex()
            os.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path(folder, 'app.sqlite')}"
            names = run_blocks((root / page).read_text("utf-8"))
            if page == "README.md":
                sign_in_and_out(names["app"])
            os.chdir(root)
    print(f"{flask_corbado_session.__version__}: the README and docs/start.md run on Python {sys.version.split()[0]}")


def run_blocks(page: str) -> dict[str, Any]:
    """Run a page's Python from top to bottom; the names it leaves. Its app believes whoever signs in."""
    names: dict[str, Any] = {"__name__": __name__, "check_password": lambda form: form["email"]}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        exec(compile(block, "example", "exec"), names)
    return names


def sign_in_and_out(app: Any) -> None:
    """The README's story: the tables from the command line, a sign-in, a refresh, the devices page, a sign-out."""
    assert app.test_cli_runner().invoke(args=["corbado-session", "init-db"]).exit_code == 0
    browser = app.test_client()
    assert browser.get("/dashboard").status_code == 401
    assert browser.post("/sign-in?next=/dashboard", data={"email": "alice"}).location == "/dashboard"
    assert browser.get("/dashboard").text.startswith("alice, until 20")
    browser.delete_cookie("__Host-cbo_short_session")
    assert browser.get("/dashboard").text.startswith("alice, until 20")
    assert browser.get("/session/devices", headers={"Accept": "text/html"}).status_code == 200
    assert browser.post("/sign-out").location == "/sign-in"
    assert browser.get("/dashboard").status_code == 401


if __name__ == "__main__":
    main(Path(sys.argv[1]))
