"""`standpipe firehose` and `standpipe tail`: read everything, or one source, as it comes."""

from __future__ import annotations

import math
import secrets
from enum import StrEnum
from functools import partial
from typing import Annotated

import trio
import typer

from standpipe.options import Address, Ca, DataDir, Json, Token
from standpipe.reading.envelope_printer import EnvelopePrinter, palette_for
from standpipe.reading.read_ahead import read_ahead
from standpipe.reading.session import Reading, notice, run_until_interrupted
from standpipe.reading.stdout import Stdout
from standpipe.system import System


class Filter(StrEnum):
    """What the server knows to leave out."""

    LOGS = "logs"
    METRICS = "metrics"


def firehose(
    subscription: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Share the stream with every other reader of this name. Default: a name nobody else has, which gets "
            "everything.",
        ),
    ] = None,
    kind: Annotated[Filter | None, typer.Option("--filter", help="Only logs, or all but logs.")] = None,
    as_json: Json = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Have the server say why it closes the stream of a reader that is too slow."),
    ] = False,
    reconnect: Annotated[
        bool, typer.Option(help="Connect again when the stream ends; without, exit with code 3.")
    ] = True,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Print every envelope that reaches the Dopplers, as it comes, until Ctrl-C (exit code 0).

    One line each: time, source and instance, type, what it says. Control characters are spelled out, so that no log
    can play tricks on a terminal; --json has every message as it was. When this reader was too slow and envelopes were
    dropped for it, a line says how many.

        standpipe firehose
        standpipe firehose --filter logs | grep -i timeout
        standpipe firehose --json | jq -c 'select(.type == "counter") | {source_id, name, total}'
        standpipe firehose --subscription archive --json >> archive-1.jsonl
    """
    query = {"filter-type": kind.value} if kind else {}
    if explain:
        query["explain"] = "1"
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    reading = Reading(find, ("firehose", _checked(subscription or f"cli-{secrets.token_hex(4)}")), query)
    _print(reading, EnvelopePrinter(Stdout(), as_json=as_json, palette=palette_for()), reconnect=reconnect)


def tail(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source_id to read.")],
    forever: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C, through lost connections.")
    ] = False,
    limit: Annotated[int, typer.Option("-n", metavar="N", min=0, help="End after N envelopes; 0: no limit.")] = 0,
    quiet: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="Without -f: end when nothing has come for so long.")
    ] = 2.0,
    as_json: Json = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Print what one source sends: its logs, its container metrics and the requests to it, from now on.

    Ends when the source has been quiet for two seconds; with -f, at Ctrl-C (exit code 0). Counters and other metrics
    are not in this stream: `standpipe firehose --filter metrics` has them.

        standpipe tail shop
        standpipe tail -f shop --json | jq -r .message
        standpipe tail -n 1 f47ac10b-58cc-4372-a567-0e02b2c3d479
    """
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    reading = Reading(find, ("apps", _checked(source), "stream"), {})
    printer = EnvelopePrinter(Stdout(), as_json=as_json, palette=palette_for(), limit=limit)
    _print(reading, printer, reconnect=forever, quiet_s=math.inf if forever else quiet)


def _checked(name: str) -> str:
    if not name:
        raise typer.BadParameter("a name must not be empty")
    return name


def _print(reading: Reading, printer: EnvelopePrinter, *, reconnect: bool, quiet_s: float = math.inf) -> None:
    """Print until the printer has enough, the source is quiet for `quiet_s`, or somebody interrupts."""

    async def work() -> None:
        with trio.CancelScope() as until_quiet, reading.explained():

            async def show(messages: list[bytes]) -> bool:
                until_quiet.deadline = math.inf  # a pager may take its time
                go_on = await printer.show(messages)
                until_quiet.deadline = trio.current_time() + quiet_s
                return go_on

            await read_ahead(reading.arrivals(reconnect=reconnect), show)

    try:
        run_until_interrupted(work)
    finally:
        if printer.undecodable:
            notice(f"{printer.undecodable} messages were not v1 envelopes and are not shown")
