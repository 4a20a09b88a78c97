"""`standpipe firehose`: read everything, or what one app sends, as it comes."""

from __future__ import annotations

import secrets
from enum import StrEnum
from functools import partial
from typing import Annotated

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
    app: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Only what this source sends to an app's stream: its logs, container metrics and the requests to it. "
            "Every reader gets all of it.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("-n", metavar="N", min=0, help="End after N envelopes; 0: no limit.")] = 0,
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
        standpipe firehose --app shop -n 1
    """
    if app is not None and (subscription is not None or kind is not None or explain):
        raise typer.BadParameter("an app's stream has no --subscription, --filter or --explain", param_hint=["--app"])
    query = {"filter-type": kind.value} if kind else {}
    if explain:
        query["explain"] = "1"
    name = subscription if subscription is not None else f"cli-{secrets.token_hex(4)}"
    path = ("firehose", _checked(name)) if app is None else ("apps", _checked(app), "stream")
    reading = Reading(partial(System.find, data_dir, address=address, ca=ca, token=token), path, query)
    printer = EnvelopePrinter(Stdout(), as_json=as_json, palette=palette_for(), limit=limit)
    _print(reading, printer, reconnect=reconnect)


def _checked(name: str) -> str:
    if not name:
        raise typer.BadParameter("a name must not be empty")
    return name


def _print(reading: Reading, printer: EnvelopePrinter, *, reconnect: bool) -> None:
    """Print until the printer has enough, the stream ends for good, or somebody interrupts."""

    async def work() -> None:
        with reading.explained():
            await read_ahead(reading.arrivals(reconnect=reconnect), printer.show)

    try:
        run_until_interrupted(work)
    finally:
        if printer.undecodable:
            notice(f"{printer.undecodable} messages were not v1 envelopes and are not shown")
