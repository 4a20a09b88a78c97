"""Decide what to start, where it listens and with which flags. No I/O, no clock."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plumbing.config import join_listen, parse_listen
from plumbing.setting_sources import ConfigError
from plumbing.tls import TlsFiles
from standpipe.supervisor.settings import Told, UpSettings
from standpipe.system import CERTS_DIR, TOKENS_DIR

CHECKPOINTS_DIR = "checkpoints"

FIRST_ADMIN_PORT = 14820
FIRST_DOPPLER_ADMIN_PORT = 14830
"""There may be any number of Dopplers: theirs come last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A kind of component."""

    name: str
    """Of its package, of its TOML table and of its endpoints."""

    leaf: str
    """Of its certificate's files, and the server name in it."""

    port: int
    admin_port: int

    def place(self, told: Mapping[str, Any], index: int, *, auto: bool) -> tuple[str, str]:
        """Return where the `index`th of its kind listens, and its admin port: by default, or as `told`."""
        listen = _listen(told.get("listen"), self.port, index, f"[{self.name}] listen", auto=auto)
        admin = _listen(told.get("admin_listen"), self.admin_port, index, f"[{self.name}] admin_listen", auto=auto)
        return listen, admin


DOPPLER = Room(name="doppler", leaf="doppler", port=8082, admin_port=FIRST_DOPPLER_ADMIN_PORT)
METRON = Room(name="metron", leaf="metron", port=3458, admin_port=FIRST_ADMIN_PORT)
TRAFFIC_CONTROLLER = Room(
    name="traffic_controller", leaf="trafficcontroller", port=8081, admin_port=FIRST_ADMIN_PORT + 1
)

FLOW = (METRON, DOPPLER, TRAFFIC_CONTROLLER)
"""The way of an envelope. They stop in this order, so that what one holds still finds the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One process to be: everything but the ports it will find, and the descriptors it will inherit."""

    name: str
    room: Room
    listen: str
    admin_listen: str
    flags: Sequence[str]
    dials_dopplers: bool = False
    reads_stdin: bool = False

    def command(self, python: str, endpoints: Mapping[str, str], descriptors: Mapping[str, int]) -> list[str]:
        """Return what to execute; ports that were found once (`endpoints`) are asked for again."""
        listen, admin = endpoints.get("listen", self.listen), endpoints.get("admin", self.admin_listen)
        return [
            *(python, "-P", "-m", self.room.name),  # -P: what lies in the current directory is no component of ours
            *(f"--{name}-fd={number}" for name, number in descriptors.items()),
            *(f"--name={self.name}", f"--listen={listen}", f"--admin-listen={admin}"),
            *self.flags,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to start: the Dopplers first, then the others, which dial them."""

    dopplers: Sequence[Component]
    others: Sequence[Component]
    doppler_addresses: Mapping[str, str]
    """Where each Doppler is to be found, those not started here included; the true port may be another."""

    def others_dialling(self, started: Mapping[str, str]) -> list[Component]:
        """Return the others, told to dial every Doppler; `started` says where those of this run truly listen."""
        flag = "--doppler-addresses=" + ",".join({**self.doppler_addresses, **started}.values())
        return [replace(each, flags=(*each.flags, flag)) if each.dials_dopplers else each for each in self.others]


def make_plan(settings: UpSettings, told: Told, data_dir: Path, config: Path | None) -> Plan:
    """Plan one run. Raises `ConfigError` for names that nothing has, and for addresses that are none."""
    auto = settings.ports == "auto"
    names = [f"doppler-{index}" for index in range(settings.dopplers)]
    chosen = _chosen(settings.only, names)
    dopplers = [
        _component(name, DOPPLER, told, data_dir, config, index=index, auto=auto) for index, name in enumerate(names)
    ]
    elsewhere = {
        name: DOPPLER.place(told["doppler"], index, auto=auto and name in chosen)[0] for index, name in enumerate(names)
    }
    return Plan(
        dopplers=[component for component in dopplers if component.name in chosen],
        others=[
            _component(room.name, room, told, data_dir, config, auto=auto)
            for room in (METRON, TRAFFIC_CONTROLLER)
            if room.name in chosen
        ],
        doppler_addresses={name: dialable(address) for name, address in elsewhere.items()},
    )


def dialable(address: str) -> str:
    """Return an address to dial for one that is listened on: nobody can dial "every address"."""
    host, port = parse_listen(address)
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return address
    if not ip.is_unspecified:
        return address
    return join_listen("127.0.0.1" if ip.version == 4 else "::1", port)


def _chosen(only: Iterable[str], dopplers: Sequence[str]) -> set[str]:
    """Return the names of the components to start."""
    groups = {DOPPLER.name: dopplers, **{name: [name] for name in (*dopplers, METRON.name, TRAFFIC_CONTROLLER.name)}}
    wanted = list(only) or [room.name for room in FLOW]
    for name in wanted:
        if name not in groups:
            raise ConfigError(f"there is no component {name!r}; known are {', '.join(groups)}")
    return {each for name in wanted for each in groups[name]}


def _component(
    name: str, room: Room, told: Told, data_dir: Path, config: Path | None, *, index: int = 0, auto: bool
) -> Component:
    listen, admin_listen = room.place(told[room.name], index, auto=auto)
    return Component(
        name=name,
        room=room,
        listen=listen,
        admin_listen=admin_listen,
        flags=tuple(_flags(room, told[room.name], data_dir, config)),
        dials_dopplers=room is not DOPPLER and "doppler_addresses" not in told[room.name],
        reads_stdin="stdin" in told[room.name],
    )


def _flags(room: Room, told: Mapping[str, Any], data_dir: Path, config: Path | None) -> Iterator[str]:
    """Give a component the places of the data directory, unless it was told of others."""
    tls = TlsFiles.named(data_dir / CERTS_DIR, room.leaf)
    places = {"tls_ca": tls.ca, "tls_cert": tls.cert, "tls_key": tls.key}
    if room is METRON:
        places["checkpoint_dir"] = data_dir / CHECKPOINTS_DIR
    if room is TRAFFIC_CONTROLLER:
        places["tokens_dir"] = data_dir / TOKENS_DIR
    if config is not None:
        yield f"--config={config}"
    yield from (f"--{name.replace('_', '-')}={path}" for name, path in places.items() if name not in told)


def _listen(told: Any, port: int, index: int, setting: str, *, auto: bool) -> str:
    host = "127.0.0.1"
    if told is not None:
        try:
            host, port = parse_listen(str(told))
        except ValueError as error:
            raise ConfigError(f"{setting}: {error}") from error
    if auto or port == 0:
        return join_listen(host, 0)
    if port + index > 65535:
        raise ConfigError(f"{setting}: port {port} + {index} is above 65535")
    return join_listen(host, port + index)
