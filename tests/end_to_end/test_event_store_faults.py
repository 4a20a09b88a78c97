"""Processes of an event store amid faults: a second writer, a wrong key, damaged files, a disk that is full."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from event_store.storage import Reader, StorageSettings, Store
from plumbing.lifecycle import MISCONFIGURED
from plumbing.tls import TlsFiles, client_context
from tests.end_to_end.systems import PATIENCE_S, RunningUp, accounts, eventually, is_subscribed, run_command, up
from tests.running import dial
from tests.running_event_api import log
from tests.unit.event_store.storage.events import events, flip, key_file

SETTINGS = """
[doppler]
linger_s = 300
self_metrics_interval_s = 0
[event_store]
storage.flush_s = 0.2
agent_address = ""
"""


@pytest.fixture(scope="module")
def running(certs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """A Doppler and a store, for all tests here; each has a source of its own."""
    directory = tmp_path_factory.mktemp("faults")
    config = directory / "standpipe.toml"
    config.write_text(SETTINGS)
    shutil.copytree(certs_dir, directory / "data" / "certs")  # to make them takes longest
    with up(directory / "data", "--only", "doppler,event_store", "--config", str(config)) as system:
        assert eventually(lambda: is_subscribed(system, "event-store")), system.output
        yield system


def send(system: RunningUp, source: str, lines: Iterable[str]) -> None:
    """Send lines to the Doppler, all of them in one batch."""
    batch = EnvelopeBatch(batch=[log(line, source) for line in lines])
    with dial(system.endpoints["doppler-0"], system.data_dir / "certs", "doppler") as channel:
        call = channel.stream_unary("/loggregator.v2.Ingress/BatchSender", EnvelopeBatch.SerializeToString)
        call(iter([batch]), timeout=PATIENCE_S)


def send_as_a_segment(system: RunningUp, source: str, *lines: str) -> None:
    """Send lines, and wait until they are a segment of their own."""
    before = len(segments(system))
    send(system, source, lines)
    assert eventually(lambda: len(segments(system)) > before), system.output


def segments(system: RunningUp) -> list[Path]:
    snapshot = Reader.open(system.data_dir / "events").snapshot()
    return [snapshot.path(each) for each in snapshot.segments]


def found(system: RunningUp, source: str) -> list[str]:
    """What the store says that a source sent, in the order in which it came; nothing while it does not answer."""
    try:
        answer = api(system, "query", query=f"source:{source} | sort seq | fields message", limit="10000")
    except httpx.HTTPError:
        return []
    return [message for (message,) in answer.json()["rows"]] if answer.status_code == 200 else []


def api(system: RunningUp, path: str, **params: str) -> httpx.Response:
    """Ask the store as an administrator does."""
    token = (system.data_dir / "tokens" / "admin").read_text()
    return asked(system, "event_store", f"/api/{path}", params=params, headers={"Authorization": f"Bearer {token}"})


def health(system: RunningUp) -> tuple[int, list[str]]:
    """What the store says of itself: the code of the answer, and why it is not well."""
    answer = asked(system, "event_store.admin", "/healthz")
    return answer.status_code, answer.json().get("reasons", [])


def asked(system: RunningUp, endpoint: str, path: str, **how: Any) -> httpx.Response:
    files = TlsFiles.named(system.data_dir / "certs", "client")
    context = client_context(files.ca, files.cert, files.key)
    return httpx.get(f"https://{system.endpoints[endpoint]}{path}", verify=context, trust_env=False, **how)


def confirmed(system: RunningUp) -> int:
    """How many envelopes the Doppler knows to be safe."""
    return sum(account["delivered"] for account in accounts(system, "doppler-0", "event-store"))


def another(certs: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Start a store on a folder that it cannot have, and let it end."""
    files = TlsFiles.named(certs, "event-store")
    tls = ["--tls-ca", str(files.ca), "--tls-cert", str(files.cert), "--tls-key", str(files.key)]
    doors = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--auth.mode", "open"]
    command = [sys.executable, "-m", "event_store", *tls, *doors, "--data-dir", str(folder), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_writer_on_a_folder_ends_and_says_why(running: RunningUp) -> None:
    folder = running.data_dir / "events"
    send_as_a_segment(running, "twice", "before")

    second = another(running.data_dir / "certs", folder)

    assert second.returncode == MISCONFIGURED
    assert f"another process writes to the store in {folder}" in second.stderr
    send(running, "twice", ["after"])
    assert eventually(lambda: found(running, "twice") == ["before", "after"])


@pytest.mark.parametrize("given", ["none", "wrong"])
def test_without_the_right_key_a_store_ends_and_leaves_everything_as_it_was(
    certs_dir: Path, tmp_path: Path, given: str
) -> None:
    keys = {name: key_file(tmp_path / name, name[:1].encode()) for name in ("right", "wrong")}
    folder = tmp_path / "store"
    with closing(Store.open(folder, StorageSettings(key_file=keys["right"]))) as store:
        store.append([events(range(1000), t_a=["secret words"] * 1000)])
        store.flush()
        store.append([events(range(1000, 1010), t_a=["secret words"] * 10)])
    before = contents(folder)
    assert not any(b"secret words" in content for content in before.values())

    refused = another(certs_dir, folder, *(["--storage.key-file", str(keys[given])] if given in keys else []))

    assert refused.returncode == MISCONFIGURED
    assert "sealed with" in refused.stderr
    assert keys["wrong"].read_text().strip() not in refused.stderr + refused.stdout
    assert contents(folder) == before


def test_what_is_damaged_is_reported_and_the_rest_serves(running: RunningUp) -> None:
    parts = {"first": "sound", "flipped": "flipped", "cut": "sound", "last": "sound"}
    for part, source in parts.items():
        send_as_a_segment(running, source, *(f"{part} {number}" for number in range(50)))
    flipped, cut = segments(running)[-3:-1]
    flip(flipped, flipped.stat().st_size // 3)
    os.truncate(cut, cut.stat().st_size // 2)

    verified = run_command(running.data_dir, "store", "verify", "--json")
    assert verified.returncode == 1
    said = {each["file"]: each["events"] for each in json.loads(verified.stdout)["damaged"]}
    assert said == {str(each.relative_to(running.data_dir / "events")): 50 for each in (flipped, cut)}

    killed = running.pid("event_store")
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: running.pid("event_store") not in (0, killed)), running.output
    send(running, "sound", ["afterwards"])
    rest = [*(f"{part} {number}" for part in ("first", "last") for number in range(50)), "afterwards"]
    assert eventually(lambda: found(running, "sound") == rest), found(running, "sound")
    assert "store_damaged" in running.output
    quarantine = running.data_dir / "events" / "quarantine"
    for damaged in (cut, flipped):  # a glance finds the one, and the other is found when the store reads all it has
        assert eventually(lambda damaged=damaged: any(damaged.name in path.name for path in quarantine.iterdir()))
    assert run_command(running.data_dir, "store", "verify").returncode == 0


def test_a_byte_that_flips_in_a_running_store_costs_that_segment_alone(running: RunningUp, tmp_path: Path) -> None:
    for part in range(3):
        send_as_a_segment(running, "flips", *(f"{part} {os.urandom(40).hex()}" for _ in range(300)))
    before, pid = run_command(running.data_dir, "store", "verify"), running.pid("event_store")
    assert before.returncode == 0
    flipped = segments(running)[-2]
    name = str(flipped.relative_to(running.data_dir / "events"))
    flip(flipped, place_that_is_missed(flipped, tmp_path))

    first, second = (api(running, "query", query="source:flips | count by message", limit="10000") for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert len(first.json()["rows"]) == len(second.json()["rows"]) == 600
    assert not any(message.startswith("1 ") for message, _ in first.json()["rows"])
    assert any(name in warning for warning in first.json()["warnings"])
    assert second.json()["warnings"] == []
    assert name in api(running, "stats").json()["writer"]["damages"]
    assert eventually(lambda: any("store_damaged" in line and name in line for line in running.output.splitlines()))
    assert run_command(running.data_dir, "store", "verify").returncode == 0
    assert running.pid("event_store") == pid


def place_that_is_missed(segment: Path, scratch: Path) -> int:
    """Find a byte of the messages, from their middle on, without which nobody can read them."""
    copy = Path(shutil.copy(segment, scratch / "copy.parquet"))
    group = pq.read_metadata(segment).row_group(0)
    column = next(group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema == "message")
    first = column.data_page_offset
    for place in range(first + column.total_compressed_size // 2, first + column.total_compressed_size):
        flip(copy, place)
        try:
            duckdb.sql(f"SELECT count(DISTINCT message) FROM read_parquet('{copy}')").fetchall()  # ours
        except duckdb.Error:
            return place
        flip(copy, place)
    raise AssertionError("whatever flips is read all the same")


@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_a_full_disk_stops_confirming_says_so_and_goes_on_when_there_is_room(running: RunningUp, rounds: int) -> None:
    source, told = f"full-{rounds}", running.output.count("store_has_room")
    send_as_a_segment(running, source, "before")
    assert eventually(lambda: health(running) == (200, []))
    sent, pid = ["before"], running.pid("event_store")
    for number in range(rounds):
        safe, lines = confirmed(running), [f"line {number}-{place}" for place in range(200)]
        with largest_file(pid, 1):
            send(running, source, lines)
            assert eventually(lambda: health(running)[0] == 503), running.output
            assert any("cannot write to the store" in reason for reason in health(running)[1])
            assert confirmed(running) == safe
            assert found(running, source) == sent
        sent.extend(lines)
        assert eventually(lambda: found(running, source) == sent), found(running, source)
        assert eventually(lambda: health(running) == (200, []))
        assert eventually(lambda safe=safe: confirmed(running) == safe + 200)
    assert running.pid("event_store") == pid
    assert "store_full" in running.output
    assert running.output.count("store_has_room") == told + rounds
    print(f"seen: full {rounds} times, {len(sent)} envelopes stored once each, confirmed only when they were on disk")


@contextmanager
def largest_file(pid: int, size: int) -> Iterator[None]:
    """Let no file of a process grow beyond a size: for it, the disk is full."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
