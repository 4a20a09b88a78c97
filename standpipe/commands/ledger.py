"""`standpipe ledger`: show every component's books, and whether they balance."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Annotated

import orjson
import trio
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from standpipe.books.balance import COLUMNS, Book, Reading, Verdict, as_object, rows
from standpipe.books.read_books import audit, open_books
from standpipe.options import DataDir, Json
from standpipe.reading.session import run_until_interrupted
from standpipe.reading.show import safe
from standpipe.reading.stdout import Stdout
from standpipe.system import System
from standpipe.units import duration_text

WATCH_EVERY_S = 2.0
_PRINTED_WIDTH = 160
_HOPS = ("from → to", "delivered", "in flight", "received", "lost", "surplus")
_TEXTS = ("account", "kind", "dropped", "from → to")


def ledger(
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show what became of every envelope, at every component: delivered, dropped and why, skipped, held or in flight.

    Each account must balance: received = delivered + dropped + skipped + held + in flight. And what one component
    delivered, the next must have received. Exit code 0: the books balance; 1: they do not, or one is missing; 3: no
    component answers. A process that died is there with its book as last seen, up to a second before the end; a
    difference from then on is shown, and taken as explained.

        standpipe ledger
        standpipe ledger --watch
        standpipe ledger --json | jq '.books[].accounts[] | select(.dropped | add > 0)'
    """
    system = System.find(data_dir)
    last: list[Verdict] = []
    run_until_interrupted(lambda: _look(system, last, as_json=as_json, watch=watch))
    if not watch and not last[-1].balanced:
        raise typer.Exit(1)


async def _look(system: System, last: list[Verdict], *, as_json: bool, watch: bool) -> None:
    """Read and show the books, once or again and again; leaves the latest verdict in `last`."""
    stdout = Stdout()
    live = Live(auto_refresh=False) if watch and not as_json and sys.stdout.isatty() else None
    async with open_books(system) as read:
        with live or nullcontext():
            while True:
                reading, verdict = await audit(read)
                last[:] = [verdict]
                if live is not None:
                    live.update(picture(reading, verdict, time.time(), verdict_first=True), refresh=True)
                elif not await stdout.write(_json(reading, verdict) if as_json else _text(reading, verdict)):
                    break
                if not watch:
                    break
                await trio.sleep(WATCH_EVERY_S)


def picture(reading: Reading, verdict: Verdict, now: float, *, verdict_first: bool = False) -> Group:
    """Draw all books, the hops between them, and the verdict; `now` in seconds since 1970."""
    books, summary = _books(reading, now), _summary(reading, verdict)
    return Group(*summary, "", *books) if verdict_first else Group(*books, *summary)


def _books(reading: Reading, now: float) -> Iterator[RenderableType]:
    for book in reading.books:
        yield _heading(book, now)
        yield _table(COLUMNS, rows(book))
        yield ""


def _summary(reading: Reading, verdict: Verdict) -> Iterator[RenderableType]:
    if verdict.crossings:
        hops = [
            (hop.name, *(f"{n:,}" for n in (hop.delivered, hop.in_flight, hop.received, hop.lost, hop.surplus)))
            for hop in verdict.crossings
        ]
        yield _table(_HOPS, hops)
        yield ""
    for remark in verdict.remarks:
        yield Text(safe(remark), style="yellow")
    for problem in verdict.problems:
        yield Text(safe(problem), style="red")
    if verdict.balanced:
        but = ", but for what dead processes took with them" if verdict.remarks else ""
        yield Text(f"The books balance{but}.", style="bold green")
    else:
        words = "The books do not balance." if _differs(reading, verdict) else "Not all books are here."
        yield Text(words, style="bold red")


def _differs(reading: Reading, verdict: Verdict) -> bool:
    """Tell a difference from a book that could not be read."""
    return len(verdict.problems) > len(reading.unreachable)


def _heading(book: Book, now: float) -> Text:
    heading = Text(safe(book.component), style="bold")
    if book.gone:
        heading.append(f"  gone, as last seen (life {book.incarnation})", style="yellow")
    else:
        age = duration_text(max(0, int(now - book.started_at)) * 10**9)
        heading.append(f"  pid {book.pid}, up {age}", style="dim")
    return heading


def _table(columns: Sequence[str], lines: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        if column in _TEXTS:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)  # half a number would be a wrong one
    for line in lines:
        table.add_row(*(Text(safe(cell)) for cell in line))
    return table


def _text(reading: Reading, verdict: Verdict) -> bytes:
    """Write the picture as text; coloured on a terminal only."""
    text = io.StringIO()
    on_terminal = sys.stdout.isatty()
    width = Console().width if on_terminal else _PRINTED_WIDTH
    Console(file=text, width=width, force_terminal=on_terminal, highlight=False).print(
        picture(reading, verdict, time.time())
    )
    return text.getvalue().encode()


def _json(reading: Reading, verdict: Verdict) -> bytes:
    return orjson.dumps(as_object(reading, verdict), option=orjson.OPT_APPEND_NEWLINE)
