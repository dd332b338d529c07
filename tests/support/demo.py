"""The demo site in processes of its own.

``WholeDemo`` is the demo as ``make demo`` starts it: three processes on three ports in a row. As a program, this module
is the site alone, with what the tests of it need beside it: its clock is theirs to move (``POST /clock``, seconds). It
serves as ``python -m demo_site.site`` does, or over https if ``TLS_FOLDER`` names a place for a certificate.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, request
from waitress.server import create_server
from werkzeug.serving import make_server

import demo_site
from demo_site.addresses import Addresses
from demo_site.serving import THREADS, UNTIL_STDIN_ENDS
from flask_corbado_session.testing import move_clock
from tests.support.certificates import tls_server

PORTS = range(20_000, 32_000)
"""Below those that systems give to whoever asks for any, so that three of them stay free until they are used."""


class Secret(str):
    """A token or cookie that no failing test shows."""

    def __repr__(self) -> str:
        return "<secret>"


class WholeDemo:
    """It running, on an instance folder of its own."""

    def __init__(self, instance: Path, env: Mapping[str, str] | None = None, port: int | None = None) -> None:
        self.addresses = Addresses(port or free_ports())
        self.instance, self.errors = instance, instance.with_suffix(".log")
        settings = {"DEMO_INSTANCE": str(instance), "PORT": str(self.addresses.port), **(env or {})}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo_site", UNTIL_STDIN_ENDS],
                env={**os.environ, **settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def said(self, lines: int = 4) -> list[str]:
        """The first lines of its output; fewer when it ended. It serves once it has said four."""
        assert self.process.stdout is not None
        return [line for _ in range(lines) if (line := self.process.stdout.readline().strip())]

    def stop(self) -> int:
        """End it as an operator does, and for certain; its exit code."""
        self.process.terminate()
        with self.process:
            try:
                return self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise


@contextmanager
def running(instance: Path, env: Mapping[str, str] | None = None) -> Iterator[Addresses]:
    """The demo until the block is left; where it is."""
    demo = WholeDemo(instance, env)
    try:
        if len(demo.said()) < 4:
            raise RuntimeError(f"the demo did not start; it said:\n{demo.errors.read_text(errors='replace')}")
        yield demo.addresses
    finally:
        demo.stop()


def free_ports() -> int:
    """The first of three ports in a row that nobody listens on."""
    return next(port for port in random.sample(PORTS, 1000) if not any(is_taken(port + each) for each in range(3)))


def is_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---- the site alone


def create_app() -> Flask:
    """The site, whose time stands still until it is moved: what a page costs is then no matter of chance."""
    app = demo_site.create_app()
    clock = move_clock(app)

    @app.post("/clock")
    def move() -> str:
        clock.move(seconds=float(request.get_data()))
        return ""

    return app


def serve(app: Flask, port: int, tls_folder: str | None) -> None:
    """Until the process is ended."""
    if tls_folder is None:
        create_server(app, host="127.0.0.1", port=port, threads=THREADS, ident=None).run()
    else:
        make_server("127.0.0.1", port, app, threaded=True, ssl_context=tls_server(Path(tls_folder))).serve_forever()


if __name__ == "__main__":
    serve(create_app(), int(os.environ["PORT"]), os.environ.get("TLS_FOLDER"))
