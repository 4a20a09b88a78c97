"""The tests mirror the code: every module with logic has its test file, and every test file its module."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tests" / "unit"
ROOMS = (
    "envelope",
    "plumbing",
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
DECLARATIONS = {"config.py", "errors.py", "kinds.py", "metrics.py", "options.py", "service.py"}
"""Files that declare and wire: whatever runs a component tests them."""
EDGES = {
    "event_store/http/answers.py": "tests/integration/test_event_api.py",
    "event_store/http/search.py": "tests/integration/test_event_api.py",
    "log_cache/peer.py": "tests/integration/test_log_cache_cluster.py",
    "plumbing/egress_client.py": "tests/integration/test_feed_wire.py",
    "plumbing/egress_server.py": "tests/integration/test_doppler_wire.py",
    "plumbing/pem.py": "tests/unit/plumbing/test_tls.py",
    "plumbing/sources_feed.py": "tests/integration/test_sources_feed_wire.py",
    "plumbing/unary_client.py": "tests/integration/test_log_cache_cluster.py",
    "traffic_controller/websocket_server.py": "tests/integration/test_firehose_wire.py",
}
"""Modules that are tested where they meet real sockets or files, and where that is."""
OF_NO_ONE_MODULE = {
    "envelope/test_compiled.py",
    "envelope/test_compiled_extremes.py",
    "envelope/test_kernel_fuzz.py",
    "envelope/test_reference_conversions.py",
    "envelope/test_v1_and_v2_round_trips.py",
    "envelope/test_v1_to_v2_edges.py",
    "envelope/test_v2_to_v1_gauges.py",
    "envelope/test_v2_to_v1_tags_and_logs.py",
    "envelope/test_v2_to_v1_timers.py",
    "event_store/clickhouse/test_against_chdb.py",
    "event_store/engine/test_against_oracle.py",
    "event_store/query/test_against_oracle.py",
    "event_store/storage/test_store_faults.py",
    "log_cache/promql/test_against_oracle.py",
    "log_cache/test_query_answers.py",
    "log_cache/test_reads_by_arrival.py",
    "log_cache/test_reads_of_nodes.py",
    "log_cache/test_store_limits.py",
    "plumbing/spool/test_spool_faults.py",
    "plumbing/test_config_errors.py",
    "plumbing/test_config_inner_tables.py",
    "test_docs.py",
    "test_layout.py",
}


def modules() -> set[Path]:
    """Every module of the rooms, relative to the root."""
    found = {path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return {path for path in found if "pb" not in path.parts and not path.name.startswith("__")}


def unit_tests() -> set[str]:
    return {path.relative_to(UNIT).as_posix() for path in UNIT.rglob("test_*.py")}


def mirror(module: Path) -> str:
    return (module.parent / f"test_{module.name}").as_posix()


def test_every_module_with_logic_has_its_test_file() -> None:
    expected = {module for module in modules() if module.name not in DECLARATIONS and module.as_posix() not in EDGES}

    assert sorted(mirror(module) for module in expected if mirror(module) not in unit_tests()) == []


def test_every_test_file_mirrors_a_module() -> None:
    mirrored = {mirror(module) for module in modules()}

    assert sorted(unit_tests() - mirrored - OF_NO_ONE_MODULE) == []


def test_an_edge_is_tested_where_it_is_said_to_be() -> None:
    assert [test for test in EDGES.values() if not (ROOT / test).is_file()] == []
    assert sorted(set(EDGES) - {module.as_posix() for module in modules()}) == []
    assert sorted(edge for edge in EDGES if mirror(Path(edge)) in unit_tests()) == []
