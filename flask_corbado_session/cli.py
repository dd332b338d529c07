"""``flask corbado-session``: the tables, the sessions, and whether the settings are safe."""

from __future__ import annotations

import json as jsonlib
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from .errors import StoreUnavailable, UnknownSession
from .keys import weakness
from .keys_cli import group as keys_group
from .keys_cli import key_risks
from .records import LongSession
from .state import app_state
from .tables import DEVICE, SESSION

group = AppGroup("corbado-session", help="Long sessions: the tables, who is signed in, revoking, cleaning up.")
group.add_command(keys_group)


@group.command("init-db")
@with_appcontext
def init_db() -> None:
    """Create the tables, where they do not exist yet. With Flask-Migrate, migrate instead."""
    database = app_state().with_rows().database
    tables = [table for name, table in database.metadata.tables.items() if name in (SESSION, DEVICE)]
    database.metadata.create_all(database.engine, tables=tables)
    click.echo("corbado_session and corbado_device are there")


@group.command("list")
@click.argument("user_id")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@with_appcontext
def list_sessions(user_id: str, as_json: bool) -> None:
    """Who is signed in where: the live sessions of one user."""
    found = _ask(lambda: app_state().with_rows().overview.devices(user_id, None))
    rows = [(device.title, session) for device in found for session in device.sessions]
    if as_json:
        click.echo(jsonlib.dumps([_as_json(title, session) for title, session in rows], indent=2))
        return
    if not rows:
        click.echo(f"{user_id} is signed in nowhere")
    for title, session in rows:
        seen = f"{session.last_seen_at:%Y-%m-%d %H:%M}"
        click.echo(f"{session.session_id}  {seen}  {session.ip or '-':<15}  {title}")


@group.command("revoke")
@click.option("--session", "session_id", help="One session, by its id.")
@click.option("--device", "device_id", help="All sessions of a device, by its id.")
@click.option("--user", "user_id", help="All sessions of a user.")
@with_appcontext
def revoke(session_id: str | None, device_id: str | None, user_id: str | None) -> None:
    """End one session, a device's, or a user's; everywhere within a second."""
    if sum(each is not None for each in (session_id, device_id, user_id)) != 1:
        raise click.UsageError("name one of --session, --device and --user")
    overview = app_state().with_rows().overview
    if session_id is not None:
        ended = _ask(lambda: overview.revoke(session_id, None, "operator"))
    elif device_id is not None:
        ended = _ask(lambda: overview.revoke_device(device_id, None, "operator"))
    else:
        ended = _ask(lambda: overview.revoke_user(user_id or "", "operator"))
    click.echo(f"ended {len(ended)} session{'' if len(ended) == 1 else 's'}")


@group.command("cleanup")
@with_appcontext
def cleanup() -> None:
    """Delete what ended longer than CORBADO_SESSION_RETENTION ago, in short batches."""
    total = 0
    batches = app_state().with_rows().overview.forget()
    while (forgotten := _ask(lambda: next(batches, None))) is not None:
        total += forgotten
    click.echo(f"deleted {total} rows")


@group.command("check")
@with_appcontext
def check() -> None:
    """Name every risky setting and what to do; exits 1 if there is one."""
    risks = list(risky_settings())
    for risk in risks:
        click.echo(f"- {risk}")
    if risks:
        raise SystemExit(1)
    click.echo("nothing risky found")


def risky_settings() -> list[str]:
    """What ``check`` says of the current app, a line each."""
    settings, risks = app_state().settings, []
    weak = weakness(current_app.config.get("SECRET_KEY"))
    if weak is not None:
        risks.append(f"SECRET_KEY {weak}: make one with `python -c 'import secrets; print(secrets.token_hex())'`")
    risks += key_risks()
    if not settings.cookie_secure:
        risks.append("CORBADO_SESSION_COOKIE_SECURE is False: serve https and remove it")
    if settings.cookie_samesite == "None":
        risks.append('CORBADO_SESSION_COOKIE_SAMESITE is "None": "Lax" unless another site must frame this one')
    if settings.cookie_domain is not None:
        risks.append("CORBADO_SESSION_COOKIE_DOMAIN is set: every host below it can read and overwrite the cookies")
    if settings.reauth_view is None:
        risks.append("CORBADO_SESSION_REAUTH_VIEW is not set: other sessions are ended without a recent sign-in")
    if settings.login_view is None:
        risks.append("CORBADO_SESSION_LOGIN_VIEW is not set: people who are signed out get a bare 401")
    if current_app.debug:
        risks.append("the app runs in debug mode")
    return risks


def _ask(work: Any) -> Any:
    try:
        return work()
    except UnknownSession:
        raise click.ClickException("there is no such session or device") from None
    except StoreUnavailable as error:
        raise click.ClickException(f"{error}; try again") from None


def _as_json(title: str, session: LongSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "device": title,
        "ip": session.ip,
        "created_at": session.created_at.isoformat(),
        "last_seen_at": session.last_seen_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
    }
