"""Print what commands found out: tables for people, JSON for programs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNFOLDED = 10_000  # columns: what is not shown on a terminal is not to be folded either


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the terminal; in a pipe or a file, one line for each row whatever its length."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else _UNFOLDED
    Console(width=width, highlight=False).print(table)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> str:
    """Write a table whose first `names` columns are texts, and the others numbers, which stand to the right.

    Takes some microseconds a row; `print_table`, which folds what is too wide, takes some hundred.
    """
    widths = [max(map(cell_len, cells)) for cells in zip(heads, *rows, strict=True)]
    text = io.StringIO()
    for cells in (heads, *rows):
        padded = [
            set_cell_size(cell, width) if index < names else " " * (width - cell_len(cell)) + cell
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        text.write(f"{'  '.join(padded).rstrip()}\n")
    return text.getvalue()
