"""Ask an event store for a table, with a bar on long scans, and print it: for people, or in a format for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum

import orjson
import typer
from rich.console import Console

from standpipe.bar import bar
from standpipe.reading.envelope_printer import palette_for
from standpipe.reading.event_store import explained, open_event_store
from standpipe.reading.https_client import making_sense
from standpipe.reading.session import notice
from standpipe.reading.show import PLAIN
from standpipe.reading.show_events import Answer, event_line, in_plot, in_table, parse_answer
from standpipe.reading.stdout import Stdout
from standpipe.system import System
from standpipe.units import count_text

_MOST_ROWS_OF_A_PLOT = 30


class Form(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


def form_of(*, as_json: bool, as_csv: bool, as_arrow: bool) -> Form:
    """Return what was chosen; `typer.BadParameter` if that was more than one thing, or no good for a terminal."""
    chosen = [form for form, is_on in ((Form.JSON, as_json), (Form.CSV, as_csv), (Form.ARROW, as_arrow)) if is_on]
    if len(chosen) > 1:
        raise typer.BadParameter("give one of them", param_hint=[f"--{form}" for form in chosen])
    if chosen == [Form.ARROW] and sys.stdout.isatty():
        raise typer.BadParameter("this is nothing for a terminal: send it to a file", param_hint=["--arrow"])
    return chosen[0] if chosen else Form.TEXT


async def print_answer(system: System, path: str, parameters: Mapping[str, str], form: Form, title: str) -> None:
    """Ask, and print what is answered; warnings go to stderr."""
    stdout = Stdout()
    warnings: Sequence[str]
    with explained(system, title):
        async with open_event_store(system) as store:
            if form in (Form.CSV, Form.ARROW):
                body, warnings = await store.fetch(path, {**parameters, "format": str(form)})
            else:
                with bar() as tell:
                    value = await store.ask(path, parameters, lambda done, rows: tell(done, _scanned(done, rows)))
                with making_sense():
                    answer = parse_answer(value)
                    text = "" if form is Form.JSON else _shown(answer, title)
                body, warnings = orjson.dumps(value) + b"\n" if form is Form.JSON else text.encode(), answer.warnings
    for warning in warnings:
        notice(warning)
    if form is Form.TEXT and not body:
        notice("the event store has nothing that this finds")
    await stdout.write(body)


def _shown(answer: Answer, title: str) -> str:
    if not answer.rows:
        return ""
    if answer.are_events:
        palette = palette_for()
        return "".join(f"{event_line(event, palette)}\n" for event in answer.events)
    if not sys.stdout.isatty():
        return in_table(answer)
    terminal = Console()
    if answer.is_over_time:
        height = min(terminal.height, _MOST_ROWS_OF_A_PLOT)
        return in_plot(answer, title, width=terminal.width, height=height, coloured=palette_for() is not PLAIN)
    return in_table(answer, terminal.width)


def _scanned(done: float, rows: int) -> str:
    return f"{done:.0%}" + (f" {count_text(rows)} events" if rows else "")
