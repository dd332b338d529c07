"""The extension's templates are read in Jinja's own syntax, also in an app whose templates use another."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, Template
from jinja2.runtime import Context

_FOLDER = Path(__file__).parents[1] / "templates"
_SYNTAX: dict[str, Any] = {
    "block_start_string": "{%",
    "block_end_string": "%}",
    "variable_start_string": "{{",
    "variable_end_string": "}}",
    "comment_start_string": "{#",
    "comment_end_string": "#}",
    "line_statement_prefix": None,
    "line_comment_prefix": None,
    "trim_blocks": False,
    "lstrip_blocks": False,
}


class _OwnTemplate(Template):
    """It escapes what it shows, whatever the app's templates do: a device's name is whatever its owner typed."""

    def new_context(self, *args: Any, **kwargs: Any) -> Context:
        context = super().new_context(*args, **kwargs)
        context.eval_ctx.autoescape = True
        return context


class OwnSyntaxLoader(BaseLoader):
    """Wraps the loader of an app's templates; the app's own files of the same names stay in the app's syntax."""

    def __init__(self, loader: BaseLoader) -> None:
        self._loader = loader
        self.has_source_access = loader.has_source_access

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """As the wrapped loader finds it."""
        return self._loader.get_source(environment, template)

    def list_templates(self) -> list[str]:
        """As the wrapped loader lists them."""
        return self._loader.list_templates()

    def load(self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None) -> Template:
        """The template, compiled."""
        source, filename, is_current = self.get_source(environment, name)
        if filename is None or not Path(filename).is_relative_to(_FOLDER):
            return self._loader.load(environment, name, globals)
        # the template stays the environment's: only while it is compiled is another syntax in force
        code = environment.overlay(**_SYNTAX, autoescape=True).compile(source, name, filename)
        return _OwnTemplate.from_code(environment, code, {} if globals is None else globals, is_current)
