"""``flask corbado-session``, as the app has it: its commands are imported when one is run, and in no server."""

from __future__ import annotations

import click
from flask.cli import AppGroup, FlaskGroup


class _LazyGroup(AppGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._commands().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # an app may have added one of its own to this group
        return super().get_command(ctx, cmd_name) or self._commands().get_command(ctx, cmd_name)

    def _commands(self) -> AppGroup:
        from .commands import group

        return group


group = _LazyGroup(
    "corbado-session", help="Manage long sessions: create the tables, list, revoke and clean up sessions."
)


def is_running_command() -> bool:
    """Whether Flask makes this app to look for a command in it; ``flask run`` is none of the app's."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)
