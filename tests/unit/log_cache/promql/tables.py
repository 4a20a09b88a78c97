"""Columns as a test writes and reads them: `{"up app=a": "1 2 _"}` is a series named up, absent at its third step."""

import math

import numpy as np

from envelope.numbers_as_text import shortest
from log_cache.promql.values import NAME, Columns, Labels, Value, labels_of

Table = dict[str, str]


def labels(text: str) -> Labels:
    words = [word if "=" in word else f"{NAME}={word}" for word in text.split()]
    return labels_of(dict(word.split("=", 1) for word in words))


def table(rows: Table, steps: int = 1) -> Columns:
    """Make columns; `steps` is how many there are if there are no rows."""
    cells = [text.split() for text in rows.values()]
    width = len(cells[0]) if cells else steps
    values = [[math.nan if cell == "_" else float(cell) for cell in row] for row in cells]
    present = [[cell != "_" for cell in row] for row in cells]
    return Columns(
        [labels(text) for text in rows],
        np.array(values, np.float64).reshape(-1, width),
        np.array(present, np.bool_).reshape(-1, width),
    )


def shown(value: Value) -> Table:
    """Write columns as `table` reads them, labels sorted but for the name, which is first."""
    assert isinstance(value, Columns)
    assert value.values.shape == value.present.shape == (len(value.labels), value.values.shape[1])
    rows = zip(value.labels, value.values.tolist(), value.present.tolist(), strict=True)
    return {
        _label_text(each): " ".join(
            shortest(number) if there else "_" for number, there in zip(numbers, present, strict=True)
        )
        for each, numbers, present in rows
    }


def _label_text(pairs: Labels) -> str:
    return " ".join(value if name == NAME else f"{name}={value}" for name, value in pairs)
