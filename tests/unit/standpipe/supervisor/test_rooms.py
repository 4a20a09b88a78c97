from typing import Any

import doppler
import event_store
import log_cache
import metron
import reverse_log_proxy
import syslog_adapter
import traffic_controller
from nozzles.config import Config as NozzleConfig
from plumbing.certs import LEAVES
from plumbing.setting_sources import flag_of, settings_of
from standpipe.supervisor.rooms import FLOW, Room, free_ports

CONFIGS: dict[str, Any] = {
    "doppler": doppler.Config,
    "metron": metron.Config,
    "traffic_controller": traffic_controller.Config,
    "reverse_log_proxy": reverse_log_proxy.Config,
    "log_cache": log_cache.Config,
    "syslog_adapter": syslog_adapter.Config,
    "nozzles": NozzleConfig,
    "event_store": event_store.Config,
}


def _flags(room: Room) -> set[str]:
    return {flag_of(keys) for keys, _ in settings_of(CONFIGS[room.name])}


def test_rooms_know_the_ports_and_certificates_of_their_components() -> None:
    for room in FLOW:
        assert room.leaf in LEAVES
        if room.port is not None:
            assert CONFIGS[room.name].model_fields["listen"].default == f"127.0.0.1:{room.port}"
        else:
            assert "--listen" not in _flags(room)


def test_doors_and_places_are_settings_that_components_have() -> None:
    for room in FLOW:
        assert {f"--{setting}" for door in room.doors for setting in (door.setting, door.switch) if setting} <= _flags(
            room
        )
        assert {flag_of((setting,)) for setting, _ in room.places} <= _flags(room)


def test_free_ports_are_nobody_elses() -> None:
    taken = {room.port for room in FLOW} | {door.port for room in FLOW for door in room.doors}
    assert taken.isdisjoint(free_ports(8082)[1:])
