"""Which kinds of nozzle there are, and which one is meant.

Kinds are the entry points of the group `standpipe.nozzles`, ours and other people's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from nozzles.config import Config
from nozzles.sdk import NozzleKind
from plumbing.config import TABLES, ConfigError
from plumbing.setting_sources import from_environment, from_file, from_flags, settings_of, siblings_of

GROUP = "standpipe.nozzles"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class Chosen(NamedTuple):
    """Which nozzle a process is to run."""

    name: str
    kind: NozzleKind


def choose(argv: Sequence[str], environ: Mapping[str, str]) -> Chosen | None:
    """Read from the flags which nozzle is meant, and of which kind it is: `kind` of its settings, or else its name.

    None when no name is given but help is asked for. The settings themselves are not checked yet.
    """
    known = dict(settings_of(Config))
    file, flags = from_flags(argv, known)
    name = next((str(one.value) for one in flags if one.keys == ("name",)), "")
    if not name:
        if not {"-h", "--help"}.isdisjoint(argv):
            return None
        raise ConfigError("which one? give --name NAME: a table [nozzles.NAME], or one of the kinds " + _all())
    if not _NAME.fullmatch(name):
        raise ConfigError(f"flag --name: {name[:80]!r} is none: a lower-case letter, then letters, digits, _ and -")
    table = f"nozzles.{name}"
    given = from_file(file, table, TABLES, known) if file else []
    given += [*from_environment(environ, table, known, siblings_of(file, table) if file else ()), *flags]
    kind = next((one for one in reversed(given) if one.keys == ("kind",)), None)
    if kind is not None:
        try:
            return Chosen(name, load_kind(str(kind.value)))
        except ConfigError as error:
            raise ConfigError(f"{kind.origin}: {error}") from error
    if name not in kinds():
        raise ConfigError(f"{name}: neither a kind nor a table [{table}] with one; the kinds are {_all()}")
    return Chosen(name, load_kind(name))


def kinds() -> list[str]:
    """Name the kinds that are installed; none of them is imported."""
    return sorted(entry_points(group=GROUP).names)


def load_kind(name: str) -> NozzleKind:
    """Import one kind, or raise `ConfigError`, which says what is missing."""
    kind = _load(_entry_point(name))
    if not isinstance(kind, NozzleKind):
        raise ConfigError(f"kind {name}: its entry point leads to no NozzleKind, but to {type(kind).__name__}")
    return kind


def _all() -> str:
    return ", ".join(kinds()) or "none"


def _entry_point(name: str) -> EntryPoint:
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        close = difflib.get_close_matches(name, kinds(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {_all()}"
        raise ConfigError(f"kind {name}: no nozzle is called that; {hint}")
    if len({point.value for point in found}) > 1:
        givers = sorted(point.dist.name if point.dist else "?" for point in found)
        raise ConfigError(f"kind {name}: several packages bring one: {', '.join(givers)}")
    return found[0]


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except ModuleNotFoundError as error:
        raise ConfigError(f"kind {point.name}: the library {error.name} is missing; {_remedy(point)}") from error
    except Exception as error:  # other people's code, on import
        reason = " ".join(str(error).split())
        raise ConfigError(f"kind {point.name}: {point.value}: {type(error).__name__}: {reason}") from error


def _remedy(point: EntryPoint) -> str:
    """Name what to install: the extras that the entry point asks for, as in `kafka = "nozzles.kafka:kind [kafka]"`."""
    package = point.dist.name if point.dist else "its package"
    return f"install {package}[{','.join(point.extras)}]" if point.extras else f"{package} does not say where from"
