"""`standpipe promql`: ask the log cache about metrics, at one time or over a span of it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import orjson
import typer
from rich.console import Console

from standpipe.options import Address, Ca, DataDir, Token
from standpipe.reading.envelope_printer import palette_for
from standpipe.reading.https_client import making_sense
from standpipe.reading.log_cache import explained, open_log_cache
from standpipe.reading.session import notice, run_until_interrupted
from standpipe.reading.show import PLAIN
from standpipe.reading.show_promql import Series, in_csv, in_table, parse_result, plot
from standpipe.reading.stdout import Stdout
from standpipe.system import System
from standpipe.times import parse_moment, parse_span

_STEPS = 120
_LEAST_STEP_S = 1
_MOST_ROWS_OF_A_PLOT = 30

_MOMENT = "5m (ago), `now`, seconds since 1970, or 2026-01-31T12:00:00Z"


def promql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="PromQL; every metric in it names its source_id.")],
    at: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help=f"Ask about one time: {_MOMENT}. Default: now.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ask about a span of time that begins then.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="The end of the span that --start begins. Default: now.")
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help=f"A value so often: 30s, 5m. Default: {_STEPS} values, not below a second."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as it came.")] = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Ask the log cache about counters, gauges and timers in PromQL.

    Prints a table of labels and values; over a span of time, with --start, a plot, or where the output is no terminal
    CSV. A name is written with _ for every other character (http.latency: http_latency), a timer's value is in
    nanoseconds, a counter's is its total.

        standpipe promql 'cpu{source_id="shop"}'
        standpipe promql 'sum by (instance_id) (rate(orders{source_id="shop"}[5m]))' --start 1h
        standpipe promql 'http{source_id="shop"} / 1e6' --start 1h --end 30m --step 10s > latency.csv
    """
    path, parameters = _parameters(query, at, start, end, step)
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    run_until_interrupted(lambda: _ask(find(), path, parameters, as_json=as_json))


async def _ask(system: System, path: str, parameters: Mapping[str, str], *, as_json: bool) -> None:
    with explained(system):
        async with open_log_cache(system) as cache:
            answer = await cache.ask(path, parameters)
        if as_json:
            text = answer.decode("utf-8", "replace").rstrip("\n") + "\n"
        else:
            with making_sense():
                text = _shown(parse_result(orjson.loads(answer)), parameters)
    await Stdout().write(text.encode())


def _shown(series: Sequence[Series], parameters: Mapping[str, str]) -> str:
    if not series:
        notice("no metric is in the log cache that this asks for")
        return ""
    over_time = any(len(each.points) > 1 for each in series)
    if not over_time and "start" not in parameters:
        return in_table(series)
    if not sys.stdout.isatty():
        return in_csv(series)
    terminal = Console()
    height = min(terminal.height, _MOST_ROWS_OF_A_PLOT)
    coloured = palette_for() is not PLAIN
    return plot(series, parameters["query"], width=terminal.width, height=height, coloured=coloured)


def _parameters(
    query: str, at: str | None, start: str | None, end: str | None, step: str | None
) -> tuple[str, Mapping[str, str]]:
    """Return what is asked, and where: at one time, or, with a start, over a span."""
    now = time.time()
    if start is None:
        if end is not None or step is not None:
            raise typer.BadParameter("a span of time needs its beginning: give --start", param_hint=["--start"])
        return "/api/v1/query", {
            "query": query,
            **({"time": f"{_moment(at, now, '--time'):.3f}"} if at is not None else {}),
        }
    if at is not None:
        raise typer.BadParameter("give one time, or a span of it", param_hint=["--time", "--start"])
    first, last = _moment(start, now, "--start"), _moment(end or "now", now, "--end")
    if last < first:
        raise typer.BadParameter("the span ends before it begins", param_hint=["--start", "--end"])
    span = {"start": f"{first:.3f}", "end": f"{last:.3f}", "step": f"{_step(step, last - first):.3f}"}
    return "/api/v1/query_range", {"query": query, **span}


def _moment(text: str, now: float, option: str) -> float:
    try:
        return parse_moment(text, now)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=[option]) from error


def _step(text: str | None, span_s: float) -> float:
    """Return the seconds between two values; without a text, so many that there are `_STEPS` of them at most."""
    if text is None:
        return float(max(_LEAST_STEP_S, math.ceil(span_s / _STEPS)))
    try:
        step = float(text) if text.replace(".", "", 1).isdecimal() else parse_span(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=["--step"]) from error
    if step <= 0:
        raise typer.BadParameter("a step takes time", param_hint=["--step"])
    return step
