"""The tests' app under gevent, as a program: everything that blocks is gevent's from the first line on.

``DATABASE_URL`` names the database, whose tables are there. It says its port.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - whatever is imported before the patch keeps what blocks
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402

from flask import Response  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

from flask_corbado_session import login_required  # noqa: E402
from tests.support.apps import unprepared_app  # noqa: E402


def main() -> None:
    """Serve until the process is ended."""
    app, _, sessions = unprepared_app(os.environ["DATABASE_URL"])

    def ticks() -> Iterator[str]:
        while True:
            yield "data: tick\n\n"
            time.sleep(0.02)

    app.add_url_rule("/ticks", "ticks", login_required(lambda: Response(sessions.guard_stream(ticks()))))
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
