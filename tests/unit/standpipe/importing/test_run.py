"""Files into a store: events, what is broken, what is interrupted."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from envelope.framing import varint
from envelope.pb.loggregator_v2_pb2 import Envelope
from event_store.events import to_events
from event_store.storage import StorageSettings, Store
from event_store.writer import Writer
from standpipe.importing import lines
from standpipe.importing.batches import Form
from standpipe.importing.line_times import LineTimes
from standpipe.importing.run import Import, Wanted
from standpipe.importing.streams import STDIN
from tests.unit.plumbing.gathering.arrivals import logs


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "events", StorageSettings())
    yield store
    store.close()


def wanted(**more: Any) -> Wanted:
    def head(path: Path) -> bytes:
        return Envelope(source_id=path.name).SerializeToString()

    return Wanted(head=head, times=partial(LineTimes, zone=UTC), **more)


def importing(store: Store, **more: Any) -> tuple[Import, list[str]]:
    told: list[str] = []
    return Import(store, wanted(**more), Writer(store, parse_fields=True), told.append), told


def messages(store: Store) -> list[str]:
    snapshot = store.snapshot()
    found = [row for one in snapshot.segments for row in snapshot.read(one, ["seq", "message"]).to_pylist()]
    found += [row for batch in snapshot.hot for row in batch.select(["seq", "message"]).to_pylist()]
    return [row["message"] for row in sorted(found, key=lambda row: row["seq"])]


async def test_lines_and_envelopes_become_events_in_segments(store: Store, tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"one\ntwo\n")
    (tmp_path / "old").write_bytes(gzip.compress(b"three\n"))
    (tmp_path / "envelopes").write_bytes(varint(len(logs("four"))) + logs("four"))
    work, told = importing(store)
    seen: list[int] = []
    paths = [tmp_path / name for name in ("app", "old", "envelopes")]
    await work.run(paths, 0, lambda stream, _: seen.append(stream.bytes_read))

    assert messages(store) == ["one", "two", "three", "four"]
    assert (work.done.files, work.done.lines.lines, work.done.messages.messages, told) == (3, 3, 1, [])
    assert store.stats().hot_events == 0
    assert all(seen)


async def test_what_is_broken_is_told_and_the_rest_goes_on(store: Store, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(gzip.compress(os.urandom(5000).hex().encode())[:3000])
    (tmp_path / "envelopes").write_bytes(varint(len(logs("good"))) + logs("good") + b"\x02\xff\xff\x07abc")
    (tmp_path / "app").write_bytes(b"last")
    work, told = importing(store)
    await work.run([tmp_path / name for name in ("cut", "none", "envelopes", "app")], 0, lambda *_: None)

    assert messages(store)[-2:] == ["good", "last"]
    assert [path.name for path, _ in work.done.troubles] == ["cut", "none", "envelopes"]
    assert (work.done.files, work.done.messages.malformed, len(told)) == (1, 1, 4)


@pytest.mark.parametrize("form", [None, Form.LINES])
async def test_a_file_in_utf_16_is_dated_and_is_text(store: Store, tmp_path: Path, form: Form | None) -> None:
    text = "\ufeff2026-11-20T10:11:12Z grüßt\r\n2026-11-20T10:11:13Z näher\r\n"
    (tmp_path / "app").write_bytes(text.encode("utf-16-le"))
    (tmp_path / "old").write_bytes(gzip.compress(text.encode("utf-16-be")))
    work, told = importing(store, form=form)
    await work.run([tmp_path / "app", tmp_path / "old"], 0, lambda *_: None)

    assert messages(store) == ["2026-11-20T10:11:12Z grüßt", "2026-11-20T10:11:13Z näher"] * 2
    assert (work.done.lines.lines, work.done.lines.undated, told) == (4, 0, [])


async def test_segments_are_joined_if_that_is_wanted(store: Store, tmp_path: Path) -> None:
    store.append([to_events(logs("before"))])
    store.flush()
    (tmp_path / "app").write_bytes(b"1970-01-01 00:00:01 x")
    work, _ = importing(store, compact=True)
    await work.run([tmp_path / "app"], 0, lambda *_: None)

    assert [segment.level for segment in store.segments()] == [1]


async def test_a_signal_ends_it_at_a_place_from_which_it_can_go_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BATCH_LINES", 2)
    path = tmp_path / "app"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(40)))
    first, _ = importing(store)

    def interrupt(*_: object) -> None:
        if first.done.upto == 10:
            os.kill(os.getpid(), signal.SIGINT)

    await first.run([path], 0, interrupt)
    assert (first.done.ended_by, first.done.files) == (signal.SIGINT, 0)
    assert 10 <= first.done.upto < 40
    second, _ = importing(store)
    await second.run([path], first.done.upto, lambda *_: None)
    assert messages(store) == [str(number) for number in range(40)]


async def test_a_signal_between_two_files_counts_for_the_next(store: Store, tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"one\n")
    work, _ = importing(store)
    work.done.ended_by = signal.SIGINT
    await work.run([tmp_path / "app"], 0, lambda *_: None)
    assert (work.done.upto, messages(store)) == (0, [])


@pytest.fixture
def stdin() -> Iterator[int]:
    """Standard input, for as long as the test: the end that is written to."""
    ours, theirs = os.pipe()
    before = os.dup(0)
    os.dup2(ours, 0)
    yield theirs
    os.close(theirs)  # ends the thread that waits
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.name.startswith("trio"):
            thread.join(1)
    os.dup2(before, 0)
    os.close(before)
    os.close(ours)


async def test_whoever_waits_for_standard_input_can_be_interrupted(store: Store, stdin: int) -> None:
    os.write(stdin, b"one\ntwo")
    work, _ = importing(store)
    with trio.fail_after(60):
        await work.run([STDIN], 0, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert (work.done.ended_by, work.done.upto, messages(store)) == (signal.SIGTERM, 1, ["one"])


@pytest.mark.usefixtures("stdin")
async def test_whoever_waits_for_the_first_of_it_can_be_interrupted(store: Store) -> None:
    work, _ = importing(store)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.run, [STDIN], 0, lambda *_: None)
            await trio.testing.wait_all_tasks_blocked(0.05)
            os.kill(os.getpid(), signal.SIGINT)
    assert (work.done.ended_by, work.done.upto, work.done.files) == (signal.SIGINT, 0, 0)
