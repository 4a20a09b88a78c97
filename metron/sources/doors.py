"""Open the UDP doors that one agent's settings name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol

import trio

from metron.sources.config import DropsondeDoor, StatsdDoor
from metron.sources.counts import SourceCounts
from metron.sources.dropsonde import DropsondeParser
from metron.sources.statsd import StatsdParser
from metron.sources.udp import DatagramOutlet, Parse, UdpDoor, address_of, bind_udp


class DoorsConfig(Protocol):
    """What of an agent's settings is about its UDP doors."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of the agent."""

    @property
    def dropsonde(self) -> DropsondeDoor:
        """Whether and where v1 envelopes are taken."""

    @property
    def statsd(self) -> StatsdDoor:
        """Whether and where statsd is taken."""


async def run_doors(
    config: DoorsConfig,
    outlet: DatagramOutlet,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[Mapping[str, str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Receive at every door that is enabled until `stop` is set; started with their true addresses, by name."""
    parsers: dict[str, tuple[DropsondeDoor | StatsdDoor, Parse]] = {}
    if config.dropsonde.enabled:
        dropsonde = DropsondeParser(config.tags, config.dropsonde.max_counters, counts.doors["dropsonde"])
        parsers["dropsonde"] = config.dropsonde, dropsonde
    if config.statsd.enabled:
        statsd = StatsdParser(config.statsd.counters, config.statsd.max_names, counts.doors["statsd"])
        parsers["statsd"] = config.statsd, statsd
    addresses: dict[str, str] = {}
    async with trio.open_nursery() as doors:
        for name, (settings, parse) in parsers.items():
            door = await bind_udp(settings.listen, settings.receive_buffer_bytes)
            addresses[name] = address_of(door)
            doors.start_soon(partial(UdpDoor(name, door, parse, outlet, counts.doors[name]).run, stop=stop))
        task_status.started(addresses)
