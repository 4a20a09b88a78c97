from pathlib import Path
from typing import Any

import pytest

from plumbing.auth import AuthSettings
from plumbing.setting_sources import ConfigError
from standpipe.supervisor.plan import Component, Plan, dialable, make_cluster, make_plan
from standpipe.supervisor.rooms import FLOW
from standpipe.supervisor.settings import UpSettings

DATA = Path("/data")


def _plan(settings: UpSettings | None = None, config: Path | None = None, **told: dict[str, Any]) -> Plan:
    everything = {**{room.name: {} for room in FLOW}, **told}
    return make_plan(settings or UpSettings(), everything, DATA, config)


def _components(plan: Plan) -> list[Component]:
    return [component for stage in plan.stages for component in stage]


def _listens(plan: Plan) -> dict[str, tuple[str, str]]:
    return {each.name: (each.listen, each.admin_listen) for each in _components(plan)}


def _flags(plan: Plan, name: str) -> tuple[str, ...]:
    """Every flag of a component, those of its ports included."""
    component = next(each for each in _components(plan) if each.name == name)
    return tuple(component.command("python", {}, {}))


def test_by_default_everything_listens_where_the_manual_says() -> None:
    assert _listens(_plan()) == {
        "doppler-0": ("127.0.0.1:8082", "127.0.0.1:14830"),
        "doppler-1": ("127.0.0.1:8084", "127.0.0.1:14831"),
        "metron": ("127.0.0.1:3458", "127.0.0.1:14820"),
        "traffic_controller": ("127.0.0.1:8081", "127.0.0.1:14821"),
        "reverse_log_proxy": ("127.0.0.1:8090", "127.0.0.1:14822"),
        "log_cache-0": ("127.0.0.1:8080", "127.0.0.1:14823"),
        "syslog_adapter-0": ("", "127.0.0.1:14824"),
        "event_store": ("127.0.0.1:8085", "127.0.0.1:14826"),
    }


def test_any_number_of_components_is_free_of_collisions() -> None:
    nozzles = {f"nozzle{number}": {} for number in range(20)}
    plan = _plan(UpSettings(dopplers=100, log_caches=16, syslog_adapters=16), nozzles=nozzles)
    addresses = [address for pair in _listens(plan).values() for address in pair if address]
    addresses += [address for each in _components(plan) for address in each.doors.values()]
    assert len(addresses) == len(set(addresses))


def test_automatic_ports_keep_the_host_that_was_set() -> None:
    plan = _plan(UpSettings(ports="auto"), doppler={"listen": "0.0.0.0:9000"})
    assert _listens(plan)["doppler-1"] == ("0.0.0.0:0", "127.0.0.1:0")
    assert _listens(plan)["metron"] == ("127.0.0.1:0", "127.0.0.1:0")


def test_dopplers_count_up_from_the_port_that_was_set() -> None:
    plan = _plan(doppler={"listen": "[::1]:9000", "admin_listen": "10.0.0.1:9100"})
    assert _listens(plan)["doppler-1"] == ("[::1]:9001", "10.0.0.1:9101")


def test_port_0_that_was_set_stays_0_for_all() -> None:
    assert _listens(_plan(doppler={"listen": "127.0.0.1:0"}))["doppler-1"][0] == "127.0.0.1:0"


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\[metron\] listen: 'here' is not host:port"):
        _plan(metron={"listen": "here"})


def test_dopplers_that_run_out_of_ports_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"65535 \+ 1 is above"):
        _plan(doppler={"listen": "127.0.0.1:65535"})


@pytest.mark.parametrize(
    ("only", "started"),
    [
        (["doppler"], ["doppler-0", "doppler-1"]),
        (["doppler-1", "metron"], ["doppler-1", "metron"]),
        (["traffic_controller"], ["traffic_controller"]),
    ],
)
def test_only_what_is_named_is_started(only: list[str], started: list[str]) -> None:
    assert list(_listens(_plan(UpSettings(only=tuple(only))))) == started


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="no component 'doppler-2'; known are metron, doppler, traffic_controller"):
        _plan(UpSettings(only=("doppler-2",)))


def test_others_dial_the_dopplers_where_they_truly_listen() -> None:
    plan = _plan(UpSettings(ports="auto"))
    started = {"doppler-0": "a:1", "doppler-1": "b:2"}
    for component in (*plan.dialling(plan.agents, started), *plan.dialling(plan.others, started)):
        assert "--doppler-addresses=a:1,b:2" in component.flags


def test_others_dial_dopplers_that_run_elsewhere_where_they_should_listen() -> None:
    plan = _plan(UpSettings(only=("doppler-0", "metron"), ports="auto"), doppler={"listen": "0.0.0.0:9000"})
    (metron_,) = plan.dialling(plan.agents, {"doppler-0": "127.0.0.1:4711"})
    assert "--doppler-addresses=127.0.0.1:4711,127.0.0.1:9001" in metron_.flags


