"""Tables of Markdown, and the places in a page where they stand.

Each table stands between two comments, `<!-- table: NAME -->` and `<!-- end -->`; what is between them is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from plumbing.config import SettingRow

_MARKED = re.compile(r"(?P<begin><!-- table: (?P<name>[a-z_ ]+) -->\n).*?(?P<end><!-- end -->)", re.S)
_CITED = re.compile(r" \(loggregator\.md [^)]*\)")
"""The code cites the contract; a reader of the page has no use for it."""

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def render(page: str, written: Mapping[str, str]) -> str:
    """Put the tables into the page; raises `KeyError` for a table without a place, and for a place without a table."""
    missing = written.keys() - {match["name"] for match in _MARKED.finditer(page)}
    if missing:
        raise KeyError(f"the page has no place for {', '.join(sorted(missing))}")
    return _MARKED.sub(lambda match: f"{match['begin']}{written[match['name']]}{match['end']}", page)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write one table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def settings_table(rows: Iterable[SettingRow], *, places: bool = True) -> str:
    """Write a table of settings, with or without the `places` beside the file where each can be set."""
    header = ("setting", "type", "default", "meaning", "environment", "flag")
    written = [_setting(row) for row in rows]
    return table(header, written) if places else table(header[:4], [cells[:4] for cells in written])


def _setting(row: SettingRow) -> Sequence[str]:
    env, flag = (f"`{text}`" if text else "" for text in (row.env, row.flag))
    return f"`{row.name}`", row.type, _default(row), _CITED.sub("", row.meaning), env, flag


def _default(row: SettingRow) -> str:
    if row.default in ("required", "computed"):
        return row.default
    if row.default == "null":
        return "none"
    shown = f"`{row.default}`"
    if row.name.endswith("_bytes"):
        count = int(row.default)
        fitting = [f" ({count // size:,} {unit})" for size, unit in _UNITS if count % size == 0]
        shown += fitting[0] if fitting else ""
    return shown
