"""Every setting in words, for `--help` and for the manual."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from plumbing.setting_sources import Keys, flag_of, settings_of, variable_of, without_none

_SIGNS = {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}


class SettingRow(NamedTuple):
    """One setting, in words; variable and flag are empty inside a list of tables."""

    name: str
    type: str
    default: str
    meaning: str
    env: str
    flag: str


def rows_of(model: type[BaseModel], table: str) -> list[SettingRow]:
    """Describe every setting of a class, those of its sections in their place."""
    return [row for keys, field in settings_of(model) for row in _rows(table, keys, field)]


def _rows(table: str, keys: Keys, field: FieldInfo) -> Iterator[SettingRow]:
    name, meaning = ".".join(keys), " ".join((field.description or "").split())
    kind = field.title or _kind(field.annotation, field.metadata)
    yield SettingRow(name, kind, _default(field), meaning, variable_of(table, keys), flag_of(keys))
    for element in get_args(without_none(field.annotation)):
        if isinstance(element, type) and issubclass(element, BaseModel):
            for inner, inner_field in settings_of(element):
                for row in _rows(table, (f"{name}[]", *inner), inner_field):
                    yield row._replace(env="", flag="")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory not in (None, list, dict):
        return "computed"
    return json.dumps(field.get_default(call_default_factory=True), default=str)


def _kind(annotation: Any, constraints: Sequence[Any] = ()) -> str:
    """Name a type for a reader who knows no Python."""
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        titles = [part.title for part in parts if isinstance(part, FieldInfo) and part.title]
        return titles[0] if titles else _kind(parts[0], parts[1:])
    if get_origin(annotation) is Literal:
        return " | ".join(str(part) or '""' for part in parts)
    if get_origin(annotation) is dict:
        return f"table of {_kind(parts[1])}"
    if get_origin(annotation) in (list, tuple, set, frozenset):
        return f"list of {_kind(parts[0])}"
    if parts:
        return " or ".join(dict.fromkeys(_kind(part) for part in parts))
    limits = [(sign, getattr(one, name, None)) for one in constraints for sign, name in _SIGNS.items()]
    bounds = [f" {sign} {limit}" for sign, limit in limits if limit is not None]
    words = {bool: "true | false", int: "integer", float: "number", str: "text", Path: "path", type(None): "nothing"}
    return words.get(annotation, "table") + "".join(bounds)


def help_screen(rows: Sequence[SettingRow], table: str) -> str:
    """Lay the settings of a component out for a terminal."""
    module, _, name = table.partition(".")
    command = f"python -m {module}" + (f" --name {name}" if name else "")
    lines = [f"{command}: its settings. Later wins: default, TOML file, environment, flag.", ""]
    for row in rows:
        if row.flag:
            lines.append(f"{row.flag}  {row.env}  ({row.type}; {row.default})")
            lines += textwrap.wrap(row.meaning, 100, initial_indent="    ", subsequent_indent="    ")
    lines += ["", f"--config FILE    a TOML file with a table [{table}]"]
    lines += ["--ready-fd N     a descriptor that gets one line of JSON once the component accepts work"]
    lines += ["--parent-fd N    a descriptor whose end of file means that the parent is gone: drain and stop"]
    return "\n".join(lines) + "\n"
