"""Show the result of a PromQL query: a table of values, CSV over time, or a plot. No I/O, no clock."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from standpipe.printing import columns
from standpipe.reading.show import safe

MAX_PLOTTED = 12
"""Series in a plot: more cannot be told apart."""
_COLOURS = (4, 1, 2, 3, 5, 6, 12, 9, 10, 11, 13, 14)
"""Of the 256 of a terminal."""
_MARKERS = ("•", "×", "+", "o", "*", "#", "%", "@", "=", "&", "$", "~")
_TICKS = 6
_DAY_S = 86400
_LEAST_WIDTH, _LEAST_HEIGHT = 40, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The values of one set of labels, over time; a scalar is one without labels."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, str]]
    """Seconds since 1970, and the value as the server wrote it."""


def parse_result(answer: Any) -> list[Series]:
    """Read an answer of Prometheus's API; what is none fails as it happens to: `KeyError`, `TypeError` and the like."""
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    if kind in ("scalar", "string"):
        return [Series(labels={}, points=[_point(result)])]
    return [
        Series(
            labels={str(name): str(value) for name, value in each["metric"].items()},
            points=[_point(point) for point in (each["values"] if kind == "matrix" else [each["value"]])],
        )
        for each in result
    ]


def in_table(series: Sequence[Series]) -> str:
    """Write a table for people: one row for each series, with its labels and its newest value."""
    names = sorted({name for each in series for name in each.labels})
    rows = [[*(each.labels.get(name, "") for name in names), each.points[-1][1]] for each in series if each.points]
    return columns([*map(safe, names), "value"], [[safe(cell) for cell in row] for row in rows], names=len(names))


def in_csv(series: Sequence[Series]) -> str:
    """Write a table for programs: a row for each time, a column for each series."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *(name_of(each.labels) for each in series)])
    columns = [dict(each.points) for each in series]
    for moment in sorted({moment for column in columns for moment in column}):
        writer.writerow([_iso(moment), *(column.get(moment, "") for column in columns)])
    return text.getvalue()


def plot(series: Sequence[Series], title: str, *, width: int, height: int, coloured: bool) -> str:
    """Draw up to `MAX_PLOTTED` series over time, with a legend; values that are no numbers are left out."""
    drawn = series[:MAX_PLOTTED]
    lines = [_numbers(each) for each in drawn]
    moments = [moment for line in lines for moment, _ in line]
    if not moments:
        return "no numbers to draw\n"
    legend = [_key(index, name, coloured=coloured) for index, name in enumerate(_names(drawn))]
    if len(series) > MAX_PLOTTED:
        legend.append(f"and {len(series) - MAX_PLOTTED:,} more, which are not drawn")
    import plotext  # type: ignore[import-untyped]  # it ships no types, and takes every command 100 ms to import

    plotext.terminal.limit(False)
    figure = plotext.figure.clear()
    figure.plot_size(max(width, _LEAST_WIDTH), max(height - len(legend) - 1, _LEAST_HEIGHT))
    figure.theme("simple" if coloured else "colorless")
    figure.title(safe(title))
    for index, line in enumerate(lines):
        if line:
            times, values = zip(*line, strict=True)
            marker = plotext.marker("hd", _COLOURS[index]) if coloured else _MARKERS[index]
            figure.draw(figure.signal(list(times), list(values), marker=marker).lines())
    ticks = _ticks(min(moments), max(moments))
    figure.ruler("x").ticks(list(ticks), list(ticks.values()))
    return "\n".join([figure.build().string(colorless=not coloured).rstrip("\n"), *legend, ""])


def name_of(labels: Mapping[str, str]) -> str:
    """Write labels as PromQL does."""
    pairs = (f'{name}="{_quoted(value)}"' for name, value in sorted(labels.items()))
    return f"{{{','.join(pairs)}}}"


def _key(index: int, name: str, *, coloured: bool) -> str:
    return f"\x1b[38;5;{_COLOURS[index]}m━━\x1b[0m {name}" if coloured else f"{_MARKERS[index]}  {name}"


def _names(series: Sequence[Series]) -> list[str]:
    """Name series by the labels in which they differ; one alone by all it has."""
    everywhere = set.intersection(*(set(each.labels.items()) for each in series)) if len(series) > 1 else set()
    return [safe(name_of(dict(set(each.labels.items()) - everywhere))) for each in series]


def _numbers(series: Series) -> list[tuple[float, float]]:
    return [(moment, number) for moment, value in series.points if math.isfinite(number := float(value))]


def _ticks(first: float, last: float) -> dict[float, str]:
    form = "%H:%M:%S" if last - first < _DAY_S else "%m-%d %H:%M"
    moments = [first + (last - first) * step / (_TICKS - 1) for step in range(_TICKS)] if last > first else [first]
    return {moment: time.strftime(form, time.localtime(moment)) for moment in moments}


def _point(point: Sequence[Any]) -> tuple[float, str]:
    return float(point[0]), str(point[1])


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _iso(moment: float) -> str:
    whole, milliseconds = divmod(round(moment * 1000), 1000)
    fraction = f".{milliseconds:03}" if milliseconds else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f"{fraction}Z"
