"""``flask corbado-session keys``: make the key file, rotate its keys, show them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import click
from flask.cli import AppGroup, FlaskGroup

from ..keys import rotation as key_rotation
from ..keys.file import KeyFileError, read
from ..keys.jwk import state_of
from ..keys.key import KEY_TYPES, SigningAlgorithm
from ..keys.ring import KeyFile
from ..web.state import app_state

ALGORITHMS = click.Choice(list(KEY_TYPES))
LEAST_MINUTES = int(key_rotation.PREPUBLICATION.total_seconds() // 60)
T = TypeVar("T")

group = AppGroup("keys", help="The signing keys of CORBADO_SESSION_KEYS_FILE: make, rotate, show.")


@group.command("generate")
@click.option("--alg", type=ALGORITHMS, default="RS256", show_default=True, help="RS256 is what every SDK reads.")
def generate(alg: SigningAlgorithm) -> None:
    """Make the key file, readable by its owner alone, with one key that signs at once."""
    path = _key_file().path
    made = _asked(lambda: key_rotation.generate(path, alg))
    click.echo(f"made {path}: {made.kid} ({alg}) signs from now on")


@group.command("rotate")
@click.option(
    "--in",
    "minutes",
    type=click.IntRange(LEAST_MINUTES, 365 * 24 * 60),
    metavar="MINUTES",
    default=LEAST_MINUTES,
    show_default=True,
    help="Minutes until the new key signs, so that every verifier has fetched it by then.",
)
@click.option("--alg", type=ALGORITHMS, help="The new key's algorithm.  [default: as now]")
@click.option("--force", is_flag=True, help="Take back a key that waits to sign: it leaves the file at once.")
def rotate(minutes: int, alg: SigningAlgorithm | None, force: bool) -> None:
    """Publish a new key at once and let it sign later; running processes notice by themselves."""
    keys, state = _key_file(), app_state()
    delay, now = timedelta(minutes=minutes), state.clock.now()
    lifetime = state.settings.short_lifetime
    done = _asked(lambda: key_rotation.rotate(keys.path, now, lifetime, delay=delay, algorithm=alg, force=force))
    for each in done.taken_back:
        click.echo(f"took back {each.kid}, which had signed nothing")
    click.echo(f"published {done.new.kid} ({done.new.key.algorithm}), which signs from {_time(done.new.signs_from)}")
    click.echo(f"the keys before it stay published until {_time(done.old_until)} at most")


@group.command("show")
def show() -> None:
    """Each key's id, algorithm, state (next, signing, retiring, expired) and times; never a private member."""
    path, now = _key_file().path, app_state().clock.now()
    keys = _asked(lambda: read(path))
    line = "{:<43}  {:<5}  {:<8}  {:<20}  {}"
    click.echo(line.format("kid", "alg", "state", "signs from", "published until"))
    for each in keys:
        times = _time(each.signs_from), _time(each.published_until)
        click.echo(line.format(each.kid, each.key.algorithm, state_of(each, keys, now), *times))


def key_risks() -> list[str]:
    """What ``check`` says of the key file, a line each."""
    keys = app_state().keys
    if not isinstance(keys, KeyFile):
        return []
    try:
        keys.load()
    except KeyFileError as error:
        return [str(error)]
    return []


def _key_file() -> KeyFile:
    keys = app_state().keys
    if not isinstance(keys, KeyFile):
        raise click.ClickException(
            "CORBADO_SESSION_KEYS_FILE is not set, so SECRET_KEY signs; set it to a path such as keys.json, "
            "which begins at the instance folder unless it is absolute"
        )
    return keys


def _asked(work: Callable[[], T]) -> T:
    try:
        return work()
    except KeyFileError as error:
        raise click.ClickException(str(error)) from None


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def is_running_command() -> bool:
    """Whether Flask makes this app to look for a command in it; ``flask run`` is none of the app's."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)
