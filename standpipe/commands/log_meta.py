"""`standpipe log-meta`: which sources the log cache holds, how much of each, and who is noisy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import orjson
import trio
import typer

from standpipe.options import Address, Ca, DataDir, Json, Token
from standpipe.printing import columns
from standpipe.reading.https_client import making_sense
from standpipe.reading.log_cache import LogCache, explained, open_log_cache
from standpipe.reading.session import run_until_interrupted
from standpipe.reading.show import safe
from standpipe.reading.source_meta import Order, SourceMeta, in_order, measured, parse_meta
from standpipe.reading.stdout import Stdout
from standpipe.system import System
from standpipe.units import count_text, duration_text

_PRINTED_ROWS = 100


def log_meta(
    sort: Annotated[
        Order | None,
        typer.Option(
            "--sort-by",
            metavar="ORDER",
            help="By source, or whoever has most first: count, expired, duration, rate. Default: source, or with "
            "--noise rate.",
            show_default=False,
        ),
    ] = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Measure for an interval how much comes now, the noisiest first.")
    ] = False,
    interval: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long --noise measures.")] = 10.0,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            show_default=False,
            help=f"Print N sources at most; 0: all. Default: {_PRINTED_ROWS}, with --json all.",
        ),
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Show what the log cache holds of each source: how many envelopes, over what time, and how many have expired.

    The rate is in envelopes a minute, over the time that is held; --noise measures it, with what expires meanwhile.

        standpipe log-meta
        standpipe log-meta --sort-by count --limit 10
        standpipe log-meta --noise --interval 60
        standpipe log-meta --json | jq -r '.[] | select(.expired == 0) | .source_id'
    """
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    order = sort or (Order.RATE if noise else Order.SOURCE)
    most = limit if limit is not None else 0 if as_json else _PRINTED_ROWS
    run_until_interrupted(lambda: _show(find(), order, interval if noise else 0.0, most, as_json=as_json))


async def _show(system: System, order: Order, interval_s: float, most: int, *, as_json: bool) -> None:
    with explained(system):
        async with open_log_cache(system) as cache:
            sources = await _meta(cache)
            if interval_s:
                since = trio.current_time()
                await trio.sleep(interval_s)
                later = await _meta(cache)
                sources = measured(sources, later, trio.current_time() - since)
    ranked = in_order(sources, order)
    shown = ranked[:most] if most else ranked
    write = _json if as_json else _table
    await Stdout().write(write(shown, len(ranked) - len(shown)))


async def _meta(cache: LogCache) -> list[SourceMeta]:
    answer = await cache.ask("/api/v1/meta", {})
    with making_sense():
        return parse_meta(orjson.loads(answer))


def _json(sources: Sequence[SourceMeta], _: int) -> bytes:
    return orjson.dumps([_as_object(each) for each in sources], option=orjson.OPT_APPEND_NEWLINE)


def _as_object(source: SourceMeta) -> Mapping[str, Any]:
    return {
        "source_id": source.source_id,
        "count": source.count,
        "expired": source.expired,
        "oldest_timestamp": source.oldest,
        "newest_timestamp": source.newest,
        "duration_s": round(source.duration_s, 3),
        "rate_per_min": round(source.rate, 3),
    }


def _table(sources: Sequence[SourceMeta], left_out: int) -> bytes:
    rows = [_as_row(each) for each in sources]
    text = columns(("source", "count", "expired", "duration", "rate/min"), rows)
    if left_out:
        text += f"and {count_text(left_out)} more\n"
    return text.encode()


def _as_row(source: SourceMeta) -> tuple[str, ...]:
    numbers = count_text(source.count), count_text(source.expired)
    return safe(source.source_id), *numbers, duration_text(int(source.duration_s * 10**9)), count_text(source.rate)
