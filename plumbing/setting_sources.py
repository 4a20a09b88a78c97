"""Where settings come from: a TOML table, environment variables and flags, each value with the place it was set.

Text (variables and flags) gives a list as `a,b` or JSON, a mapping as `k=v,k=v` or JSON; a flag for either may be
repeated. A setting of a section is `DOPPLER_SECTION__NAME` and `--section.name`.
"""

from __future__ import annotations

import json
import tomllib
from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, NoReturn, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Keys: TypeAlias = tuple[str, ...]
"""The way to a setting: its name, after those of the sections it stands in."""

Known: TypeAlias = Mapping[Keys, FieldInfo]

PROCESS_VARIABLES = frozenset({"STANDPIPE_KERNEL", "STANDPIPE_LOG", "STANDPIPE_PARENT_FD", "STANDPIPE_READY_FD"})
"""Variables that speak of the process: no settings, though their prefix is that of the table `[standpipe]`."""

_LISTS = (list, tuple, set, frozenset)


class ConfigError(Exception):
    """A setting is wrong: fix it and start again. The message is one line that names it."""


class Given(NamedTuple):
    """A value somebody set, and where. Nothing is checked yet, not even that such a setting exists."""

    keys: Keys
    value: Any
    origin: str


def settings_of(model: type[BaseModel], above: Keys = ()) -> Iterator[tuple[Keys, FieldInfo]]:
    """Walk over the settings of a class, those of its sections in their place."""
    for name, field in model.model_fields.items():
        kind = without_none(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings_of(kind, (*above, name))
        else:
            yield (*above, name), field


def prefix_of(table: str) -> str:
    """Say how the environment variables of a table begin: `NOZZLES_MY_SINK_` for `nozzles.my-sink`."""
    return f"{table}_".replace(".", "_").replace("-", "_").upper()


def variable_of(table: str, keys: Keys) -> str:
    """Name the environment variable of a setting."""
    return prefix_of(table) + "__".join(keys).upper()


def flag_of(keys: Keys) -> str:
    """Name the flag of a setting."""
    return "--" + ".".join(keys).replace("_", "-")


def leads_to_any(known: Known, keys: Keys) -> bool:
    """Say whether `keys` is a known setting, or a section that holds some."""
    return any(each[: len(keys)] == keys for each in known)


def tree_of(given: Iterable[Given]) -> dict[str, Any]:
    """Put values into their sections; the later ones win."""
    tree: dict[str, Any] = {}
    for keys, value, _ in given:
        section = tree
        for key in keys[:-1]:
            if not isinstance(section.get(key), dict):
                section[key] = {}
            section = section[key]
        section[keys[-1]] = value
    return tree


def from_file(file: Path, table: str, tables: Collection[str], known: Known) -> list[Given]:
    """Read one table of a TOML file, or a table inside one: `nozzles.relay`.

    The others are their components' affair, as long as their names are known.
    """
    document = _parsed(file)
    for name in document:
        if name not in tables:
            raise ConfigError(f"file {file}: unknown table [{name}]; known are {', '.join(sorted(tables))}")
    outer, _, inner = table.partition(".")
    tables_here = _tables_in(document, file)
    content = _tables_in(tables_here.get(outer, {}), file, f"{outer}.") if inner else tables_here
    return list(_from_table(content.get(inner or outer, {}), known, (), f"file {file} table [{table}"))


def siblings_of(file: Path, table: str) -> list[str]:
    """Name the tables that stand beside this one in the table that holds it; a table on its own has none."""
    outer, _, inner = table.partition(".")
    return [f"{outer}.{each}" for each in _parsed(file).get(outer, {}) if each != inner] if inner else []


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"file {file}: {error.strerror}") from error
    except ValueError as error:  # not TOML, with the line it stands in; or not UTF-8
        raise ConfigError(f"file {file}: {error}") from error


