"""`standpipe run`: run a command, show its output as ever, and ship it as logs."""

from __future__ import annotations

import sys
import time
from contextlib import AsyncExitStack
from typing import Annotated

import trio
import typer

from standpipe.errors import CommandFailed
from standpipe.options import Address, Ca, Cert, DataDir, Instance, Key, Source, Tags
from standpipe.system import System
from standpipe.writing.outbox import AGENT, Shipment, Undeliverable, open_shipment
from standpipe.writing.pass_through import pass_through
from standpipe.writing.split_lines import LineSplitter
from standpipe.writing.write_envelopes import Origin, parse_origin
from standpipe.writing.write_logs import LogWriter


def run(
    source: Source,
    command: Annotated[list[str], typer.Argument(metavar="CMD", help="The command and its arguments.")],
    instance: Instance = "0",
    tag: Tags = None,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Run a command; its output goes to the terminal as ever, and to the agent as logs.

    Each line of stdout becomes a log of type OUT, each of stderr one of type ERR. Signals are passed on, and the exit
    code is the command's own: 128 + n when signal n killed it, 127 when there is no such command, 126 when it cannot
    be executed. Without an agent the command runs all the same; how many lines were not shipped is said at the end.
    Many programs write in larger blocks when stdout is no terminal; `stdbuf -oL` or `python -u` helps.

        standpipe run --source shop -- ./shop --port 8000
        standpipe run --source backup --tag host=db1 -- sh -c 'pg_dump shop > shop.sql'
    """
    origin = parse_origin(source, instance, tag or [])
    system: System | CommandFailed
    try:
        system = System.find(data_dir, address=address, ca=ca, cert=cert, key=key)
        system.tls()
        system.address(AGENT)
    except CommandFailed as error:
        system = error
    raise typer.Exit(trio.run(_run, command, origin, system))


async def _run(command: list[str], origin: Origin, system: System | CommandFailed) -> int:
    async with AsyncExitStack() as stack:
        if isinstance(system, System):
            logs: Shipment | Undeliverable = await stack.enter_async_context(open_shipment(system))
        else:
            logs = Undeliverable(str(system))
        out, err = _Logs(origin, logs, err=False), _Logs(origin, logs, err=True)
        code = await pass_through(command, out.feed, err.feed)
        out.end()
        err.end()
    if logs.lost:
        sys.stderr.write(f"standpipe run: {logs.lost:,} of {logs.put_total:,} lines were not shipped: {logs.trouble}\n")
    return code


class _Logs:
    """Ships the lines of one stream of the command."""

    def __init__(self, origin: Origin, shipment: Shipment | Undeliverable, *, err: bool) -> None:
        self._shipment = shipment
        self._splitter = LineSplitter()
        self._writer = LogWriter(origin.head, time.time_ns, err=err)

    def feed(self, chunk: bytes) -> None:
        self._ship(self._splitter.feed(chunk))

    def end(self) -> None:
        self._ship(self._splitter.end())

    def _ship(self, lines: list[bytes]) -> None:
        for group in self._writer.groups(lines):
            self._shipment.put(self._writer.write(group), len(group))
