"""`standpipe emit`: hand logs and metrics to the agent, and return when it has them."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import trio
import typer

from plumbing.diode import Parcel
from standpipe.errors import CommandFailed
from standpipe.options import Address, Ca, Cert, DataDir, Instance, Key, Source, Tags
from standpipe.outbox import Outbox, open_outbox
from standpipe.split_lines import LineSplitter
from standpipe.system import System
from standpipe.write_envelopes import batch_of, parse_origin, write_metrics
from standpipe.write_logs import BATCH_LINES, LogWriter

STDIN = 0
_CHUNK_BYTES = 256 << 10
_PACE_EVERY_S = 0.02
"""At a set rate lines leave in groups worth this long: short enough to look steady."""


def emit(
    source: Source,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT… | -", help="Words of one log; `-` sends every line of stdin as a log."),
    ] = None,
    instance: Instance = "0",
    tag: Tags = None,
    err: Annotated[bool, typer.Option("--err", help="Send logs as error output (ERR) instead of OUT.")] = False,
    counter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=DELTA", help="Add to a counter. Repeatable.")
    ] = None,
    gauge: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE[:UNIT]", help="Report a value. Repeatable: all of them make one envelope."),
    ] = None,
    timer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=START,STOP",
            help="Report how long something took: two times, in nanoseconds since 1970 or like "
            "2026-01-31T12:00:00.5Z. Repeatable. Gets the tags request_id, method=GET and peer_type=Client unless "
            "they are given: without them old readers see no timers.",
        ),
    ] = None,
    event: Annotated[list[str] | None, typer.Option(metavar="TITLE=BODY", help="Report an event. Repeatable.")] = None,
    rate: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="LINES",
            help="Lines of stdin sent in a second at most, so that ordinary readers keep up; 0: as fast as possible.",
        ),
    ] = 50_000,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Send logs and metrics to the agent, and return when it has confirmed all of them.

    TEXT is joined by spaces and sent as one log. With `-`, every line of standard input is sent as a log as soon as
    it is there: any bytes, without their LF or CRLF, and lines over 60 KiB in pieces. Ctrl-C ends the reading; what
    was read by then is still sent and confirmed.

        standpipe emit --source shop "order 17 has shipped"
        standpipe emit --source shop --tag region=eu --counter orders=1 --gauge queue=12:jobs
        tail -F /var/log/shop.log | standpipe emit --source shop -
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
        raise typer.BadParameter("nothing to send: give TEXT, - for standard input, or a metric", param_hint="TEXT")
    system = System.find(data_dir, address=address, ca=ca, cert=cert, key=key)
    parcels = [Parcel(batch_of(metrics), len(metrics))] if metrics else []
    if text == ["-"]:
        pace = Pace(rate, trio.current_time)
        lines = LogWriter(origin.head, time.time_ns, batch_lines=pace.group)
        ...
