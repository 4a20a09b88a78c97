"""`standpipe tail`: what one source sent lately, out of the log cache, and what it sends from then on."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from envelope.errors import DecodeError
from standpipe.options import Address, Ca, DataDir, Json, Token
from standpipe.reading.envelope_printer import palette_for
from standpipe.reading.follow import follow
from standpipe.reading.log_cache import explained, open_log_cache
from standpipe.reading.log_cache_answers import EARLIEST, Envelope
from standpipe.reading.newest import Wanted, newest
from standpipe.reading.session import notice, run_until_interrupted
from standpipe.reading.show import Palette
from standpipe.reading.show_v2 import line
from standpipe.reading.stdout import Stdout
from standpipe.system import System
from standpipe.times import parse_moment

DEFAULT_LINES = 10
_NO_LIMIT = sys.maxsize
_AT_ONCE = 1000  # envelopes written before somebody who has seen enough is noticed


class Kind(StrEnum):
    """The types of envelopes."""

    LOG = "log"
    COUNTER = "counter"
    GAUGE = "gauge"
    TIMER = "timer"
    EVENT = "event"


def tail(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source_id to read.")],
    lines: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--lines",
            metavar="N",
            min=0,
            show_default=False,
            help=f"Print the newest N. Default: {DEFAULT_LINES}, or with --since all from then on.",
        ),
    ] = None,
    forever: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C, through lost connections."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only from this time on: 90s, 5m or 2h ago, or 2026-01-31T12:00:00Z."),
    ] = None,
    kinds: Annotated[
        list[Kind] | None,
        typer.Option("--type", "-t", metavar="TYPE", help="Only log, counter, gauge, timer or event. Repeatable."),
    ] = None,
    name_filter: Annotated[
        str,
        typer.Option(
            "--name-filter",
            metavar="RE",
            help="Only counters, gauges and timers with a name in which this pattern (RE2) is found; no logs.",
        ),
    ] = "",
    as_json: Json = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Print what one source sent lately, and with -f go on with what it sends, without a gap or a repeat.

    Comes from the log cache: logs, counters, gauges, timers and events, the oldest first. One line each: time, source
    and instance, type (OUT or ERR for a log), what it says, with control characters spelled out; --json has every
    envelope as it is, one on a line. With -f lines are printed in order of arrival. If some expired before they could
    be read, stderr says how many. The live stream of an app, which needs no log cache: `standpipe firehose --app`.

        standpipe tail shop
        standpipe tail -f shop
        standpipe tail shop --since 15m --type log | grep -i timeout
        standpipe tail shop -n 5000 --type gauge --name-filter '^cpu' --json | jq .gauge.metrics.cpu.value
        standpipe tail -n 0 -f shop
    """
    if not source:
        raise typer.BadParameter("a name must not be empty")
    wanted = Wanted(
        source=source,
        kinds=[kind.upper() for kind in kinds or ()],
        name_filter=name_filter,
        since=EARLIEST if since is None else _nanoseconds(since),
    )
    most = lines if lines is not None else DEFAULT_LINES if since is None else _NO_LIMIT
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    printer = _Printer(Stdout(), as_json=as_json, palette=palette_for())
    try:
        run_until_interrupted(lambda: _print(find, wanted, most, printer, forever=forever))
    finally:
        if printer.undecodable:
            notice(f"{printer.undecodable} of the envelopes made no sense and are not shown")


class _Printer:
    """Prints envelopes: as they came for programs, as lines for people."""

    def __init__(self, stdout: Stdout, *, as_json: bool, palette: Palette) -> None:
        self.undecodable = 0
        """Envelopes that could not be printed as lines."""
        self._stdout = stdout
        self._as_json = as_json
        self._palette = palette

    async def show(self, envelopes: Iterable[Envelope]) -> bool:
        """Print these; False when nobody reads the output any more."""
        return await self._stdout.write(b"".join(map(self._line, envelopes)))

    def _line(self, envelope: Envelope) -> bytes:
        if self._as_json:
            return envelope.json + b"\n"
        try:
            return f"{line(envelope.json, self._palette)}\n".encode()
        except DecodeError:
            self.undecodable += 1
            return b""


async def _print(find: Callable[[], System], wanted: Wanted, most: int, printer: _Printer, *, forever: bool) -> None:
    system = find()
    with explained(system):
        async with open_log_cache(system) as cache:
            found = await newest(cache, wanted, most)
        for start in range(0, len(found.envelopes), _AT_ONCE):
            if not await printer.show(found.envelopes[start : start + _AT_ONCE]):
                return
        if not forever:
            if most and not found.envelopes:
                notice(f"the log cache has nothing of {wanted.source} that was asked for")
            return
        async with aclosing(follow(find, wanted, found.place, notice, random.Random())) as arrivals:
            async for envelopes in arrivals:
                if not await printer.show(envelopes):
                    return


def _nanoseconds(since: str) -> int:
    try:
        return int(parse_moment(since, time.time()) * 10**9)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=["--since"]) from error
