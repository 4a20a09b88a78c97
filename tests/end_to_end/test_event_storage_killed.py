"""Who writes, flushes and compacts is killed at any moment: what was acknowledged is there once, in a sound store."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from event_store.storage import Reader, StorageSettings, Store
from event_store.storage.segments import strays

WRITER = """
import sys, threading
from pathlib import Path
import pyarrow as pa
from event_store.storage import StorageSettings, Store
store = Store.open(Path(sys.argv[1]), StorageSettings(flush_rows=400, row_group_rows=500, remove_after_s=0))
def tend():
    while True:
        store.compact(everything=True)
def flush():
    while True:
        if store.flush_due():
            store.flush()
number = store.stats().events
print(number, flush=True)
for work in (tend, flush):
    threading.Thread(target=work, daemon=True).start()
while True:
    numbers = range(number, number + 100)
    sources = pa.array([f"app-{one % 7}" for one in numbers]).dictionary_encode()
    times = pa.array([1_790_000_000_000_000_000 + one for one in numbers], pa.timestamp("ns"))
    messages = pa.array([str(one) for one in numbers])
    store.append([pa.RecordBatch.from_pydict({"time": times, "source_id": sources, "message": messages})], b"mark")
    number += 100
    print(number, flush=True)
"""


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_a_writer_killed_at_any_moment_leaves_a_sound_store(tmp_path: Path, rounds: int) -> None:
    print(f"seed {(seed := time.time_ns())}")
    chance, acknowledged, compacted = random.Random(seed), 0, False
    for _ in range(rounds):
        acknowledged = max(acknowledged, write_and_die(tmp_path, chance.uniform(0, 0.8)))
        compacted |= any(one.level for one in Reader.open(tmp_path).snapshot().segments)

        with closing(Store.open(tmp_path, StorageSettings())) as store:
            numbers = numbers_in(store)
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= acknowledged
            assert store.stats().damages == store.verify() == ()
            assert strays(tmp_path, store.segments()) == []
            assert not list(tmp_path.rglob("segments/**/.*"))
    assert compacted
    print(f"seen: killed {rounds} times, {acknowledged} events acknowledged, none of them lost or doubled")


def write_and_die(folder: Path, after_s: float) -> int:
    """Write, a while after it began, until killed; says how much was acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline(), writer.stdout.readline()]
        time.sleep(after_s)
        writer.kill()
        said += writer.stdout.readlines()
    assert all(said), "it did not begin"
    return int([line for line in said if line.endswith("\n")][-1])


def numbers_in(store: Store) -> list[int]:
    snapshot = store.snapshot()
    found = [text for one in snapshot.segments for text in snapshot.read(one, ["message"])["message"].to_pylist()]
    found += [text for batch in snapshot.hot for text in batch.column("message").to_pylist()]
    return sorted(map(int, found))
