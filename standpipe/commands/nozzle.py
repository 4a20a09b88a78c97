"""`standpipe nozzle`: list the kinds there are, write a new one, run one, see how those that run are doing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import trio
import typer

from nozzles.found import kinds, load_kind
from nozzles.sdk import NozzleKind
from plumbing.ledger import SINK
from plumbing.setting_sources import ConfigError, flag_of
from standpipe.books.balance import Book
from standpipe.books.read_books import open_books
from standpipe.errors import NotRunning
from standpipe.options import DataDir, Json
from standpipe.printing import print_json, print_table
from standpipe.skeleton.write_skeleton import write_skeleton
from standpipe.supervisor.rooms import NOZZLES
from standpipe.supervisor.settings import told_components
from standpipe.system import System, resolve_data_dir

_ROOM = NOZZLES.name

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", dir_okay=False, exists=True, help="TOML file with a table \\[nozzles.NAME]."
    ),
]


def list_kinds(as_json: Json = False) -> None:
    """List the kinds of nozzle that are installed, ours and others', with what each promises.

    standpipe nozzle list
    """
    rows = [_described(name) for name in kinds()]
    if as_json:
        print_json(rows)
    else:
        print_table(("kind", "delivers", "what it does"), [tuple(row.values()) for row in rows])


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called, like my-nozzle.")],
) -> None:
    """Write a package with a nozzle of your own, which works, and a test of it, which passes.

    standpipe nozzle new my-nozzle
    """
    directory = write_skeleton(name, Path.cwd())
    sys.stdout.write(f"wrote {directory}: its README.md says how to go on\n")


def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table \\[nozzles.NAME] of the file, or a kind.")],
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Run one nozzle on the running system, until Ctrl-C or SIGTERM.

    Further flags are settings of it: `python -m nozzles --name NAME --help` lists them.

    standpipe nozzle run json_lines
    standpipe nozzle run json_lines --sink.path=all.jsonl --filter.types=log
    standpipe nozzle run errors --config standpipe.toml
    """
    try:
        told = told_components(config, os.environ)[_ROOM].get(name, {})
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    directory = resolve_data_dir(data_dir)
    flags = {flag: value for flag, value in _places(name, directory, told).items() if flag not in told}
    command = [
        *(sys.executable, "-P", "-m", _ROOM, f"--name={name}"),
        *([f"--config={config}"] if config else []),
        *(f"{flag_of((flag,))}={value}" for flag, value in flags.items()),
        *context.args,
    ]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - the nozzle takes this process's place, and its signals


def status(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show the nozzles that run: what each took, delivered and skipped, holds and dropped.

    Those that `standpipe up` runs are shown; one that was started by hand answers on its own admin port.

    standpipe nozzle status
    """
    system = System.find(data_dir)
    running = [name.removesuffix(".admin") for name in system.endpoints if name.startswith(f"{_ROOM}.")]
    if not running:
        raise NotRunning("no nozzle is running: give the file of `standpipe up` a table [nozzles.NAME]")
    books = trio.run(_read, system)
    rows = [_row(name, books.get(name)) for name in running]
    if as_json:
        print_json(rows)
    else:
        print_table(tuple(rows[0]), [tuple(map(_cell, row.values())) for row in rows])


def about(kind: NozzleKind) -> str:
    """Say in one line what a kind does: what its module, or package, says of itself."""
    text = (sys.modules[kind.open.__module__.removesuffix(".service")].__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(text.split())


def _described(name: str) -> dict[str, str]:
    try:
        kind = load_kind(name)
    except ConfigError as error:
        return {"kind": name, "delivers": "-", "does": str(error)}
    return {"kind": name, "delivers": kind.delivery, "does": about(kind)}


def _places(name: str, data_dir: Path, told: Mapping[str, Any]) -> dict[str, object]:
    """Say where everything is that a nozzle of this system needs, as far as it was not `told`."""
    places: dict[str, object] = {**NOZZLES.files(f"{_ROOM}.{name}", data_dir)}
    if "doppler_addresses" not in told:
        system = System.find(data_dir)
        places["doppler_addresses"] = ",".join(map(system.address, system.all_of("doppler")))
    return places


async def _read(system: System) -> dict[str, Book]:
    async with open_books(system) as read:
        reading = await read()
    return {book.component: book for book in reading.books if not book.gone}


def _row(name: str, book: Book | None) -> dict[str, Any]:
    """Add up what the accounts of one nozzle say; without a book it did not answer."""
    if book is None:
        unknown = dict.fromkeys(("received", "delivered", "skipped", "held"))
        return {"nozzle": name, **unknown, "dropped": "does not answer"}
    came = sum(each.received for each in book.accounts if each.kind == "reader")
    sinks = [each for each in book.accounts if each.kind == SINK]
    return {
        "nozzle": name,
        "received": came,
        "delivered": sum(each.delivered for each in sinks),
        "skipped": sum(each.skipped for each in sinks),
        "held": sum(each.held for each in sinks),
        "dropped": _reasons(each.dropped for each in sinks),
    }


def _reasons(dropped: Iterable[Mapping[str, int]]) -> str:
    counts = [f"{reason} {count:,}" for each in dropped for reason, count in each.items() if count]
    return ", ".join(counts) or "0"


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
