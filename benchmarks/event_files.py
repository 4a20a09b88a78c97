"""Events in files, and stores made of them: what the benchmarks of the event store begin with.

The files are made once, which takes 25 s for each million, and stay in `.make/benchmarks` (540 MB for each million)
until `make clean`, or until other events are wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import event_data
from benchmarks.processes import BenchmarkError

_KEPT = Path(__file__).parents[1] / ".make" / "benchmarks"


def events_file(events: int) -> Path:
    """Return a file of so many events; make it, with all cores, if there is none."""
    fingerprint = hashlib.sha256(Path(event_data.__file__).read_bytes()).hexdigest()[:12]
    path = _KEPT / f"events-{events}-{fingerprint}.arrow"
    if not path.exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        for other in _KEPT.glob(f"events-{events}-*"):
            other.unlink()
        draft = path.with_suffix(f".{os.getpid()}")
        numbers = range(-(-events // event_data.BATCH_EVENTS))
        with ProcessPoolExecutor() as pool, draft.open("wb") as file:
            for content in pool.map(partial(_packed, events=events), numbers, chunksize=4):
                file.write(content)
        draft.rename(path)
    return path


def _packed(number: int, events: int) -> bytes:
    batch, sink = event_data.batch(number, events), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def read(path: Path, events: int | None = None) -> Iterator[pa.RecordBatch]:
    """Read the batches of a file, or of its first events; each is a stream of its own."""
    left = events if events is not None else sys.maxsize
    size = path.stat().st_size
    with path.open("rb") as file:
        while left > 0 and file.tell() < size:
            with pa.ipc.open_stream(file) as reader:
                batch = reader.read_next_batch()
                for _ in reader:  # to where the next one begins
                    pass
            left -= batch.num_rows
            yield batch


def text_bytes(path: Path, events: int | None = None) -> int:
    """How much text the messages of a file are, or of its first events."""
    return sum(batch.column("message").nbytes for batch in read(path, events))


def written(events: Path, folder: Path, *flags: str) -> Mapping[str, Any]:
    """Make a store of a file of events, in a process of its own; returns what it says of that."""
    said: Mapping[str, Any] = program("event_writer", str(events), str(folder), *flags)
    return said


def asked(folder: Path, events: int, queries: Sequence[tuple[str, int, bool]], *flags: str) -> Mapping[str, Any]:
    """Ask a store of so many events, in a process of its own; see `benchmarks.event_asker`."""
    said: Mapping[str, Any] = program("event_asker", str(folder), str(events), *flags, stdin=json.dumps(queries))
    return said


def bytes_on_disk(folder: Path) -> int:
    """What all files below a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def program(module: str, *flags: str, stdin: str = "", ended: int = 0) -> Any:
    """Run one of our programs to its end, and return what it says."""
    command: Sequence[str] = [sys.executable, "-m", f"benchmarks.{module}", *flags]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != ended:
        raise BenchmarkError(f"{module} ended: {done.stderr[-500:]}")
    return json.loads(done.stdout)
