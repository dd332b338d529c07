"""Servers that fork after the app was loaded and used: everyone is served as themselves by every worker."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import do_without
from tests.support.app_server import site_json
from tests.support.apps import make_app
from tests.support.child import ROOT
from tests.support.jars import LONG, Jar, SessionRows, served
from tests.support.servers import free_port

PEOPLE, REQUESTS, AT_ONCE, PROCESSES = 40, 400, 16, 4
BIN = Path(sys.executable).parent

# The server ends when its input does: with the tests, however they end.
GUARD = '"$@" & read -r _; kill -TERM $! 2>/dev/null; wait'

UWSGI = ["--master", "--processes", str(PROCESSES), "--die-on-term", "--need-app", "--pythonpath", str(ROOT)]
GUNICORN = ["--preload", "--workers", str(PROCESSES), "--worker-tmp-dir", "/tmp", "--graceful-timeout", "1"]
SERVERS = {
    "uwsgi": ["uwsgi", *UWSGI],
    "uwsgi lazy": ["uwsgi", *UWSGI, "--lazy-apps"],
    "uwsgi threads": ["uwsgi", *UWSGI, "--enable-threads", "--threads", "4"],
    "gunicorn sync": ["gunicorn", *GUNICORN, "--worker-class", "sync"],
    "gunicorn gthread": ["gunicorn", *GUNICORN, "--worker-class", "gthread", "--threads", "4"],
    "gunicorn gevent": ["gunicorn", *GUNICORN, "--worker-class", "gevent"],
    "multiprocessing fork": ["fork"],
    "multiprocessing spawn": ["spawn"],
}


@contextmanager
def running(name: str, site: str, log: Path) -> Iterator[list[int]]:
    """The ports of a server that runs."""
    program, *options = SERVERS[name]
    ports = [] if name.startswith("multiprocessing") else [free_port()]
    env = {**os.environ, "SITE": site}
    if not ports:
        command, env = (
            [sys.executable, "-m", "tests.support.forking_app"],
            {**env, "START": program, "PROCESSES": str(PROCESSES)},
        )
    elif program == "uwsgi":
        command = [str(BIN / program), *options, "--http-socket", f"127.0.0.1:{ports[0]}"]
        command += ["--module", "tests.support.forking_app:app", "--virtualenv", sys.prefix]
    else:
        command = [str(BIN / program), *options, "--bind", f"127.0.0.1:{ports[0]}", "tests.support.forking_app:app"]
    if ports and not (BIN / program).exists():
        do_without("SERVERS", f"{program} is not installed")
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", *command],
            env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=output if ports else subprocess.PIPE, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        if not ports:
            assert process.stdout is not None
            ports = [int(process.stdout.readline()) for _ in range(PROCESSES)]
        _wait_for(ports, process, log)
        yield ports
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the group that was made for it
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _wait_for(ports: list[int], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    for port in ports:
        while True:
            with suppress(OSError):
                if served(port, Jar().sends("/pid"), 2).status == 200:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the server did not start; it said:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)


def ask(ports: list[int], jar: Jar, path: str, method: str = "GET", **how: Any) -> Any:
    return jar.take(served(random.choice(ports), jar.sends(path, method, **how)))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("name", SERVERS)
def test_forty_people_are_served_as_themselves_by_every_worker(name: str, postgres_url: str, tmp_path: Path) -> None:
    make_app(postgres_url)
    site = site_json(postgres_url, speed=240, began=time.time())
    with running(name, site, tmp_path / "log") as ports, ThreadPoolExecutor(AT_ONCE) as pool:
        jars = [Jar(user_agent=f"Browser/{number}") for number in range(PEOPLE)]

        def sign_in(number: int) -> int:
            return int(ask(ports, jars[number], "/sign-in", "POST", user=f"user-{number}").status)

        def go(number: int) -> Counter[Any]:
            seen: Counter[Any] = Counter()
            for turn in range(REQUESTS // PEOPLE):
                answer = ask(ports, jars[number], ("/protected", "/recheck")[turn % 2], short=bool(turn % 3))
                user_id = answer.body.get("user_id") if isinstance(answer.body, dict) else None
                seen[answer.status, user_id == f"user-{number}"] += 1
            return seen

        assert set(pool.map(sign_in, range(PEOPLE))) == {200}
        seen = sum(pool.map(go, range(PEOPLE)), Counter[Any]())
        pids = set(pool.map(lambda _: ask(ports, Jar(), "/pid").body["pid"], range(60)))
        time.sleep(0.5)  # two minutes, after which the long sessions rotate once more
        seen += sum(pool.map(go, range(PEOPLE)), Counter[Any]())
    assert seen == {(200, True): 2 * REQUESTS}
    assert len(pids) > 1, "several workers served"
    with SessionRows(postgres_url) as rows:
        assert {row["end_reason"] for row in rows.all().values()} == {None}
        assert max(row["generation"] for row in rows.all().values()) > 1
        assert len(rows.all()) == len({jar.cookies[LONG] for jar in jars}) == PEOPLE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_tasks_on_celerys_prefork_pool_are_done_for_whom_they_are(postgres_url: str) -> None:
    if importlib.util.find_spec("billiard") is None:
        do_without("SERVERS", "Celery is not installed")
    make_app(postgres_url)
    env = {**os.environ, "SITE": site_json(postgres_url, speed=60, began=time.time())}
    command = [sys.executable, "-m", "tests.support.celery_pool"]
    done = subprocess.run(command, env=env, cwd=ROOT, timeout=60, check=True, stdout=subprocess.PIPE)
    assert done.stdout.split() == [b"200"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held(sqlite_url: str) -> None:
    """Such a thread is not in the child, so that the set of ended sessions was never brought up to date again."""
    make_app(sqlite_url)
    program = """
import os
from tests.support.forking_app import app
from tests.support.apps import state_of
ended = state_of(app).short_sessions.ended
child = os.fork()
if not child:
    ended._refreshed_at = ended._refreshed_at.replace(year=2000)
    ended.bring_up_to_date()
    os._exit(7 if ended._refreshed_at.year > 2000 else 8)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    env = {**os.environ, "SITE": site_json(sqlite_url), "HELD": "1"}
    assert subprocess.run([sys.executable, "-c", program], env=env, cwd=ROOT, timeout=30).returncode == 7


def test_a_system_without_hooks_at_fork_needs_none(sqlite_url: str) -> None:
    """Windows has no ``os.register_at_fork``: at cd6b537 an AttributeError at the first statement."""
    make_app(sqlite_url)
    program = "import os; del os.register_at_fork; import tests.support.forking_app"
    program = f"import random, logging, threading, concurrent.futures.thread; {program}"  # the standard library's own
    env = {**os.environ, "SITE": site_json(sqlite_url)}
    subprocess.run([sys.executable, "-c", program], env=env, cwd=ROOT, timeout=30, check=True)
