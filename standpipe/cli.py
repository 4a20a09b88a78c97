"""The command `standpipe`: gives every command its name, and every error one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import typer

from standpipe.errors import CommandFailed
from standpipe.later import LaterGroup, reflow
from standpipe.later import register as _register

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
    """Run one command and return its exit code; what goes wrong is one line on stderr, its notes below."""
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
                return _complain("standpipe", str(cause), cause.exit_code, getattr(cause, "__notes__", ()))
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


def _complain(who: str, message: str, exit_code: int, notes: Iterable[str] = ()) -> int:
    sys.stderr.write("\n".join([f"{who}: {' '.join(message.split())}", *notes, ""]))
    return exit_code


def _new_app(**settings: Any) -> typer.Typer:
    names = {"help_option_names": ["-h", "--help"]}
    shown: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": "rich"}
    return typer.Typer(cls=LaterGroup, context_settings=names, **shown, **settings)


def _group(name: str, panel: str, about: str) -> typer.Typer:
    """Make a command that has commands below it."""
    group = _new_app(no_args_is_help=True)
    app.add_typer(group, name=name, help=about, rich_help_panel=panel)
    return group


def _print_version(asked: bool) -> None:
    if asked:
        from standpipe.commands.version import version_of

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
        return
    from plumbing.logs import set_up_logs

    set_up_logs("standpipe", "error")


app = _new_app(epilog=EXIT_CODES, invoke_without_command=True, add_completion=True)
app.callback(help=reflow(_begin.__doc__))(_begin)

_register(app, "up", "up:up", "Run")
_register(app, "demo", "demo:demo", hidden=True)

_register(app, "emit", "emit:emit", "Send")
_register(app, "run", "run:run", "Send", context_settings={"allow_interspersed_args": False})

_register(app, "firehose", "firehose:firehose", "Read")
_register(app, "tail", "tail:tail", "Read")
_register(app, "promql", "promql:promql", "Read")
_register(app, "query", "query:query", "Read")
_register(app, "sql", "sql:sql", "Read")

_register(app, "top", "top:top", "Operate")
_register(app, "log-meta", "log_meta:log_meta", "Operate")
_register(app, "ledger", "ledger:ledger", "Operate")
_register(app, "certs", "certs:certs", "Operate")
_register(app, "version", "version:version", "Operate")

_nozzles = _group(
    "nozzle", "Deliver", "Write the firehose elsewhere: list, make and run nozzles, and see how they are doing."
)
_register(_nozzles, "list", "nozzle:list_kinds")
_register(_nozzles, "new", "nozzle:new")
_register(_nozzles, "run", "nozzle:run", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
_register(_nozzles, "status", "nozzle:status")

_drains = _group("drain", "Deliver", "Have the logs of a source delivered as syslog, and see how that goes.")
_register(_drains, "add", "drain:add")
_register(_drains, "list", "drain:list_drains")
_register(_drains, "remove", "drain:remove")
_register(_drains, "status", "drain:status")
_register(_drains, "test", "drain:send_test")

_store = _group("store", "Operate", "See what the event store of this machine holds, and whether it is sound.")
_register(_store, "stats", "store:stats")
_register(_store, "verify", "store:verify")
_register(_store, "compact", "store:compact")
_register(_store, "ship", "ship:ship")
_register(_store, "export", "ship:export")
_register(_store, "import", "import_files:import_files")
_register(_store, "backup", "backup:backup")

_tokens = _group("token", "Operate", "Make, list and revoke the tokens that readers present.")
_register(_tokens, "create", "token:create")
_register(_tokens, "list", "token:list_tokens")
_register(_tokens, "revoke", "token:revoke")
