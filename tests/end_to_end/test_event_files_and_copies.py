"""`standpipe store import` and `backup` as processes: while a store runs, and killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from envelope.framing import varint
from event_store.storage import Reader, StorageSettings, Store
from tests.unit.event_store.storage.events import numbers_in
from tests.unit.plumbing.gathering.arrivals import logs

WRITER = """
import sys, threading, time
from pathlib import Path
import pyarrow as pa
from event_store.storage import StorageSettings, Store
store = Store.open(Path(sys.argv[1]), StorageSettings(flush_rows=2000, remove_after_s=5))
def tend():
    while True:
        time.sleep(0.2)
        store.flush()
        store.compact(everything=True)
threading.Thread(target=tend, daemon=True).start()
number = 0
while True:
    numbers = range(number, number + 100)
    times = pa.array([1_790_000_000_000_000_000 + one for one in numbers], pa.timestamp("ns"))
    sources = pa.array([f"app-{one % 7}" for one in numbers]).dictionary_encode()
    messages = pa.array([str(one) for one in numbers])
    store.append([pa.RecordBatch.from_pydict({"time": times, "source_id": sources, "message": messages})], b"mark")
    number += 100
    (Path(sys.argv[1]) / "acknowledged").write_text(str(number))
    time.sleep(0.01)
"""
STANDPIPE = [sys.executable, "-m", "standpipe"]


def standpipe(*words: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [*STANDPIPE, *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=110, check=False)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A process that appends, flushes and compacts, and notes how many events are safe."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)]) as writer:
        try:
            while not acknowledged(folder):
                assert writer.poll() is None
                time.sleep(0.05)
            yield
        finally:
            writer.kill()


def acknowledged(folder: Path) -> int:
    """Say how many events are safe by now, or a moment ago."""
    note = folder / "acknowledged"
    return int(note.read_text() or 0) if note.exists() else 0


def numbers(folder: Path) -> list[int]:
    return sorted(numbers_in(Reader.open(folder).snapshot()))


@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_a_backup_killed_at_any_moment_leaves_what_was_or_is(tmp_path: Path, rounds: int) -> None:
    source, copy = tmp_path / "events", tmp_path / "copy"
    print(f"seed {(seed := time.time_ns())}")
    chance, held = random.Random(seed), 0
    command = [*STANDPIPE, "store", "backup", str(copy), "--events-dir", str(source)]
    with writing(source):
        for _ in range(rounds):
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as backup:
                time.sleep(chance.uniform(0, 2.5))
                backup.kill()
            if held:
                found = numbers(copy)
                assert found == list(range(len(found)))
                assert len(found) >= held
            safe = acknowledged(source)
            whole = standpipe("store", "backup", copy, "--events-dir", source, "--json")
            assert (whole.returncode, json.loads(whole.stdout)["damaged"]) == (0, []), whole.stderr
            found = numbers(copy)
            assert found == list(range(len(found)))
            assert len(found) >= max(safe, held)
            held = len(found)
    assert standpipe("store", "verify", "--events-dir", copy).returncode == 0
    with closing(Store.open(copy, StorageSettings())) as store:
        assert store.verify() == store.stats().damages == ()
        assert store.stats().events == held


def test_files_come_into_a_store_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "shop.log").write_text("2026-11-20T10:00:00Z started\nts=1700000000.5 level=warn\n")
    (tmp_path / "envelopes").write_bytes(varint(len(logs("one"))) + logs("one"))
    done = standpipe(
        "store",
        "import",
        tmp_path / "shop.log",
        tmp_path / "envelopes",
        "-",
        "--data-dir",
        tmp_path,
        "--json",
        stdin="x",
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["files"], told["lines"], told["messages"], told["events"]) == (0, 3, 3, 1, 4)
    snapshot = Reader.open(tmp_path / "events").snapshot()
    assert (snapshot.rows, snapshot.hot) == (4, ())
    with closing(Store.open(tmp_path / "events", StorageSettings())):
        busy = standpipe("store", "import", tmp_path / "shop.log", "--data-dir", tmp_path)
    assert (busy.returncode, "standpipe emit" in busy.stderr) == (1, True)


def test_whoever_interrupts_an_import_is_told_how_to_go_on(tmp_path: Path) -> None:
    pipe, log = tmp_path / "pipe", tmp_path / "log"
    lines = [f"2026-11-20T10:00:00Z line {number}\n" for number in range(1000)]
    log.write_text("".join(lines))
    os.mkfifo(pipe)
    command = [*STANDPIPE, "store", "import", "--source-id", "app", "--data-dir", str(tmp_path), "-"]
    with (
        subprocess.Popen(["/bin/sh", "-c", 'exec "$@" < pipe', "sh", *command], cwd=tmp_path, stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, text=True) as work,
        pipe.open("w") as stdin,
    ):  # fmt: skip
        stdin.write("".join(lines[:500]))
        stdin.flush()
        while (
            not (tmp_path / "events" / "MANIFEST.json").exists()
            or Reader.open(tmp_path / "events").snapshot().rows < 500
        ):
            assert work.poll() is None
            time.sleep(0.05)
        work.send_signal(signal.SIGINT)
        assert work.wait(60) == 128 + signal.SIGINT
        assert work.stderr is not None
        assert "standpipe store import --skip 500 -" in work.stderr.read()
    done = standpipe("store", "import", "--skip", 500, "--source-id", "app", "--data-dir", tmp_path, log)
    assert done.returncode == 0, done.stderr
    snapshot = Reader.open(tmp_path / "events").snapshot()
    found = [text for one in snapshot.segments for text in snapshot.read(one, ["message"])["message"].to_pylist()]
    assert sorted(found) == sorted(line.rstrip("\n") for line in lines)
