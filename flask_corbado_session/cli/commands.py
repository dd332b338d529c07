"""``flask corbado-session``: tables for people, ``--json`` for scripts."""

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

group = AppGroup("corbado-session", help="Long sessions: the tables, who is signed in, revoking, cleaning up.")
group.add_command(keys_group)
for_scripts = click.option("--json", "as_json", is_flag=True, help="For scripts.")


@group.command("init-db")
@with_appcontext
def init_db() -> None:
    """Create the tables, where they do not exist yet. With Flask-Migrate, migrate instead."""
    made = _ask(app_state().with_database().database.create_tables)
    click.echo(f"there are now: {', '.join(made)}")


@group.command("list")
@click.argument("user_id", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@for_scripts
@with_appcontext
def list_sessions(user_id: str | None, limit: int, as_json: bool) -> None:
    """Who is signed in where: the live sessions of a user, or those that started last."""
    sessions = _ask(lambda: app_state().with_database().revocation.live_sessions(user_id, limit))
    if as_json:
        click.echo(jsonlib.dumps([_as_json(session) for session in sessions], indent=2))
    elif not sessions:
        click.echo(f"{user_id} is signed in nowhere" if user_id else "nobody is signed in")
    else:
        _table(("SESSION", "USER", "DEVICE", "SIGNED IN", "LAST SEEN", "IP"), [_row(session) for session in sessions])


@group.command("revoke")
@click.option("--session", "session_id", help="One session, by its id.")
@click.option("--device", "device_id", help="All sessions of a device, by its id.")
@click.option("--user", "user_id", help="All sessions of a user.")
@for_scripts
@with_appcontext
def revoke(session_id: str | None, device_id: str | None, user_id: str | None, as_json: bool) -> None:
    """End one session, a device's, or a user's; everywhere within a second."""
    if sum(each is not None for each in (session_id, device_id, user_id)) != 1:
        raise click.UsageError("name one of --session, --device and --user")
    overview = app_state().with_database().revocation
    if session_id is not None:
        ended = _ask(lambda: overview.revoke(session_id, None, "operator"))
    elif device_id is not None:
        ended = _ask(lambda: overview.revoke_device(device_id, None, "operator"))
    else:
        ended = _ask(lambda: overview.revoke_user(user_id or "", "operator"))
    text = f"ended {len(ended)} session{'' if len(ended) == 1 else 's'}"
    click.echo(jsonlib.dumps({"ended": ended}) if as_json else text)


@group.command("cleanup")
@for_scripts
@with_appcontext
def cleanup(as_json: bool) -> None:
    """Delete what ended longer than CORBADO_SESSION_RETENTION ago, in short batches that nobody waits for."""
    total = 0
    batches = app_state().with_database().revocation.delete_old()
    while (forgotten := _ask(lambda: next(batches, None))) is not None:
        total += forgotten
        if not as_json:
            click.echo(f"\rdeleted {total} rows so far", nl=False, err=True)
    if total and not as_json:
        click.echo(err=True)
    click.echo(jsonlib.dumps({"deleted": total}) if as_json else f"deleted {total} rows")


@group.command("stats")
@for_scripts
@with_appcontext
def stats(as_json: bool) -> None:
    """How many sessions serve, for how many users and devices, and how those of the last day ended."""
    counted = _ask(app_state().with_database().revocation.stats)
    if as_json:
        click.echo(jsonlib.dumps(counted, indent=2))
        return
    ended = counted.pop("ended_in_a_day")
    rows = [(name.replace("_", " "), str(value)) for name, value in counted.items()]
    rows += [(f"ended in a day: {reason}", str(value)) for reason, value in sorted(ended.items())]
    _table(("WHAT", "HOW MANY"), rows)


@group.command("check")
@for_scripts
@with_appcontext
def check(as_json: bool) -> None:
    """Name every risky setting and what to do; exits 1 if there is one."""
    risks = risky_settings()
    if as_json:
        click.echo(jsonlib.dumps({"risks": risks}, indent=2))
    else:
        click.echo("\n".join(f"- {risk}" for risk in risks) or "nothing risky found")
    if risks:
        raise SystemExit(1)


def _ask(work: Callable[[], T]) -> T:
    try:
        return work()
    except SessionNotFound:
        raise click.ClickException("there is no such session or device") from None
    except (StoreUnavailable, TablesMissing) as error:
        raise click.ClickException(str(error)) from None


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
