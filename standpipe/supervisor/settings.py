"""What `standpipe up` is told: its own table `[standpipe]`, and what it has to know of the components' tables.

The components read their settings themselves, from the same file and environment. Here only that is looked up which
`up` would otherwise decide for them: what somebody set is never overridden.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, ValidationError

from plumbing.auth import AuthSettings
from plumbing.config import TABLES, Section
from plumbing.setting_sources import ConfigError, Given, from_file, settings_of, tree_of, variable_of

TABLE = "standpipe"

Told: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What somebody set for each kind of component: table → setting → value, not checked yet."""


class UpSettings(Section):
    """Settings of `standpipe up`: TOML table `[standpipe]`, or flags."""

    dopplers: int = Field(default=2, ge=1, le=100)
    """How many Dopplers share the load."""

    log_caches: int = Field(default=1, ge=0, le=64)
    """How many nodes the log cache has."""

    syslog_adapters: int = Field(default=1, ge=0, le=64)
    """How many syslog adapters share the drains."""

    event_store: bool = True
    """Whether everything is kept in an event store."""

    ports: Literal["default", "auto"] = "default"
    """`default`: the ports of the manual, or those set for a component. `auto`: any free ones."""

    only: tuple[str, ...] = ()
    """Start just these: `doppler`, `doppler-0`, `metron`, `traffic_controller`, `reverse_log_proxy`, `log_cache`,
    `syslog_adapter`, `nozzles`, `nozzles.NAME`, `event_store`. Without any: everything."""

    auth: AuthSettings = AuthSettings()
    """Who decides about access at every door, save one whose own table says otherwise."""


def load_up(file: Path | None, flags: Mapping[str, Any]) -> UpSettings:
    """Read the settings of `up`; a flag that is None was not given. Raises `ConfigError`."""
    given = from_file(file, TABLE, TABLES, dict(settings_of(UpSettings))) if file else []
    given += [Given(tuple(name.split(".")), value, f"--{name}") for name, value in flags.items() if value is not None]
    try:
        return UpSettings(**tree_of(given))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in detail["loc"])
        where = f"file {file} table [{TABLE}] key {name}"
        if flags.get(name) is not None:
            where = f"flag --{name.removesuffix('.mode')}"
        raise ConfigError(f"{where}: {detail['msg']}, not {detail['input']!r}") from error


def told_components(file: Path | None, environ: Mapping[str, str]) -> Told:
    """Look up which settings of the components somebody set, in the file or in the environment."""
    return {table: _told(file, environ, table) for table in TABLES if table != TABLE}


def _told(file: Path | None, environ: Mapping[str, str], table: str) -> dict[str, Any]:
    told = {one.keys[0]: one.value for one in from_file(file, table, TABLES, {})} if file else {}
    prefix = variable_of(table, ("",))
    for variable, text in environ.items():
        if variable.startswith(prefix):
            told[variable.removeprefix(prefix).lower().partition("__")[0]] = text
    return told
