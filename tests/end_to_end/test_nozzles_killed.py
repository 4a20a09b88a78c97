"""Sinks and nozzles are killed under load: nothing is lost within the bound of the spool, and the ledger says so."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.end_to_end.deaths import account_of, balanced_ledger, kill
from tests.end_to_end.killable_sinks import KillableSink, NatsSink, WebhookSink
from tests.end_to_end.nozzle_systems import (
    SOURCES,
    assert_at_least_once,
    assert_exactly_once,
    assert_nothing_dropped,
    comes_to_rest,
    loads,
    running_nozzles,
    sink_of,
)
from tests.end_to_end.systems import RunningUp, eventually, run_command

PER_SECOND = 6_000
RUNNER = 'filter.types = ["log"]\nretry_most_s = 0.2\n'
SLOW = (pytest.mark.slow, pytest.mark.timeout(600))
SINKS: Mapping[str, Callable[[Path], KillableSink]] = {"webhook": WebhookSink, "nats_jetstream": NatsSink}
PROMISES = {"webhook": assert_at_least_once, "nats_jetstream": assert_exactly_once}


@contextmanager
def running_sink(kind: str, directory: Path) -> Iterator[KillableSink]:
    """Run a sink for the time of the block."""
    directory.mkdir()
    sink = SINKS[kind](directory)
    try:
        yield sink
    finally:
        sink.kill()


def test_up_runs_nozzles_and_says_how_they_are(certs_dir: Path, tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(5_000)).encode()
    file = f'kind = "json_lines"\nsink.path = "{tmp_path / "all"}"\n'
    with running_sink("webhook", tmp_path / "sink") as sink:
        tables = {"hook": sink.table + RUNNER, "all": file + RUNNER}
        with running_nozzles(tmp_path, certs_dir, tables, dopplers=2) as system:
            assert run_command(system.data_dir, "emit", "--source", "shop", "-", stdin=lines).returncode == 0
            assert all(comes_to_rest(system, name) for name in tables)
            told = run_command(system.data_dir, "nozzle", "status")
            said = balanced_ledger(system)
        assert {source: sorted(found) for source, found in sink.numbers().items()} == {"shop": list(range(5_000))}
    assert (tmp_path / "all").read_bytes().count(b"\n") == 5_000
    assert (said["problems"], said["remarks"]) == ([], [])
    titles, *rows = (line.split() for line in told.stdout.splitlines())
    told_of = [dict(zip(titles, row, strict=True)) for row in rows]
    assert [each["nozzle"] for each in told_of] == ["nozzles.hook", "nozzles.all"]
    assert [(each["delivered"], each["held"], each["dropped"]) for each in told_of] == [("5,000", "0", "0")] * 2


def test_a_killed_sink_costs_what_its_full_spool_drops_and_nothing_else(certs_dir: Path, tmp_path: Path) -> None:
    with running_sink("webhook", tmp_path / "large") as large, running_sink("webhook", tmp_path / "small") as small:
        tables = {"large": large.table + RUNNER, "small": f"{small.table}{RUNNER}spool_max_bytes = 500_000\n"}
        with (
            running_nozzles(tmp_path, certs_dir, tables, dopplers=1) as system,
            loads(system, PER_SECOND) as sending,
        ):
            assert eventually(lambda: min(sink_of(system, name)["delivered"] for name in tables) >= PER_SECOND)
            large.kill()
            small.kill()
            assert eventually(lambda: sink_of(system, "small")["dropped"].get("spool_full", 0) >= PER_SECOND)
            assert eventually(lambda: sink_of(system, "large")["held"] >= 2 * PER_SECOND)
            large.start()
            sent = sending.finish()
            assert comes_to_rest(system, "large")
            assert comes_to_rest(system, "small", sink_is_away=True)
            small.start()
            assert comes_to_rest(system, "small")
            said = balanced_ledger(system)
        assert_at_least_once(large.numbers(), sent)
        _lacks_the_oldest(small, sent, account_of(said, "nozzles.small", "small"))
    assert (said["problems"], said["remarks"]) == ([], [])
    books = account_of(said, "nozzles.large", "large")
    assert (books["delivered"], books["dropped"]) == (sum(sent.values()), {})


@pytest.mark.slow
def test_a_nozzle_killed_with_a_full_spool_loses_what_the_ledger_says(certs_dir: Path, tmp_path: Path) -> None:
    with running_sink("webhook", tmp_path / "sink") as sink:
        sink.kill()  # so that it has nothing of which the nozzle does not know
        tables = {"relay": f"{sink.table}{RUNNER}spool_max_bytes = 500_000\n"}
        with running_nozzles(tmp_path, certs_dir, tables, dopplers=1) as system:
            with loads(system, PER_SECOND) as sending:
                assert eventually(lambda: sink_of(system, "relay")["dropped"].get("spool_full", 0) >= PER_SECOND)
                sent = sending.finish()
            assert comes_to_rest(system, "relay", sink_is_away=True)
            at_rest = time.monotonic()
            assert eventually(lambda: time.monotonic() - at_rest > 3)  # its last book is of now
            kill(system, "nozzles.relay")
            sink.start()
            assert eventually(lambda: system.pid("nozzles.relay"))
            assert comes_to_rest(system, "relay")
            said = balanced_ledger(system)
        missing = sum(sent.values()) - sum(len(set(numbers)) for numbers in sink.numbers().values())
    died, lives = (account_of(said, "nozzles.relay", "relay", gone=gone) for gone in (True, False))
    in_memory = died["held"] - died["on_disk"]
    assert (lives["received"], lives["delivered"]) == (died["on_disk"], died["on_disk"])
    assert missing == died["dropped"]["spool_full"] + in_memory
    assert said["remarks"] == [f"nozzles.relay held {in_memory:,} envelopes when it was last seen before it died"]


@pytest.mark.parametrize(
    ("kind", "mode", "rounds", "per_second"),
    [
        ("webhook", "auto", 1, PER_SECOND),
        ("nats_jetstream", "auto", 1, PER_SECOND),
        pytest.param("webhook", "auto", 6, 2_000, marks=SLOW),
        pytest.param("webhook", "always", 6, 2_000, marks=SLOW),
        pytest.param("nats_jetstream", "auto", 6, 2_000, marks=SLOW),
    ],
)
def test_nozzle_and_sink_killed_at_any_moment_lose_nothing(
    certs_dir: Path, tmp_path: Path, kind: str, mode: str, rounds: int, per_second: int
) -> None:
    print(f"seed {(seed := time.time_ns())}")
    chance = random.Random(seed)
    with running_sink(kind, tmp_path / "sink") as sink:
        tables = {"relay": f'{sink.table}{RUNNER}spool_mode = "{mode}"\n'}
        with running_nozzles(tmp_path, certs_dir, tables, dopplers=1) as system, loads(system, per_second) as sending:
            assert eventually(lambda: sink_of(system, "relay")["delivered"] >= per_second // 2)
            kill(system, "nozzles.relay")
            for _ in range(rounds):
                _kill_in_some_order(system, sink, chance)
            sent = sending.finish()
            assert comes_to_rest(system, "relay")
            said = balanced_ledger(system)
        PROMISES[kind](sink.numbers(), sent)
    assert_nothing_dropped(said, "relay")


def _lacks_the_oldest(sink: KillableSink, sent: Mapping[str, int], books: Mapping[str, object]) -> None:
    """See that a sink lacks of each source one stretch of lines, all counted as dropped, and not the last of all."""
    found = {source: sorted(set(numbers)) for source, numbers in sink.numbers().items()}
    missing = {source: sorted(set(range(sent[source])) - set(found[source])) for source in SOURCES}
    assert books["dropped"] == {"spool_full": sum(map(len, missing.values()))}
    assert books["delivered"] == sum(map(len, found.values()))
    for numbers in filter(None, missing.values()):
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert any(found[source][-1] == sent[source] - 1 for source in SOURCES)


def _kill_in_some_order(system: RunningUp, sink: KillableSink, chance: random.Random) -> None:
    """Kill nozzle, sink, and both; at any moment of the nozzle's life, and the sink is away for a while."""
    for victims in chance.sample([("nozzle",), ("sink",), ("sink", "nozzle")], 3):
        assert eventually(lambda: _pids(system))
        time.sleep(chance.uniform(0, 1.5))
        if "sink" in victims:
            sink.kill()
        if "nozzle" in victims:
            _kill_nozzle(system)
        if "sink" in victims:
            time.sleep(chance.uniform(0.3, 1.0))
            sink.start()


def _kill_nozzle(system: RunningUp) -> None:
    """Kill the nozzle, whether it is ready or not, and see that it dies."""
    deaths = _deaths(system)
    for pid in _pids(system):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: _deaths(system) > deaths)


def _deaths(system: RunningUp) -> int:
    return system.output.count("child=nozzles.relay how='was killed by SIGKILL'")


def _pids(system: RunningUp) -> list[int]:
    """Find the nozzle among the processes that the supervisor has started."""
    found = []
    for children in Path(f"/proc/{system.process.pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [pid for pid in children.read_text().split() if _is_the_nozzle(pid)]
    return [int(pid) for pid in found]


def _is_the_nozzle(pid: str) -> bool:
    return b"--name=relay\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