def _tables_in(content: dict[str, Any], file: Path, above: str = "") -> dict[str, dict[str, Any]]:
    for name, value in content.items():
        if not isinstance(value, dict):
            raise ConfigError(f"file {file}: {above}{name} must be a table, [{above}{name}]")
    return content


def _from_table(content: dict[str, Any], known: Known, above: Keys, where: str) -> Iterator[Given]:
    for name, value in content.items():
        keys = (*above, name)
        if isinstance(value, dict) and keys not in known and leads_to_any(known, keys):
            yield from _from_table(value, known, keys, f"{where}.{name}")
        else:
            yield Given(keys, value, f"{where}] key {name}")


def from_environment(
    environ: Mapping[str, str], table: str, known: Known, siblings: Collection[str] = ()
) -> list[Given]:
    """Read every variable that begins with the prefix of the table, and not with the longer one of a sibling."""
    prefix = prefix_of(table)
    others = tuple(each for each in map(prefix_of, siblings) if len(each) > len(prefix))
    names = {variable_of(table, keys): keys for keys in known}
    ours = [each for each in environ if each.startswith(prefix) and each not in PROCESS_VARIABLES]
    return [
        Given(keys, _decode([environ[variable]], known.get(keys)), f"environment {variable}")
        for variable, keys in ((each, names.get(each, (each,))) for each in ours if not each.startswith(others))
    ]


class FlagParser(ArgumentParser):
    """Takes whole flag names only, and raises `ConfigError` instead of ending the process."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False, argument_default=SUPPRESS)

    def error(self, message: str) -> NoReturn:
        """Translate argparse's complaint."""
        raise ConfigError(message.replace("argument --", "flag --", 1))


def from_flags(argv: Sequence[str], known: Known) -> tuple[Path | None, list[Given]]:
    """Read the command line: the TOML file that `--config` names, and the settings."""
    parser = FlagParser()
    parser.add_argument("--config", type=Path, default=None)
    for keys, field in known.items():
        if field.annotation is bool:
            parser.add_argument(flag_of(keys), dest=".".join(keys), action=BooleanOptionalAction)
        else:
            parser.add_argument(flag_of(keys), dest=".".join(keys), action="append")
    found, rest = parser.parse_known_args(argv)
    values = vars(found)
    file: Path | None = values.pop("config")
    given = [
        Given(keys, _decode(value, known[keys]) if isinstance(value, list) else value, f"flag {flag_of(keys)}")
        for keys, value in ((tuple(name.split(".")), value) for name, value in values.items())
    ]
    flags = [each.partition("=")[0] for each in rest if each.startswith("-")]
    strays = [Given((each,), None, f"flag {each}") for each in flags] or [
        Given((each,), None, f"argument {each}") for each in rest
    ]
    return file, given + strays


def _decode(texts: Sequence[str], field: FieldInfo | None) -> Any:
    """Turn text into what validation expects: parts of a list or mapping are gathered; of others the last one wins."""
    kind = get_origin(without_none(field.annotation)) if field else None
    if kind in _LISTS:
        return [item for text in texts for item in _items(text)]
    if kind is dict:
        mapping: dict[str, Any] = {}
        for item in (item for text in texts for item in _items(text)):
            part = _pair(item)
            if part is None:
                return texts[-1]  # validation says that it is no mapping
            mapping |= part
        return mapping
    return texts[-1]


def _items(text: str) -> list[Any]:
    if text.lstrip().startswith(("[", "{")):
        try:
            value = json.loads(text)
        except ValueError:
            pass  # an IPv6 address stands in brackets too
        else:
            return value if isinstance(value, list) else [value]
    return [item.strip() for item in text.split(",") if item.strip()]


def _pair(item: Any) -> dict[str, Any] | None:
    if isinstance(item, dict):
        return item
    key, equals, value = str(item).partition("=")
    return {key.strip(): value.strip()} if equals else None


def without_none(annotation: Any) -> Any:
    """Return the type of a setting that may also be nothing."""
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return members[0] if len(members) == 1 else annotation
    return annotation
