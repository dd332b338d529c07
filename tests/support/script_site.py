"""The app that the tests of corbado-session.js talk to, under as many hosts as they like.

``auth.demo.localhost`` is the session's host, ``app.demo.localhost`` a single-page app that CORS_ORIGINS allows, any
other name a foreign origin. The time is the tests' to move, that of the Date header with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, redirect, request
from waitress.server import create_server
from werkzeug.http import http_date

from flask_corbado_session import current_session, login_required
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app, state_of

PAGE = """<!doctype html><html lang="en"><title>A page with script</title>
<link rel="icon" href="data:,"><script type="module">
import { createSession } from "/session/static/corbado-session.js";
globalThis.begin = async (options) => {
  globalThis.session = createSession(options);
  globalThis.told = [];
  session.onChange((current) => told.push(current && current.user_id));
  await session.start();
  return session.current;
};
</script><p>Nothing to see.</p></html>"""


def create_app() -> Flask:
    """The app on the database and port that the environment names."""
    app, _, sessions = make_app(
        os.environ["DATABASE_URL"],
        CORBADO_SESSION_CORS_ORIGINS=[f"http://app.demo.localhost:{os.environ['PORT']}"],
    )
    _add_api(app)
    _add_controls(app, move_clock(app), sessions.revoke_user)
    return app


def _add_api(app: Flask) -> None:
    @app.get("/page")
    def page() -> str:
        return PAGE

    @app.route("/api/who", methods=["GET", "POST"])
    @login_required
    def api_who() -> Response:
        by = "bearer" if "Authorization" in request.headers else "cookie"
        return jsonify(user_id=current_session.user_id, by=by, body=request.get_data(as_text=True))

    @app.post("/api/verify-only")
    def verify_only() -> Any:
        """What a service that shares the cookie and has no database would say, ``after`` some seconds."""
        state = state_of(app)
        short = state.short_sessions.first_valid(request.cookies.getlist(state.settings.short_cookie))
        time.sleep(float(request.args.get("after", 0)))
        return ("", 401) if short is None else jsonify(user_id=short.user_id, body=request.get_data(as_text=True))

    @app.route("/api/never", methods=["GET", "POST"])
    def never() -> Any:
        return "", 401

    @app.get("/api/step-up")
    def step_up() -> Any:
        return "", 401, {"WWW-Authenticate": 'Bearer error="insufficient_user_authentication", max_age=300'}

    @app.get("/api/away")
    def away() -> Any:
        return redirect(f"http://foreign.localhost:{os.environ['PORT']}/seen")

    @app.get("/seen")
    def seen() -> Response:
        return jsonify(authorization="Authorization" in request.headers)

    @app.after_request
    def allow(response: Response) -> Response:
        """What an API of another origin says to the single-page app, and a foreign one to everybody."""
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.path.startswith(("/api/", "/seen")):
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return response


def _add_controls(app: Flask, clock: MovingClock, revoke_user: Callable[[str], None]) -> None:
    @app.post("/clock")
    def move() -> str:
        clock.move(seconds=float(request.get_data()))
        return ""

    @app.post("/revoke")
    def revoke() -> str:
        revoke_user(request.get_data(as_text=True))
        return ""

    @app.post("/slow")
    def slow() -> str:
        app.config["SLOW"] = float(request.get_data())
        return ""

    @app.post("/portal")
    def portal() -> str:
        app.config["PORTAL"] = request.get_data() == b"up"
        return ""

    @app.before_request
    def redirect_to_portal() -> Any:
        """What a captive portal answers to everything: its own page, by a redirect."""
        is_cut_off = app.config.get("PORTAL") and request.path.startswith("/session/")
        return redirect("/page") if is_cut_off else None

    @app.after_request
    def take_time(response: Response) -> Response:
        """Answer a refresh late: what it did is done, and the page has yet to hear of it."""
        if request.path == "/session/refresh":
            time.sleep(app.config.get("SLOW", 0))
        return response

    @app.after_request
    def date(response: Response) -> Response:
        response.headers["Date"] = http_date(clock())
        return response


if __name__ == "__main__":
    create_server(create_app(), host="127.0.0.1", port=int(os.environ["PORT"]), threads=8, ident=None).run()
