"""The settings of a component: defaults, then its TOML table, then the environment, then flags.

`class Config(Settings, table="doppler")` reads the table `[doppler]`, the variables `DOPPLER_*` and flags named after
its fields (`--diode-capacity 5`). `table="nozzles.relay"` is a table in a table, `[nozzles.relay]` and
`NOZZLES_RELAY_*`: one of several of its kind. `load` checks everything before anything starts, and what nobody knows
is an error wherever it stands. Secrets are paths to files, never values.
"""

from __future__ import annotations

import difflib
import ipaddress
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from plumbing.setting_rows import SettingRow, help_screen, rows_of
from plumbing.setting_sources import (
    ConfigError,
    Given,
    Known,
    flag_of,
    from_environment,
    from_file,
    from_flags,
    leads_to_any,
    prefix_of,
    settings_of,
    siblings_of,
    tree_of,
    variable_of,
)
from plumbing.tls import TlsFiles

__all__ = ["TABLES", "ConfigError", "ListenAddress", "PeerAddress", "Section", "SettingRow", "Settings"]
__all__ += ["describe", "join_listen", "load", "parse_listen"]

TABLES = (
    "metron",
    "doppler",
    "traffic_controller",
    "reverse_log_proxy",
    "log_cache",
    "syslog_adapter",
    "nozzles",
    "event_store",
    "standpipe",
)
"""The tables a TOML file may have: one file can serve every component of an installation."""

_SHOWN = 60  # characters of a wrong value


def parse_listen(address: str) -> tuple[str, int]:
    """Split `host:port`, IPv6 in brackets. Port 0 means any free one; an empty host is not taken for all of them."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal():
        raise ValueError(f"{address!r} is not host:port, like 127.0.0.1:8082 or [::1]:8082")
    if len(port) > 5 or int(port) > 65535:
        raise ValueError(f"port {port} of {address!r} is above 65535")
    if host[0] == "[" and host[-1] == "]":
        ipaddress.IPv6Address(host[1:-1])
        return host[1:-1], int(port)
    if set(host) & set(":[]/ "):
        raise ValueError(f"host {host!r} of {address!r} is no name and no address; IPv6 stands in brackets: [::1]:8082")
    return host, int(port)


def join_listen(host: str, port: int) -> str:
    """Make `host:port`, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _sound(address: str) -> str:
    parse_listen(address)
    return address


ListenAddress = Annotated[str, AfterValidator(_sound), Field(title="host:port")]


def _dialable(address: str) -> str:
    if parse_listen(address)[1] == 0:
        raise ValueError(f"{address!r} has no port to dial")
    return address


PeerAddress = Annotated[str, AfterValidator(_dialable), Field(title="host:port")]


class Section(BaseModel):
    """A table inside a component's table, or each of a list of tables."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Settings(BaseSettings):
    """What every component can be told. Constructing one reads nothing from outside; `load` does."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
    table: ClassVar[str] = ""

    name: str = ""
    """What this process is called in the ledger and the logs; empty means the name of its table."""

    admin_listen: ListenAddress = "127.0.0.1:0"
    """Where `/metrics`, `/healthz` and `/ledger` are served over mTLS; port 0 takes a free one."""

    tls_ca: Path
    """PEM file of the authority whose certificates are accepted, a client's or a server's."""

    tls_cert: Path
    """PEM file of this component's certificate."""

    tls_key: Path
    """PEM file of this component's private key."""

    drain_grace_s: PositiveFloat = 5.0
    """How long queued envelopes may take to leave once shutdown begins."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important event that is logged."""

    def __init_subclass__(cls, *, table: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.table = table or cls.table

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are pydantic's
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the constructor is given, and nothing else."""
        return (init_settings,)

    @property
    def tls(self) -> TlsFiles:
        """The three files together."""
        return TlsFiles(ca=self.tls_ca, cert=self.tls_cert, key=self.tls_key)


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(
    config_class: type[AnySettings], argv: Sequence[str], environ: Mapping[str, str], *, tables: Sequence[str] = TABLES
) -> AnySettings:
    """Read the settings of one component, or raise `ConfigError`. `--help` prints them all and exits 0."""
    if not {"-h", "--help"}.isdisjoint(argv):
        sys.stdout.write(help_screen(describe(config_class), config_class.table))
        raise SystemExit(0)
    table, known = config_class.table, dict(settings_of(config_class))
    file, flags = from_flags(argv, known)
    given = from_file(file, table, {*tables, table.partition(".")[0]}, known) if file else []
    siblings = siblings_of(file, table) if file else ()
    given += [*from_environment(environ, table, known, siblings), *flags]
    problems = [f"{one.origin}: {_unknown(one, known, table)}" for one in given if not leads_to_any(known, one.keys)]
    given = [one for one in given if leads_to_any(known, one.keys)]
    try:
        config = config_class(**tree_of(given))
    except ValidationError as error:
        problems += [_explain(dict(detail), given, table) for detail in error.errors(include_url=False)]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(" ".join(problems[0].split()) + more)
    return config


def _unknown(one: Given, known: Known, table: str) -> str:
    asked = ".".join(one.keys).lower().strip("-").replace("-", "_")
    asked = asked.removeprefix(prefix_of(table).lower()).replace("__", ".")
    close = difflib.get_close_matches(asked, [".".join(keys) for keys in known], n=1)
    return f"unknown setting; did you mean {close[0]}?" if close else "unknown setting"


def _explain(detail: dict[str, Any], given: Sequence[Given], table: str) -> str:
    """Say of one validation error where the value was set, and what is wrong with it."""
    place: tuple[str | int, ...] = detail["loc"]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    origins = [one for one in given if place[: len(one.keys)] == one.keys]
    if not origins:
        keys = tuple(str(part) for part in place)
        return f"{name} is not set: give {flag_of(keys)}, {variable_of(table, keys)} or {place[-1]} in its TOML table"
    if detail["type"] == "extra_forbidden":
        return f"{origins[-1].origin}: {name} is an unknown setting"
    message = detail["msg"].removeprefix("Value error, ")
    value = repr(detail["input"])
    shown = "" if detail["type"] == "missing" else f", not {value if len(value) <= _SHOWN else value[:_SHOWN] + '…'}"
    return f"{origins[-1].origin}: {name}: {message[0].lower()}{message[1:]}{shown}"


def describe(config_class: type[Settings]) -> list[SettingRow]:
    """List every setting of a component, for `--help` and for the manual."""
    return rows_of(config_class, config_class.table)
