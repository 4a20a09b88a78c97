"""Commands that are imported when they are called: until then, what is said of them is read from their source.

To import them all takes a second, and a person calls one.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context

_COMMANDS = Path(__file__).with_name("commands")


class Later(TyperCommand):
    """Stands for the command at `module:function` of `standpipe.commands`, in whose help is its docstring."""

    def __init__(self, at: str, **settings: Any) -> None:
        super().__init__(**{**settings, "help": None})
        self._module, _, self._function = at.partition(":")

    def explain(self) -> None:
        """Find out what it is for."""
        if self.help is None:
            source = (_COMMANDS / f"{self._module}.py").read_text(encoding="utf-8")
            functions = [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)]
            self.help = reflow(next(ast.get_docstring(each) for each in functions if each.name == self._function))

    def load(self) -> Command:
        """Import it."""
        real = getattr(import_module(f"standpipe.commands.{self._module}"), self._function)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
        alone.command(self.name, help=reflow(real.__doc__), context_settings=dict(self.context_settings))(real)
        return typer.main.get_command(alone)


class LaterGroup(TyperGroup):
    """Imports of its commands the one that is called, and nothing to list them."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Give a command as it is to be shown."""
        command = super().get_command(ctx, cmd_name)
        if isinstance(command, Later):
            command.explain()
        return command

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Give the command that is called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Later) else command, rest


def register(to: typer.Typer, name: str, at: str, panel: str | None = None, **settings: Any) -> None:
    """Give the command at `module:function` of `standpipe.commands` its name."""
    kind = cast("type[TyperCommand]", partial(Later, at))
    to.command(name, cls=kind, rich_help_panel=panel, **settings)(_nothing)


def _nothing() -> None:
    """Do it."""


def reflow(docstring: str | None) -> str:
    """Make help of a docstring: a paragraph becomes one line, save one of commands, which are examples."""
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    flowing = (
        _examples(each) if each.lstrip().startswith("standpipe ") else " ".join(each.split()) for each in paragraphs
    )
    return _escape("\n\n".join(flowing))


def _examples(commands: str) -> str:
    return textwrap.indent(textwrap.dedent(commands), "    ")


def _escape(text: str) -> str:
    if "[" not in text:  # then there is no need of rich, which takes a while
        return text
    from rich.markup import escape

    return escape(text)
