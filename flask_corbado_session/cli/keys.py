"""``flask corbado-session keys``: create the key file, rotate its keys, show them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import click
from flask.cli import AppGroup

from ..keys import rotation as key_rotation
from ..keys.file import KeyFileError, read
from ..keys.jwk import state_of
from ..keys.key import KEY_TYPES, SigningAlgorithm
from ..keys.ring import KeyFile
from ..web.state import app_state

ALGORITHMS = click.Choice(list(KEY_TYPES))
MIN_MINUTES = int(key_rotation.PREPUBLICATION.total_seconds() // 60)
T = TypeVar("T")

group = AppGroup("keys", help="Manage the signing keys of CORBADO_SESSION_KEYS_FILE: generate, rotate, show.")


@group.command("generate")
@click.option("--alg", type=ALGORITHMS, default="RS256", show_default=True, help="Every SDK supports RS256.")
def generate(alg: SigningAlgorithm) -> None:
    """Create the key file, readable by its owner only, with one key that signs at once."""
    path = _key_file().path
    key = _run(lambda: key_rotation.generate(path, alg))
    click.echo(f"created {path}: {key.kid} ({alg}) signs from now on")


@group.command("rotate")
@click.option(
    "--in",
    "minutes",
    type=click.IntRange(MIN_MINUTES, 365 * 24 * 60),
    metavar="MINUTES",
    default=MIN_MINUTES,
    show_default=True,
    help="Minutes until the new key signs; every verifier must have fetched it by then.",
)
@click.option("--alg", type=ALGORITHMS, help="The new key's algorithm.  [default: that of the current key]")
@click.option("--force", is_flag=True, help="First take back a key that is published but does not sign yet.")
def rotate(minutes: int, alg: SigningAlgorithm | None, force: bool) -> None:
    """Publish a new key now and sign with it later. Running processes need no restart."""
    keys, state = _key_file(), app_state()
    delay, now = timedelta(minutes=minutes), state.clock.now()
    lifetime = state.settings.short_lifetime
    rotated = _run(lambda: key_rotation.rotate(keys.path, now, lifetime, delay=delay, algorithm=alg, force=force))
    for key in rotated.taken_back:
        click.echo(f"took back {key.kid}, which had signed nothing")
    new = rotated.new
    click.echo(f"published {new.kid} ({new.key.algorithm}), which signs from {_time(new.signs_from)}")
    click.echo(f"older keys stay published until {_time(rotated.old_until)} at most")


@group.command("show")
def show() -> None:
    """Show each key's id, algorithm, state (next, signing, retiring, expired) and times; nothing private."""
    path, now = _key_file().path, app_state().clock.now()
    keys = _run(lambda: read(path))
    line = "{:<43}  {:<5}  {:<8}  {:<20}  {}"
    click.echo(line.format("kid", "alg", "state", "signs from", "published until"))
    for key in keys:
        times = _time(key.signs_from), _time(key.published_until)
        click.echo(line.format(key.kid, key.key.algorithm, state_of(key, keys, now), *times))


def key_risks() -> list[str]:
    """The risks of the key file, one line each, for ``check``."""
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
            "CORBADO_SESSION_KEYS_FILE is not set, so SECRET_KEY signs. Set it to a path such as keys.json; "
            "a relative path is resolved against the instance folder"
        )
    return keys


def _run(work: Callable[[], T]) -> T:
    try:
        return work()
    except KeyFileError as error:
        raise click.ClickException(str(error)) from None


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