def test_nodes_of_a_log_cache_know_each_other_in_one_order() -> None:
    plan = _plan(UpSettings(log_caches=2), log_cache={"listen": "0.0.0.0:9000"})
    together = "--node-addresses=127.0.0.1:9000,127.0.0.1:9001"
    first, second = make_cluster(plan.log_caches)
    assert first.flags[-2:] == (together, "--node-index=0")
    assert second.flags[-2:] == (together, "--node-index=1")


def test_doors_of_further_nodes_count_up_from_where_the_first_was_told() -> None:
    told = {"rest": {"listen": "0.0.0.0:9443"}}
    first, second = _plan(UpSettings(log_caches=2), log_cache=told).log_caches
    assert list(first.doors.values()) == []
    assert list(second.doors.values()) == ["0.0.0.0:9444"]


def test_doors_that_were_closed_stay_closed_at_all_nodes() -> None:
    closed = _plan(UpSettings(log_caches=2), log_cache={"rest": {"enabled": False}}).log_caches
    assert [list(node.doors) for node in closed] == [[], []]


def test_further_nodes_have_doors_though_something_else_of_them_was_set() -> None:
    _, second = _plan(UpSettings(log_caches=2), log_cache={"rest": {"max_streams": 5}}).log_caches
    assert list(second.doors.values()) == ["127.0.0.1:8400"]


def test_a_log_cache_alone_is_told_of_no_others() -> None:
    (alone,) = make_cluster(_plan().log_caches)
    assert not any("node" in flag for flag in alone.flags)


def test_there_may_be_no_log_cache() -> None:
    assert list(_plan(UpSettings(log_caches=0)).log_caches) == []


def test_the_traffic_controller_asks_the_log_cache_there_is() -> None:
    started = {"log_cache-0": "a:1", "log_cache-0.rest": "127.0.0.1:4711"}
    controller, proxy, *_ = (plan := _plan()).dialling(plan.others, started)
    assert "--log-cache-url=https://127.0.0.1:4711" in controller.flags
    assert not any("log-cache" in flag for flag in proxy.flags)
    told = _plan(traffic_controller={"log_cache_url": "https://far"})
    assert not any("log-cache-url" in flag for each in told.dialling(told.others, started) for flag in each.flags)


def test_doppler_addresses_that_were_set_are_left_alone() -> None:
    plan = _plan(metron={"doppler_addresses": ["far:1"]})
    (metron_,), others = plan.dialling(plan.agents, {}), plan.dialling(plan.others, {})
    assert not any("doppler-addresses" in flag for flag in metron_.flags)
    assert all(any("doppler-addresses" in flag for flag in each.flags) for each in others)


def test_readers_report_to_the_agent_there_is_unless_told_of_another() -> None:
    plan = _plan(traffic_controller={"agent_address": "far:1"})
    controller, proxy, *_ = plan.dialling(plan.others, {"metron": "a:3458"})
    assert "--agent-address=a:3458" in proxy.flags
    assert not any("agent-address" in flag for flag in controller.flags)
    assert not any("agent-address" in flag for each in plan.dialling(plan.others, {}) for flag in each.flags)


def test_components_are_given_the_places_of_the_data_directory() -> None:
    (metron_,), (controller, *_) = _plan().agents, _plan().others
    assert metron_.flags == (
        "--tls-ca=/data/certs/ca.crt",
        "--tls-cert=/data/certs/metron.crt",
        "--tls-key=/data/certs/metron.key",
        "--checkpoint-dir=/data/checkpoints",
    )
    assert "--auth.tokens-dir=/data/tokens" in controller.flags


def test_places_that_were_set_are_left_alone() -> None:
    (metron_,) = _plan(config=Path("f.toml"), metron={"checkpoint_dir": "/mine", "tls_ca": "/ours"}).agents
    assert metron_.flags == ("--config=f.toml", *(f"--tls-{part}=/data/certs/metron.{ext}" for part, ext in _PAIR))


def test_further_doors_are_opened_unless_somebody_set_them_up() -> None:
    assert {"--dropsonde.listen=127.0.0.1:3457", "--dropsonde.enabled", "--statsd.listen=127.0.0.1:8125"} < set(
        _flags(_plan(), "metron")
    )
    told = _plan(UpSettings(ports="auto"), metron={"statsd": {"enabled": False}})
    assert not any("statsd" in flag for flag in _flags(told, "metron"))
    assert "--dropsonde.listen=127.0.0.1:0" in _flags(told, "metron")


