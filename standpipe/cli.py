"""The command `standpipe`: gives every command its name, and every error one line and an exit code."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from plumbing.logs import set_up_logs
from standpipe.commands.certs import certs
from standpipe.commands.demo import demo
from standpipe.commands.drain import add, list_drains, remove, send_test
from standpipe.commands.drain import status as drain_status
from standpipe.commands.emit import emit
from standpipe.commands.firehose import firehose
from standpipe.commands.ledger import ledger
from standpipe.commands.log_meta import log_meta
from standpipe.commands.nozzle import list_kinds, new, status
from standpipe.commands.nozzle import run as run_nozzle
from standpipe.commands.promql import promql
from standpipe.commands.query import query
from standpipe.commands.run import run
from standpipe.commands.ship import export, ship
from standpipe.commands.sql import sql
from standpipe.commands.store import compact, stats, verify
from standpipe.commands.tail import tail
from standpipe.commands.token import create, list_tokens, revoke
from standpipe.commands.top import top
from standpipe.commands.up import up
from standpipe.commands.version import version, version_of
from standpipe.errors import CommandFailed

INTERRUPTED = 130

EXIT_CODES = """\
Exit codes:
  0  done
  1  failed
  2  wrong usage, or a wrong setting
  3  not running, or it does not answer
  4  access denied
  128 + n  ended by signal n
`standpipe run` exits as its command does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what goes wrong is one line on stderr."""
    set_up_logs("standpipe", "error")
    try:
        code = typer.main.get_command(app).main(args=argv, prog_name="standpipe", standalone_mode=False)
    except (Exception, BaseExceptionGroup, KeyboardInterrupt) as error:
        return _explain(error)
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> int:
    """Print what a person can act on and return its exit code; raise again what is a fault of ours."""
    for cause in _causes(error):
        match cause:
            case KeyboardInterrupt():
                return INTERRUPTED
            case typer.Exit():
                return cause.exit_code
            case CommandFailed():
                return _complain("standpipe", str(cause), cause.exit_code)
            case typer.TyperException() if not cause.format_message():
                return cause.exit_code  # no arguments: the help has been printed
            case typer.TyperException():
                path = context.command_path if (context := getattr(cause, "ctx", None)) else "standpipe"
                return _complain(path, f"{cause.format_message()} (see `{path} --help`)", cause.exit_code)
    raise error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Take apart what nurseries put together."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


def _complain(who: str, message: str, exit_code: int) -> int:
    sys.stderr.write(f"{who}: {' '.join(message.split())}\n")
    return exit_code


def reflow(docstring: str | None) -> str:
    """Make help of a docstring: a paragraph becomes one line, save one of commands, which are examples."""
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    flowing = (
        _examples(each) if each.lstrip().startswith("standpipe ") else " ".join(each.split()) for each in paragraphs
    )
    return escape("\n\n".join(flowing))


def _examples(commands: str) -> str:
    return textwrap.indent(textwrap.dedent(commands), "    ")


def _new_app(**settings: Any) -> typer.Typer:
    names = {"help_option_names": ["-h", "--help"]}
    return typer.Typer(context_settings=names, pretty_exceptions_enable=False, rich_markup_mode="rich", **settings)


def _register(
    to: typer.Typer, name: str, command: Callable[..., None], panel: str | None = None, **settings: Any
) -> None:
    to.command(name, help=reflow(command.__doc__), rich_help_panel=panel, **settings)(command)


def _group(name: str, panel: str, about: str) -> typer.Typer:
    """Make a command that has commands below it."""
    group = _new_app(no_args_is_help=True)
    app.add_typer(group, name=name, help=about, rich_help_panel=panel)
    return group


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"standpipe {version_of('standpipe')}\n")
        raise typer.Exit


def _begin(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stream logs and metrics: from agents through Dopplers to whoever reads them, delivered or counted.

    Try `standpipe up` in one terminal, `standpipe firehose` in another, and `standpipe emit` in a third.
    """
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help())


app = _new_app(epilog=escape(EXIT_CODES), invoke_without_command=True, add_completion=True)
app.callback(help=reflow(_begin.__doc__))(_begin)

_register(app, "up", up, "Run")
_register(app, "demo", demo, hidden=True)

_register(app, "emit", emit, "Send")
_register(app, "run", run, "Send", context_settings={"allow_interspersed_args": False})

_register(app, "firehose", firehose, "Read")
_register(app, "tail", tail, "Read")
_register(app, "promql", promql, "Read")
_register(app, "query", query, "Read")
_register(app, "sql", sql, "Read")

_register(app, "top", top, "Operate")
_register(app, "log-meta", log_meta, "Operate")
_register(app, "ledger", ledger, "Operate")
_register(app, "certs", certs, "Operate")
_register(app, "version", version, "Operate")

_nozzles = _group(
    "nozzle", "Deliver", "Write the firehose elsewhere: list, make and run nozzles, and see how they are doing."
)
_register(_nozzles, "list", list_kinds)
_register(_nozzles, "new", new)
_register(_nozzles, "run", run_nozzle, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
_register(_nozzles, "status", status)

_drains = _group("drain", "Deliver", "Have the logs of a source delivered as syslog, and see how that goes.")
_register(_drains, "add", add)
_register(_drains, "list", list_drains)
_register(_drains, "remove", remove)
_register(_drains, "status", drain_status)
_register(_drains, "test", send_test)

_store = _group("store", "Operate", "See what the event store of this machine holds, and whether it is sound.")
_register(_store, "stats", stats)
_register(_store, "verify", verify)
_register(_store, "compact", compact)
_register(_store, "ship", ship)
_register(_store, "export", export)

_tokens = _group("token", "Operate", "Make, list and revoke the tokens that readers present.")
_register(_tokens, "create", create)
_register(_tokens, "list", list_tokens)
_register(_tokens, "revoke", revoke)
