"""Decide what to start, where it listens and with which flags. No I/O, no clock."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plumbing.auth import AuthSettings
from plumbing.config import join_listen, parse_listen
from plumbing.setting_sources import ConfigError
from standpipe.supervisor.rooms import (
    DOPPLER,
    EVENT_STORE,
    FLOW,
    LOG_CACHE,
    METRON,
    NOZZLES,
    SYSLOG_ADAPTER,
    Door,
    Room,
)
from standpipe.supervisor.settings import Told, UpSettings
from standpipe.system import TOKENS_DIR

_NOZZLE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One process to be: everything but the ports it will find, and the descriptors it will inherit."""

    name: str
    room: Room
    listen: str
    admin_listen: str
    flags: Sequence[str]
    doors: Mapping[Door, str] = field(default_factory=dict)
    """Where further ports are to listen."""
    dials_dopplers: bool = False
    dials_agent: bool = False
    dials_log_cache: bool = False
    reads_stdin: bool = False

    def command(self, python: str, endpoints: Mapping[str, str], descriptors: Mapping[str, int]) -> list[str]:
        """Return what to execute; ports that were found once (`endpoints`) are asked for again."""
        listen, admin = endpoints.get("listen", self.listen), endpoints.get("admin", self.admin_listen)
        return [
            *(python, "-P", "-m", self.room.name),  # -P: what lies in the current directory is no component of ours
            *(f"--{name}-fd={number}" for name, number in descriptors.items()),
            f"--name={self.name.removeprefix(f'{self.room.name}.')}",
            *([f"--listen={listen}"] if listen else []),
            f"--admin-listen={admin}",
            *(_flag(door.setting, endpoints.get(door.endpoint, address)) for door, address in self.doors.items()),
            *(f"--{door.switch}" for door in self.doors if door.switch),
            *self.flags,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to start: first the Dopplers, then the agent, which dials them, then the others, which dial both.

    The log caches come before the last: those are told where to ask for what was.
    """

    dopplers: Sequence[Component]
    agents: Sequence[Component]
    log_caches: Sequence[Component]
    others: Sequence[Component]
    doppler_addresses: Mapping[str, str]
    """Where each Doppler is to be found, those not started here included; the true port may be another."""

    @property
    def stages(self) -> Sequence[Sequence[Component]]:
        """What to start at once, one after the other."""
        return (self.dopplers, self.agents, self.log_caches, self.others)

    def dialling(self, components: Iterable[Component], started: Mapping[str, str]) -> list[Component]:
        """Return components, told whom to dial; `started` says where those of this run truly listen."""
        return [replace(each, flags=(*each.flags, *self._dialled(each, started))) for each in components]

    def _dialled(self, component: Component, started: Mapping[str, str]) -> Iterator[str]:
        if component.dials_dopplers:
            dopplers = {name: started.get(name, address) for name, address in self.doppler_addresses.items()}
            yield "--doppler-addresses=" + ",".join(dopplers.values())
        if component.dials_agent and METRON.name in started:
            yield f"--agent-address={started[METRON.name]}"
        rest = started.get(f"{LOG_CACHE.names(1)[0]}.{LOG_CACHE.doors[0].endpoint}")
        if component.dials_log_cache and rest:
            yield f"--log-cache-url=https://{rest}"


def make_cluster(nodes: Sequence[Component]) -> list[Component]:
    """Tell the nodes of a log cache of each other, unless there is one alone or somebody has told them.

    The ports they listen on must be known.
    """
    if len(nodes) < 2:
        return list(nodes)
    together = ",".join(dialable(node.listen) for node in nodes)
    return [
        replace(node, flags=(*node.flags, f"--node-addresses={together}", f"--node-index={index}"))
        for index, node in enumerate(nodes)
    ]


def make_plan(settings: UpSettings, told: Told, data_dir: Path, config: Path | None) -> Plan:
    """Plan one run. Raises `ConfigError` for names that nothing has, and for addresses that are none."""
    auto = settings.ports == "auto"
    counts = {
        DOPPLER: settings.dopplers,
        LOG_CACHE: settings.log_caches,
        SYSLOG_ADAPTER: settings.syslog_adapters,
        EVENT_STORE: int(settings.event_store),
    }
    names = {room: room.names(counts.get(room, 1)) for room in FLOW}
    names[NOZZLES] = [f"{NOZZLES.name}.{name}" for name in _nozzles(told)]
    chosen = _chosen(settings.only, {room.name: names[room] for room in FLOW})
    components = {
        room: [
            _component(name, room, told, data_dir, config, index=index, auto=auto, access=settings.auth)
            for index, name in enumerate(names[room])
            if name in chosen
        ]
        for room in FLOW
    }
    elsewhere = {
        name: DOPPLER.place(told["doppler"], index, auto=auto and name in chosen)[0]
        for index, name in enumerate(names[DOPPLER])
    }
    return Plan(
        dopplers=components.pop(DOPPLER),
        agents=components.pop(METRON),
        log_caches=components.pop(LOG_CACHE),
        others=[component for rest in components.values() for component in rest],
        doppler_addresses={name: dialable(address) for name, address in elsewhere.items()},
    )


def _nozzles(told: Told) -> Sequence[str]:
    """Name the nozzles that have a table, in its order."""
    for name in (tables := [name for name, own in told[NOZZLES.name].items() if isinstance(own, Mapping)]):
        if not _NOZZLE_NAME.fullmatch(name):
            raise ConfigError(f"[nozzles.{name}]: a nozzle's name has letters from a to z, digits, - and _, up to 63")
    return tables


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


def _chosen(only: Iterable[str], rooms: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names of the components to start; `rooms` has the names of each kind."""
    groups = {**rooms, **{name: [name] for names in rooms.values() for name in names}}
    wanted = list(only) or list(rooms)
    for name in wanted:
        if name not in groups:
            raise ConfigError(f"there is no component {name!r}; known are {', '.join(groups)}")
    return {each for name in wanted for each in groups[name]}


def _component(
    name: str,
    room: Room,
    told: Told,
    data_dir: Path,
    config: Path | None,
    *,
    index: int,
    auto: bool,
    access: AuthSettings,
) -> Component:
    own = told[room.name]
    if room is NOZZLES:
        own = own[name.removeprefix(f"{room.name}.")]
    listen, admin_listen = room.place(own, index, auto=auto)
    return Component(
        name=name,
        room=room,
        listen=listen,
        admin_listen=admin_listen,
        flags=(*_flags(name, room, own, data_dir, config, access), *_index_tag(room, own, index)),
        doors={door: place for door in room.doors if (place := door.place(own, index, auto=auto))},
        dials_dopplers=room.needs_dopplers and "doppler_addresses" not in own,
        dials_agent=room.reports and "agent_address" not in own,
        dials_log_cache=room.asks_log_cache and "log_cache_url" not in own,
        reads_stdin="stdin" in own,
    )


def _flags(
    name: str, room: Room, told: Mapping[str, Any], data_dir: Path, config: Path | None, access: AuthSettings
) -> Iterator[str]:
    """Give a component the places of the data directory, unless it was told of others."""
    if config is not None:
        yield f"--config={config}"
    yield from (_flag(setting, path) for setting, path in room.files(name, data_dir).items() if setting not in told)
    if room.checks_access:
        yield from _access_flags(access, told.get("auth", {}), data_dir)


def _index_tag(room: Room, told: Mapping[str, Any], index: int) -> Iterator[str]:
    """Let the Dopplers' own metrics be told apart, as those of the original are."""
    if room is DOPPLER and "tags" not in told:
        yield _flag("tags", f"index={index}")


def _access_flags(access: AuthSettings, told: Any, data_dir: Path) -> Iterator[str]:
    """Say who decides about access: what was set for all doors, save where one was told otherwise."""
    if not isinstance(told, Mapping):
        return  # by the environment, which tells it more than we can see here
    common = {"tokens_dir": data_dir / TOKENS_DIR, **access.model_dump(exclude_unset=True, exclude_none=True)}
    yield from (_flag(f"auth.{name}", value) for name, value in common.items() if name not in told)


def _flag(setting: str, value: Any) -> str:
    flag = f"--{setting.replace('_', '-')}"
    if isinstance(value, bool):
        return flag if value else f"--no-{setting.replace('_', '-')}"
    return f"{flag}={value}"
