"""`standpipe query`: search the event store, and follow what comes to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any

import orjson
import typer

from standpipe.options import Address, Ca, DataDir, Token
from standpipe.reading.envelope_printer import palette_for
from standpipe.reading.event_store import explained
from standpipe.reading.follow_events import follow
from standpipe.reading.https_client import making_sense
from standpipe.reading.print_answer import Form, form_of, print_answer
from standpipe.reading.session import notice, run_until_interrupted
from standpipe.reading.show import Palette
from standpipe.reading.show_events import event_line
from standpipe.reading.stdout import Stdout
from standpipe.system import System

FIRST_EVENTS = 10
"""With -f, as many are printed of those that are there."""
_MOMENT = "15m (ago), now, 14:00, 2026-01-31T14:00:00Z (UTC), or seconds since 1970"

Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Print no more than N rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON; with -f, an event on each line.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")]
Arrow = Annotated[bool, typer.Option("--arrow", help="Print the rows as a stream of Arrow's IPC.")]


def query(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to search for, and what to make of it.")],
    forever: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C, through lost connections."),
    ] = False,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help=f"Search from then on: {_MOMENT}.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Search until then.")] = None,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_arrow: Arrow = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Search everything that was ever sent, and count it, in the event store.

    TEXT is a filter (words, "quoted phrases", field:value, status >= 500, /regex/, and, or, not), a time (last 15m;
    without one, the last hour) and stages behind `|`: tail, head, count, top, sum, avg, p99, histogram, fields, sort,
    limit. docs/query-language.md has all of it on one page.

    Prints events as lines, the newest last; figures as a table, or over time as a plot, where the output is a terminal.
    With -f it prints the newest events that a filter finds, 10 or --limit, and then what comes.

        standpipe query 'error app:web last 1h'
        standpipe query 'error last 1h | count by severity per 1m'
        standpipe query 'status >= 500 | top 20 path'
        standpipe query 'type:timer name:http | p50 p95 p99 duration by source_id'
        standpipe query --from 2h --to 1h --csv 'source:shop timeout' > shop.csv
        standpipe query -f 'severity >= warn'
    """
    form = form_of(as_json=as_json, as_csv=as_csv, as_arrow=as_arrow)
    given = {"start": start, "end": end, "limit": None if limit is None else str(limit)}
    parameters = {"query": text, **{name: value for name, value in given.items() if value is not None}}
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    if not forever:
        run_until_interrupted(lambda: print_answer(find(), "/api/query", parameters, form, text))
        return
    if start is not None or end is not None or form in (Form.CSV, Form.ARROW):
        raise typer.BadParameter("what comes has no end, and is printed as lines or --json", param_hint=["--follow"])
    first = FIRST_EVENTS if limit is None else limit
    run_until_interrupted(lambda: _follow(find, text, first, form))


async def _follow(find: Callable[[], System], text: str, first: int, form: Form) -> None:
    stdout, palette = Stdout(), palette_for()
    with explained(find(), text):
        async with aclosing(follow(find, text, first, notice, random.Random())) as arrivals:
            async for events in arrivals:
                with making_sense():
                    lines = _lines(events, form, palette)
                if not await stdout.write(lines):
                    return


def _lines(events: Iterable[dict[str, Any]], form: Form, palette: Palette) -> bytes:
    if form is Form.JSON:
        return b"".join(orjson.dumps(event) + b"\n" for event in events)
    return "".join(f"{event_line(event, palette)}\n" for event in events).encode()
