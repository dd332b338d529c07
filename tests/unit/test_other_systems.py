"""The library and the demo on a system without what POSIX alone has, as Windows is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORY = """if True:
    import os, signal, sys
    # What is not ours decides for itself, and has decided before anything is gone.
    import concurrent.futures.process, flask.cli, flask_limiter, flask_sqlalchemy, jwt, logging, random, subprocess
    import sqlalchemy.dialects.sqlite, tempfile, waitress.server, werkzeug.test

    for name in (
        "chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getpgid",
        "getpgrp", "getsid", "getuid", "killpg", "mkfifo", "register_at_fork", "setgid", "setsid", "setuid", "uname",
    ):
        delattr(os, name)
    for name in ("SIGHUP", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGUSR1", "SIGQUIT", "SIGALRM", "SIGCHLD"):
        delattr(signal, name)
    for name in ("fcntl", "grp", "pwd", "resource", "termios"):
        sys.modules[name] = None
    signal.SIGBREAK = signal.SIGTERM
    sys.platform = "win32"

    import demo_site.__main__
    from demo_site import create_app

    app = create_app()
    assert app.test_cli_runner().invoke(args=["corbado-session", "keys", "rotate"]).exit_code == 0
    browser = app.test_client()
    assert browser.get("/session", headers={"Accept": "application/json"}).status_code == 401
    browser.post("/sign-in", data={"email": "demo@example.com", "password": "correct horse battery"})
    print(browser.get("/session").json["user_id"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this is such a system")
def test_nothing_needs_what_posix_alone_has(tmp_path: Path) -> None:
    env = {**os.environ, "DEMO_INSTANCE": str(tmp_path / "instance"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STORY]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=90)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
