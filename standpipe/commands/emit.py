"""`standpipe emit`: hand logs and metrics to the agent, and return when it has them."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from typing import Annotated

import trio
import typer

from standpipe.options import Address, Ca, Cert, DataDir, Instance, Key, Source, Tags
from standpipe.system import System
from standpipe.writing.outbox import Outbox, open_outbox
from standpipe.writing.pace import Pace
from standpipe.writing.split_lines import LineSplitter
from standpipe.writing.stdin import Stdin
from standpipe.writing.write_envelopes import batch_of, parse_origin, write_metrics
from standpipe.writing.write_logs import BATCH_LINES, LogWriter

Many = list[str] | None


def emit(
    source: Source,
    text: Annotated[
        Many, typer.Argument(metavar="TEXT|-", help="The words of one log; - sends each line of stdin as a log.")
    ] = None,
    instance: Instance = "0",
    tag: Tags = None,
    err: Annotated[bool, typer.Option("--err", help="Send logs as error output (ERR), not as output (OUT).")] = False,
    counter: Annotated[Many, typer.Option(metavar="NAME=DELTA", help="Add to a counter. Repeatable.")] = None,
    gauge: Annotated[
        Many, typer.Option(metavar="NAME=VALUE[:UNIT]", help="Report a value. Repeatable: they make one envelope.")
    ] = None,
    timer: Annotated[
        Many,
        typer.Option(
            metavar="NAME=START,STOP",
            help="Report how long something took: two times, each in nanoseconds since 1970 or like "
            "2026-01-31T12:00:00.5Z. Repeatable. It gets the tags request_id, method (GET) and peer_type (Client) "
            "unless you give them: v1 readers see no timer without.",
        ),
    ] = None,
    event: Annotated[Many, typer.Option(metavar="TITLE=BODY", help="Report an event. Repeatable.")] = None,
    rate: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="LINES",
            help="Send at most so many lines of stdin a second, so that ordinary readers keep up; 0: no limit.",
        ),
    ] = 50_000,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Send logs and metrics to the agent, and return when it has confirmed all of them.

    The words of TEXT are joined by spaces and sent as one log. With - in their place, each line of standard input is
    sent as soon as it is there: any bytes, without LF or CRLF, lines over 60 KiB in pieces. Ctrl-C ends the reading;
    what was read by then still arrives.

        standpipe emit --source shop "order 17 has shipped"
        standpipe emit --source shop --tag region=eu --counter orders=1 --gauge queue=12:jobs
        tail -F shop.log | standpipe emit --source shop -
    """
    origin = parse_origin(source, instance, tag or [])
    metrics = write_metrics(
        origin,
        time.time_ns(),
        counters=counter or [],
        gauges=gauge or [],
        timers=timer or [],
        events=event or [],
        new_request_id=lambda: str(uuid.uuid4()),
    )
    if not text and not metrics:
        raise typer.BadParameter("nothing to send: give TEXT, - for standard input, or a metric", param_hint=["TEXT"])
    system = System.find(data_dir, address=address, ca=ca, cert=cert, key=key)
    pace = Pace(rate)
    writer = LogWriter(origin.head, time.time_ns, err=err, batch_lines=pace.group(BATCH_LINES))
    ready = [(batch_of(metrics), len(metrics))] if metrics else []
    if text == ["-"]:
        trio.run(_emit_stdin, system, ready, writer, pace)
    else:
        line = os.fsencode(" ".join(text or []))
        groups = writer.groups(LineSplitter().pieces(line)) if text else []
        ready += [(writer.write(group), len(group)) for group in groups]
        trio.run(_emit, system, ready)


async def _emit(system: System, ready: Sequence[tuple[bytes, int]]) -> None:
    async with open_outbox(system) as outbox:
        for batch, count in ready:
            await outbox.put(batch, count)


async def _emit_stdin(system: System, ready: Sequence[tuple[bytes, int]], writer: LogWriter, pace: Pace) -> None:
    stdin = Stdin()
    async with open_outbox(system) as outbox, trio.open_nursery() as nursery:
        await nursery.start(stdin.listen)
        for batch, count in ready:
            await outbox.put(batch, count)
        await _send_lines(stdin, outbox, writer, pace)
        nursery.cancel_scope.cancel()
    if stdin.ended_by:
        raise typer.Exit(128 + stdin.ended_by)


async def _send_lines(stdin: Stdin, outbox: Outbox, writer: LogWriter, pace: Pace) -> None:
    splitter = LineSplitter()
    reading = True
    while reading:
        chunk = await stdin.read()
        reading = bool(chunk)
        for group in writer.groups(splitter.feed(chunk) if reading else splitter.end()):
            if wait_s := pace.wait_s(len(group), trio.current_time()):
                await trio.sleep(wait_s)
            await outbox.put(writer.write(group), len(group))
