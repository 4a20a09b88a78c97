"""The kinds of component: what each is called, where it listens, what it needs. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbing.certs import LEAF_OF
from plumbing.config import join_listen, parse_listen
from plumbing.setting_sources import ConfigError
from plumbing.tls import TlsFiles
from standpipe.system import CERTS_DIR, EVENTS_DIR

FIRST_ADMIN_PORT = 14820
FIRST_DOPPLER_ADMIN_PORT = 14830
"""There may be a hundred Dopplers: theirs come behind those of single components."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A further port of a component."""

    endpoint: str
    """What it is called where ports are listed."""

    setting: str
    """The one that says where it listens, as on the command line; a section that somebody set some of is left alone."""

    port: int
    next_port: int = 0
    """Of the second of its kind, where there may be several; the others come behind it."""
    switch: str = ""
    """The setting that opens it, if it is closed by default."""

    def place(self, told: Mapping[str, Any], index: int, *, auto: bool) -> str | None:
        """Return where that of the `index`th of its kind listens; None if that was `told` already, or told not to.

        Of several, the first does as it was told, and the others count up from there.
        """
        section, _, setting = self.setting.partition(".")
        own = told.get(section, {})
        if section in told and (index == 0 or not isinstance(own, Mapping) or own.get("enabled") is False):
            return None
        ports = (self.port, *range(self.next_port, 65536))
        return _listen(own.get(setting), ports, index, f"{section} {setting}", auto=auto)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A kind of component."""

    name: str
    """Of its package, of its TOML table and of its endpoints."""

    admin_port: int
    port: int | None = None
    """None for one that has no port of its own, save those of its doors."""
    next_port: int = 0
    """Of the second of its kind, where there may be several; the others come behind it. 0: the free ones behind the
    first."""
    next_admin_port: int = 0
    """The same of the admin ports. 0: those behind the first."""
    numbered: bool = False
    """Whether there may be several: then each has a number in its name."""
    doors: Sequence[Door] = ()
    checks_access: bool = False
    """Whether clients show a token: then it is told who decides what a token is good for."""
    reports: bool = False
    """Whether it sends its own metrics through an agent."""
    asks_log_cache: bool = False
    """Whether it answers what it does not know from a log cache."""
    needs_dopplers: bool = True
    """Whether it dials every Doppler."""
    places: Sequence[tuple[str, str]] = ()
    """Settings that say where it keeps something, and where that is in the data directory; `{name}` is its name."""

    @property
    def leaf(self) -> str:
        """Return the name of its certificate's files, and the server name in it."""
        return LEAF_OF[self.name]

    def place(self, told: Mapping[str, Any], index: int, *, auto: bool) -> tuple[str, str]:
        """Return where the `index`th of its kind listens, and its admin port: by default, or as `told`."""
        admin_ports = (self.admin_port, *range(self.next_admin_port or self.admin_port + 1, 65536))
        listen = ""
        if self.port is not None:
            ports = free_ports(self.port) if not self.next_port else (self.port, *range(self.next_port, 65536))
            listen = _listen(told.get("listen"), ports, index, f"[{self.name}] listen", auto=auto)
        admin = _listen(told.get("admin_listen"), admin_ports, index, f"[{self.name}] admin_listen", auto=auto)
        return listen, admin

    def files(self, name: str, data_dir: Path) -> dict[str, Path]:
        """Say which files of the data directory one of its kind has, by setting."""
        tls = TlsFiles.named(data_dir / CERTS_DIR, self.leaf)
        kept = {setting: data_dir / place.format(name=name) for setting, place in self.places}
        return {"tls_ca": tls.ca, "tls_cert": tls.cert, "tls_key": tls.key, **kept}

    def names(self, count: int) -> Sequence[str]:
        """Say what so many of its kind are called."""
        return [f"{self.name}-{index}" for index in range(count)] if self.numbered else [self.name][:count]


DOPPLER = Room(name="doppler", port=8082, admin_port=FIRST_DOPPLER_ADMIN_PORT, numbered=True, needs_dopplers=False)
METRON = Room(
    name="metron",
    port=3458,
    admin_port=FIRST_ADMIN_PORT,
    doors=(
        Door(endpoint="dropsonde", setting="dropsonde.listen", port=3457, switch="dropsonde.enabled"),
        Door(endpoint="statsd", setting="statsd.listen", port=8125, switch="statsd.enabled"),
    ),
    places=(("checkpoint_dir", "checkpoints"),),
)
TRAFFIC_CONTROLLER = Room(
    name="traffic_controller",
    port=8081,
    admin_port=FIRST_ADMIN_PORT + 1,
    checks_access=True,
    reports=True,
    asks_log_cache=True,
)
REVERSE_LOG_PROXY = Room(
    name="reverse_log_proxy",
    port=8090,
    admin_port=FIRST_ADMIN_PORT + 2,
    doors=(Door(endpoint="gateway", setting="gateway.listen", port=8088, switch="gateway.enabled"),),
    checks_access=True,
    reports=True,
)

LOG_CACHE = Room(
    name="log_cache",
    port=8080,
    next_port=8300,
    admin_port=FIRST_ADMIN_PORT + 3,
    next_admin_port=FIRST_DOPPLER_ADMIN_PORT + 100,
    numbered=True,
    doors=(Door(endpoint="rest", setting="rest.listen", port=8083, next_port=8400, switch="rest.enabled"),),
    checks_access=True,
    reports=True,
)

SYSLOG_ADAPTER = Room(
    name="syslog_adapter",
    admin_port=FIRST_ADMIN_PORT + 4,
    next_admin_port=FIRST_DOPPLER_ADMIN_PORT + 200,
    numbered=True,
    doors=(Door(endpoint="cache", setting="cache.listen", port=9000, next_port=8500, switch="cache.enabled"),),
    reports=True,
    places=(("drains_dir", ""), ("spool_dir", "spool/{name}")),
)

NOZZLES = Room(
    name="nozzles",
    admin_port=FIRST_ADMIN_PORT + 5,
    next_admin_port=FIRST_DOPPLER_ADMIN_PORT + 300,
    reports=True,
    places=(("spool_dir", "spool/{name}"),),
)

EVENT_STORE = Room(
    name="event_store",
    port=8085,
    admin_port=FIRST_ADMIN_PORT + 6,
    checks_access=True,
    reports=True,
    places=(("data_dir", EVENTS_DIR),),
)

FLOW = (METRON, DOPPLER, TRAFFIC_CONTROLLER, REVERSE_LOG_PROXY, LOG_CACHE, SYSLOG_ADAPTER, NOZZLES, EVENT_STORE)
"""The way of an envelope. They stop in this order, so that what one holds still finds the next."""


def free_ports(first: int) -> Sequence[int]:
    """Return the ports from `first` on that are no other component's by default: there may be many Dopplers."""
    taken = {port for room in FLOW for port in (room.port, *(door.port for door in room.doors))} - {first}
    return [port for port in range(first, FIRST_ADMIN_PORT) if port not in taken]


def _listen(told: Any, ports: Sequence[int], index: int, setting: str, *, auto: bool) -> str:
    """Return the `index`th address: by default of these ports, or counted up from the one that was told."""
    host = "127.0.0.1"
    if told is not None:
        try:
            host, port = parse_listen(str(told))
        except ValueError as error:
            raise ConfigError(f"{setting}: {error}") from error
        ports = range(port, 65536) if port else [0] * (index + 1)
    if auto:
        return join_listen(host, 0)
    if index >= len(ports):
        raise ConfigError(f"{setting}: port {ports[0]} + {index} is above 65535")
    return join_listen(host, ports[index])
