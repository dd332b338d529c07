"""The commands of ``flask corbado-session``; their output is a table, or JSON with ``--json``."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from flask.cli import AppGroup, with_appcontext

from ..model.errors import SessionNotFound, StoreUnavailable, TablesMissing
from ..model.records import LongSession
from ..model.text import printable
from ..model.users import USER_ID_LENGTH
from ..web.state import app_state
from .checks import risky_settings
from .keys import group as keys_group

T = TypeVar("T")

group = AppGroup("corbado-session")
group.add_command(keys_group)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@group.command("init-db")
@with_appcontext
def init_db() -> None:
    """Create the tables that do not exist yet. With Flask-Migrate, run a migration instead."""
    tables = _run(app_state().with_database().database.create_tables)
    click.echo(f"created tables: {', '.join(tables)}")


@group.command("list")
@click.argument("user_id", required=False)
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The maximum number of sessions."
)
@json_option
@with_appcontext
def list_sessions(user_id: str | None, limit: int, as_json: bool) -> None:
    """List the active sessions of a user, or those of all users, the newest first."""
    sessions = _run(lambda: app_state().with_database().revocation.live_sessions(user_id, limit))
    if as_json:
        click.echo(jsonlib.dumps([_as_json(session) for session in sessions], indent=2))
    elif not sessions:
        click.echo(f"no active sessions for {user_id}" if user_id else "no active sessions")
    else:
        _table(("SESSION", "USER", "DEVICE", "SIGNED IN", "LAST SEEN", "IP"), [_row(session) for session in sessions])


@group.command("revoke")
@click.option("--session", "session_id", help="The id of one session.")
@click.option("--device", "device_id", help="The id of a device: all its sessions.")
@click.option("--user", "user_id", help="The id of a user: all their sessions.")
@json_option
@with_appcontext
def revoke(session_id: str | None, device_id: str | None, user_id: str | None, as_json: bool) -> None:
    """Revoke one session, or all sessions of a device or user. Takes effect everywhere within a second."""
    if [session_id, device_id, user_id].count(None) != 2:
        raise click.UsageError("name one of --session, --device and --user")
    ended = _run(lambda: _revoke(session_id, device_id, user_id or ""))
    text = f"revoked {len(ended)} session{'' if len(ended) == 1 else 's'}"
    click.echo(jsonlib.dumps({"ended": ended}) if as_json else text)


def _revoke(session_id: str | None, device_id: str | None, user_id: str) -> list[str]:
    revocation = app_state().with_database().revocation
    if session_id is not None:
        return revocation.revoke(session_id, None, "operator")
    if device_id is not None:
        return revocation.revoke_device(device_id, None, "operator")
    return revocation.revoke_user(user_id, "operator")


@group.command("cleanup")
@json_option
@with_appcontext
def cleanup(as_json: bool) -> None:
    """Delete sessions that ended longer than CORBADO_SESSION_RETENTION ago, in batches too short to block sign-ins."""
    total = 0
    batches = app_state().with_database().revocation.delete_old()
    while (deleted := _run(lambda: next(batches, None))) is not None:
        total += deleted
        if not as_json:
            click.echo(f"\rdeleted {total} rows so far", nl=False, err=True)
    if total and not as_json:
        click.echo(err=True)
    click.echo(jsonlib.dumps({"deleted": total}) if as_json else f"deleted {total} rows")


@group.command("stats")
@json_option
@with_appcontext
def stats(as_json: bool) -> None:
    """Count the active sessions, their users and devices, and the sessions that ended in the last day, by reason.

    Each count takes half a minute at most. One that would take longer says "at least", and is named by the JSON's
    at_least.
    """
    counts = _run(app_state().with_database().revocation.stats)
    if as_json:
        click.echo(jsonlib.dumps(counts, indent=2))
        return
    ended, at_least = counts.pop("ended_in_a_day"), counts.pop("at_least")
    rows = [(name.replace("_", " "), _number(value, name in at_least)) for name, value in counts.items()]
    more = "ended_in_a_day" in at_least
    rows += [(f"ended in a day: {reason}", _number(value, more)) for reason, value in sorted(ended.items())]
    _table(("COUNT OF", "NUMBER"), rows)


@group.command("check")
@json_option
@with_appcontext
def check(as_json: bool) -> None:
    """Name each risky setting and what to do about it. Exits with 1 if there is one."""
    risks = risky_settings()
    if as_json:
        click.echo(jsonlib.dumps({"risks": risks}, indent=2))
    else:
        click.echo("\n".join(f"- {risk}" for risk in risks) or "no risky settings found")
    if risks:
        raise SystemExit(1)


def _run(work: Callable[[], T]) -> T:
    try:
        return work()
    except SessionNotFound:
        raise click.ClickException("no such session or device") from None
    except (StoreUnavailable, TablesMissing) as error:
        raise click.ClickException(str(error)) from None


def _number(value: int, at_least: bool) -> str:
    return f"at least {value}" if at_least else str(value)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(session: LongSession) -> tuple[str, ...]:
    times = (f"{at:%Y-%m-%d %H:%M}" for at in (session.created_at, session.last_seen_at))
    user_id = printable(session.user_id, USER_ID_LENGTH) or "-"  # a user id may be a stranger's text
    return session.session_id, user_id, session.device_title, *times, session.ip or "-"


def _as_json(session: LongSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "device_id": session.device_id,
        "device": session.device_title,
        "ip": session.ip,
        "amr": list(session.amr),
        "created_at": session.created_at.isoformat(),
        "last_seen_at": session.last_seen_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
    }