def test_who_decides_about_access_is_told_to_every_door_that_was_not_told_otherwise() -> None:
    access = AuthSettings(mode="uaa", uaa_url="https://uaa", uaa_symmetric_keys=False)
    plan = _plan(UpSettings(auth=access), reverse_log_proxy={"auth": {"uaa_url": "https://other"}})
    assert {"--auth.mode=uaa", "--auth.uaa-url=https://uaa", "--no-auth.uaa-symmetric-keys"} < set(
        _flags(plan, "traffic_controller")
    )
    assert "--auth.mode=uaa" in _flags(plan, "reverse_log_proxy")
    assert not any("uaa-url" in flag for flag in _flags(plan, "reverse_log_proxy"))
    assert not any("auth" in flag for flag in _flags(plan, "metron"))


def test_the_metrics_of_dopplers_can_be_told_apart() -> None:
    assert "--tags=index=1" in _flags(_plan(), "doppler-1")
    assert not any("tags" in flag for flag in _flags(_plan(doppler={"tags": {"index": "9"}}), "doppler-1"))


def test_what_the_environment_says_about_access_is_left_alone() -> None:
    plan = _plan(UpSettings(auth=AuthSettings(mode="open")), traffic_controller={"auth": "local"})
    assert not any("auth" in flag for flag in _flags(plan, "traffic_controller"))


_PAIR = (("cert", "crt"), ("key", "key"))


def test_a_component_asks_for_the_ports_it_had() -> None:
    component = _plan(UpSettings(ports="auto")).dopplers[0]
    first = component.command("python", {}, {"ready": 5, "parent": 6})
    later = component.command("python", {"listen": "127.0.0.1:4711", "admin": "127.0.0.1:4712"}, {})
    assert first[:8] == [
        *("python", "-P", "-m", "doppler", "--ready-fd=5", "--parent-fd=6", "--name=doppler-0"),
        "--listen=127.0.0.1:0",
    ]
    assert {"--listen=127.0.0.1:4711", "--admin-listen=127.0.0.1:4712"} < set(later)


def test_only_an_agent_that_was_told_so_reads_our_standard_input() -> None:
    assert not any(each.reads_stdin for each in (*_plan().dopplers, *_plan().agents, *_plan().others))
    assert [each.reads_stdin for each in _plan(metron={"stdin": {}}).agents] == [True]


@pytest.mark.parametrize(
    ("listened_on", "dialled"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:1", "[::1]:1"),
        ("[fe80::1]:1", "[fe80::1]:1"),
        ("host.example:1", "host.example:1"),
    ],
)
def test_every_address_can_be_dialled(listened_on: str, dialled: str) -> None:
    assert dialable(listened_on) == dialled


def test_a_nozzle_is_run_for_each_table_that_it_has() -> None:
    plan = _plan(nozzles={"errors": {"kind": "json_lines"}, "all": {"admin_listen": "127.0.0.1:5", "spool_dir": "/s"}})
    flags = _flags(plan, "nozzles.errors")
    assert flags[3:5] == ("nozzles", "--name=errors")
    assert {"--spool-dir=/data/spool/nozzles.errors", "--admin-listen=127.0.0.1:14825"} < set(flags)
    assert not any(flag.startswith("--listen") for flag in flags)
    assert not any(flag.startswith("--spool") for flag in _flags(plan, "nozzles.all"))
    assert list(_listens(_plan(UpSettings(only=("nozzles.all",)), nozzles={"all": {}, "errors": {}}))) == [
        "nozzles.all"
    ]


@pytest.mark.parametrize("name", ["", "Big", "with space", "dotted.name", "x" * 64])
def test_a_nozzle_whose_name_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a nozzle's name"):
        _plan(nozzles={name: {}})


def test_adapters_share_the_drains_of_the_data_directory() -> None:
    plan = _plan(UpSettings(syslog_adapters=2))
    assert "--drains-dir=/data" in _flags(plan, "syslog_adapter-0")
    assert {"--name=syslog_adapter-1", "--drains-dir=/data", "--cache.listen=127.0.0.1:8500"} < set(
        _flags(plan, "syslog_adapter-1")
    )
    assert "syslog_adapter-0" not in _listens(_plan(UpSettings(syslog_adapters=0)))


def test_the_events_are_in_the_data_directory_unless_told_otherwise() -> None:
    assert "--data-dir=/data/events" in _flags(_plan(), "event_store")
    assert not any(
        flag.startswith("--data-dir") for flag in _flags(_plan(event_store={"data_dir": "/e"}), "event_store")
    )


def test_there_may_be_no_event_store() -> None:
    assert "event_store" not in _listens(_plan(UpSettings(event_store=False)))
    assert _listens(_plan(UpSettings(event_store=False, only=("event_store",)))) == {}
