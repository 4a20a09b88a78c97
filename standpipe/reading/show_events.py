"""Show what an event store answers: events as lines, tables, figures over time as a plot. No I/O, no clock."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from standpipe.reading.show import PLAIN, Palette, in_columns, safe
from standpipe.reading.show_promql import Series, plot
from standpipe.units import duration_text

_ALARMING = ("error", "fatal")
_KIND_WIDTH = 7
_NUMERIC = ("number", "integer")
_UNFOLDED = 10_000  # columns: what is not shown on a terminal is not to be folded either


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A table, as the store wrote it."""

    columns: Sequence[tuple[str, str]]
    """The name of each, and its type."""
    rows: Sequence[Sequence[Any]]
    warnings: Sequence[str]

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return [name for name, _ in self.columns]

    @property
    def are_events(self) -> bool:
        """Whether the rows are events."""
        return {"time", "seq", "fields"} <= set(self.names)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The rows as objects."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]

    @property
    def is_over_time(self) -> bool:
        """Whether the rows are figures at several times."""
        return (
            not self.are_events
            and list(self.columns[:1]) == [("time", "time")]
            and any(type_ in _NUMERIC for _, type_ in self.columns)
            and len({row[0] for row in self.rows}) > 1
        )


def parse_answer(value: Any) -> Answer:
    """Read an answer; what is none fails as it happens to: `KeyError`, `TypeError` and the like."""
    columns = [(str(each["name"]), str(each["type"])) for each in value["columns"]]
    rows = [list(row) for row in value["rows"]]
    if any(len(row) != len(columns) for row in rows):
        raise ValueError("a row that has not the columns of its table")
    return Answer(columns=columns, rows=rows, warnings=[str(each) for each in value.get("warnings", ())])


def event_line(event: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """Write an event as one line without its end: time, sender, severity or type, and what it says."""
    kind = str(event.get("severity") or event.get("type") or "").upper()
    who = {
        "timestamp": nanoseconds(str(event["time"])),
        "source_id": str(event.get("source_id") or ""),
        "instance_id": str(event.get("instance_id") or ""),
    }
    alarming = event.get("severity") in _ALARMING
    return in_columns(who, f"{safe(kind):<{_KIND_WIDTH}}", _text(event), palette, alarming=alarming)


def in_table(answer: Answer, width: int | None = None) -> str:
    """Write a table for people, as wide as that; without a width, one line for each row whatever its length."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for name, type_ in answer.columns:
        table.add_column(safe(name), justify="right" if type_ in _NUMERIC else "left", overflow="fold")
    for row in answer.rows:
        cells = (_cell(value, type_) for value, (_, type_) in zip(row, answer.columns, strict=True))
        table.add_row(*(Text(safe(cell)) for cell in cells))
    text = io.StringIO()
    Console(file=text, width=width or _UNFOLDED, highlight=False, force_terminal=width is not None).print(table)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def in_plot(answer: Answer, title: str, *, width: int, height: int, coloured: bool) -> str:
    """Draw figures over time: a line for each column of numbers, and each group."""
    return plot(_series(answer), title, width=width, height=height, coloured=coloured)


def nanoseconds(time: str) -> int:
    """Read a time as the store writes it; `ValueError` if it is none."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    seconds = round(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0") or 0)


def _series(answer: Answer) -> list[Series]:
    groups = [at for at, (_, type_) in enumerate(answer.columns) if at and type_ not in _NUMERIC]
    figures = [at for at, (_, type_) in enumerate(answer.columns) if type_ in _NUMERIC]
    points: dict[tuple[tuple[str, str], ...], list[tuple[float, str]]] = {}
    for row in answer.rows:
        moment = nanoseconds(row[0]) / 10**9
        labels = tuple((answer.names[at], "" if row[at] is None else str(row[at])) for at in groups)
        for at in figures:
            key = (*labels, *([("value", answer.names[at])] if len(figures) > 1 or not labels else []))
            if row[at] is not None:
                points.setdefault(key, []).append((moment, str(row[at])))
    return [Series(labels=dict(key), points=found) for key, found in points.items()]


def _text(event: Mapping[str, Any]) -> str:
    message, name = event.get("message"), event.get("name")
    if message is not None:
        text = str(message).rstrip("\r\n")
        return f"{name}:{text}" if name else text
    if (duration := event.get("duration")) is not None:
        return f"{name or ''} {duration_text(int(duration))}"
    return f"{name or ''}:{_cell(event.get('value'), 'number')} {event.get('unit') or ''}".rstrip()


def _cell(value: Any, type_: str) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.15g}"
        case str():
            return _short_time(value) if type_ == "time" else value
        case dict() | list():
            return orjson.dumps(value).decode()
        case _:
            return str(value)


def _short_time(time: str) -> str:
    whole, dot, fraction = time.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{dot if fraction else ''}{fraction}Z"
