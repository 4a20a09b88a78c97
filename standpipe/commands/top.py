"""`standpipe top`: which sources send how much, at this moment."""

from __future__ import annotations

import io
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import orjson
import trio
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from standpipe.options import Address, Ca, DataDir, Json, Token
from standpipe.reading.session import Reading, run_until_interrupted
from standpipe.reading.show import safe
from standpipe.reading.stdout import Stdout
from standpipe.reading.traffic import Load, Traffic, ranked
from standpipe.system import System
from standpipe.units import bytes_text, count_text

_PRINTED_ROWS = 100
_PRINTED_WIDTH = 120
_ROWS_AROUND = 5
"""Lines of a screen that are no sources: the total, the heading, what is left out, the prompt."""


class Order(StrEnum):
    """What the sources are ranked by."""

    RATE = "rate"
    BYTES = "bytes"
    ERRORS = "errors"


_FIELDS = {Order.RATE: "envelopes", Order.BYTES: "bytes", Order.ERRORS: "errors"}


def top(
    interval: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long to count each time.")] = 2.0,
    count: Annotated[int, typer.Option(metavar="N", min=0, help="End after N intervals; 0: go on until Ctrl-C.")] = 0,
    once: Annotated[bool, typer.Option("--once", help="Count for one interval only, like --count 1.")] = False,
    sort: Annotated[
        Order, typer.Option(help="Who comes first: whoever sends most envelopes, bytes or errors.")
    ] = Order.RATE,
    as_json: Json = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Show who sends how much: envelopes, bytes and errors a second of each source, until Ctrl-C (exit code 0).

    Errors are logs to ERR, requests answered with 500 or above, and error events. This reads the firehose under a name
    of its own and takes nothing from other readers. Up to 10,000 sources are told apart in an interval; beyond that
    the quietest count in the total only. With --json, each interval is one object on one line.

        standpipe top
        standpipe top --once --sort errors
        standpipe top --interval 60 --json | jq -r '.sources[0].source_id'
    """
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    reading = Reading(find, ("firehose", f"top-{secrets.token_hex(4)}"), {})
    intervals = 1 if once else count
    board = Board(Stdout(), sort, as_json=as_json, live=not as_json and intervals != 1 and sys.stdout.isatty())
    run_until_interrupted(lambda: _watch(reading, board, interval, intervals))


async def _watch(reading: Reading, board: Board, interval_s: float, intervals: int) -> None:
    """Count and show until so many intervals have passed (0: for ever), or nobody looks any more."""
    count = _Count()
    with board.lit():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_count, reading, count)
            await count.open.wait()
            since, shown = trio.current_time(), 0
            while not 0 < intervals <= shown:
                await trio.sleep_until(since + interval_s)
                traffic, now = count.take(), trio.current_time()
                if not await board.show(traffic, now - since):
                    break
                since, shown = now, shown + 1
            nursery.cancel_scope.cancel()


class _Count:
    """The interval that is being counted."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.traffic = Traffic()

    def take(self) -> Traffic:
        """End the interval and begin the next."""
        traffic, self.traffic = self.traffic, Traffic()
        return traffic


async def _count(reading: Reading, count: _Count) -> None:
    with reading.explained():
        async with aclosing(reading.arrivals(reconnect=True)) as arrivals:
            async for messages in arrivals:
                count.open.set()
                for message in messages:
                    count.traffic.add(message)


class Board:
    """Where the counts are shown: a live table on a terminal, else a table or a line of JSON after the other."""

    def __init__(self, stdout: Stdout, order: Order, *, as_json: bool, live: bool) -> None:
        self._stdout = stdout
        self._order = order
        self._as_json = as_json
        self._live = Live(auto_refresh=False) if live else None

    @contextmanager
    def lit(self) -> Iterator[None]:
        """Keep the live table for the time of the block."""
        if self._live is None:
            yield
            return
        with self._live:
            yield

    async def show(self, traffic: Traffic, seconds: float) -> bool:
        """Show one interval; False when nobody looks any more."""
        if self._as_json:
            line = orjson.dumps(as_object(traffic, seconds, self._order), option=orjson.OPT_APPEND_NEWLINE)
            return await self._stdout.write(line)
        if self._live is not None:
            rows = max(1, self._live.console.height - _ROWS_AROUND)
            self._live.update(_picture(traffic, seconds, self._order, rows), refresh=True)
            return True
        text = io.StringIO()
        plain = Console(file=text, width=_PRINTED_WIDTH)
        plain.print(_picture(traffic, seconds, self._order, _PRINTED_ROWS))
        return await self._stdout.write(text.getvalue().encode())


def as_object(traffic: Traffic, seconds: float, order: Order) -> Mapping[str, Any]:
    """Describe one interval for programs."""
    return {
        "seconds": round(seconds, 3),
        **_rates(traffic.total, seconds),
        "dropped": traffic.dropped,
        "undecodable": traffic.undecodable,
        "forgotten_sources": traffic.forgotten,
        "sources": [
            {"source_id": source, **_rates(load, seconds)} for source, load in ranked(traffic.sources, _FIELDS[order])
        ],
    }


def _rates(load: Load, seconds: float) -> Mapping[str, float]:
    return {f"{field}_per_s": round(getattr(load, field) / seconds, 3) for field in _FIELDS.values()}


def _sources(count: int) -> str:
    return "1 source" if count == 1 else f"{count_text(count)} sources"


def _picture(traffic: Traffic, seconds: float, order: Order, most: int) -> Group:
    """Draw one interval: the total, the sources, and how many of them are left out."""
    total = traffic.total
    heading = Text(
        f"{_sources(len(traffic.sources) + traffic.forgotten)}   {count_text(total.envelopes / seconds)} "
        f"envelopes/s   {bytes_text(total.bytes / seconds)}/s   {count_text(total.errors / seconds)} errors/s",
        style="bold",
    )
    if traffic.dropped:
        heading.append(f"   {count_text(traffic.dropped)} dropped for this reader", style="bold red")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source", no_wrap=True, min_width=20)
    for name in ("envelopes/s", "bytes/s", "errors/s"):
        table.add_column(name, justify="right", no_wrap=True)
    sources = ranked(traffic.sources, _FIELDS[order])
    for source, load in sources[:most]:
        errors = Text(count_text(load.errors / seconds), style="red" if load.errors else "")
        rate, size = count_text(load.envelopes / seconds), f"{bytes_text(load.bytes / seconds)}/s"
        table.add_row(Text(safe(source)), rate, size, errors)
    left_out = len(sources) - most + traffic.forgotten if len(sources) > most else traffic.forgotten
    return Group(heading, table, *([Text(f"and {count_text(left_out)} more")] if left_out else []))
