"""What is found when a spool is opened again, whatever happened to its files."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbing.spool import Frame, Spool

COUNT = 5
WRITER = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from plumbing.spool import Frame, Spool
spool = Spool.open(Path(sys.argv[1]), max_bytes=64 << 20)
number = 0
while True:
    spool.put([Frame(b"%d" % n, 1) for n in range(number, number + 10)])
    number += 10
    print(number, flush=True)
"""


def opened(directory: Path) -> Spool:
    return Spool.open(directory, max_bytes=1 << 20)


def filled(directory: Path, count: int = COUNT) -> Path:
    """Put `count` frames of 3 envelopes each, and return the file they are in."""
    with closing(opened(directory)) as spool:
        for number in range(count):
            spool.put([Frame(b"batch %d" % number, 3)])
    (path,) = directory.glob("*.frames")
    return path


def drained(directory: Path) -> tuple[list[bytes], Spool]:
    with closing(opened(directory)) as spool:
        batches = []
        while kept := spool.read(1):
            batches += [one.batch for one in kept]
            assert balanced(spool)
        return batches, spool


def balanced(spool: Spool) -> bool:
    put = spool.recovered + spool.put_total
    return put == spool.done_total + spool.dropped_total + spool.corrupt_total + spool.held


def test_a_last_frame_cut_short_at_any_byte_costs_no_other(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole").read_bytes()
    frame_bytes = len(whole) // COUNT

    for size in range(len(whole) - frame_bytes, len(whole)):
        path = filled(directory := tmp_path / str(size))
        os.truncate(path, size)
        batches, spool = drained(directory)
        assert batches == [b"batch %d" % number for number in range(COUNT - 1)]
        assert spool.corrupt_total == 3  # it had been put


def test_a_torn_frame_that_was_never_put_is_nobodys_loss(tmp_path: Path) -> None:
    path = filled(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // COUNT - 1])

    batches, spool = drained(tmp_path)

    assert len(batches) == COUNT
    assert (spool.recovered, spool.corrupt_total, path.stat().st_size) == (15, 0, len(whole))


def test_a_flipped_byte_anywhere_costs_one_frame_and_is_counted(tmp_path: Path) -> None:
    path = filled(tmp_path)
    whole = path.read_bytes()
    frame_bytes = len(whole) // COUNT

    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        position = next(tmp_path.glob("*.position"))
        remembered = position.read_bytes()
        batches, spool = drained(tmp_path)
        position.write_bytes(remembered)
        lost = place // frame_bytes
        assert batches == [b"batch %d" % number for number in range(COUNT) if number != lost]
        assert (spool.recovered, spool.corrupt_total, spool.held) == (15, 3, 12)


def test_what_was_lost_at_the_end_of_a_segment_is_counted_once_another_follows(tmp_path: Path) -> None:
    path = filled(tmp_path)
    os.truncate(path, path.stat().st_size - 1)
    with closing(opened(tmp_path)) as spool:
        spool.put([Frame(b"after", 1)])

    batches, spool = drained(tmp_path)

    assert batches == [*(b"batch %d" % number for number in range(COUNT - 1)), b"after"]
    assert (spool.recovered, spool.corrupt_total) == (16, 3)


def test_numbers_are_never_given_twice_even_if_the_last_frames_are_gone(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with closing(opened(tmp_path)) as spool:
        given = {kept.seq for kept in spool.read(1 << 20)}
    os.truncate(path, 0)
    with closing(opened(tmp_path)) as spool:
        spool.put([Frame(b"new", 1)])
        (kept,) = spool.read(1 << 20)

    assert kept.seq > max(given)


def test_all_of_a_segment_that_is_done_is_removed(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(opened(tmp_path)) as spool:
        spool.commit(spool.read(1 << 20)[-1].seq)

    with closing(opened(tmp_path)) as spool:
        assert (spool.recovered, spool.read(1)) == (0, [])
        assert list(tmp_path.glob("*.frames")) == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "notes.frames").write_text("mine")

    assert len(drained(tmp_path)[0]) == COUNT
    assert (tmp_path / "notes.frames").read_text() == "mine"


@pytest.mark.parametrize("lines", [1, 40])
def test_what_was_put_survives_a_kill(tmp_path: Path, lines: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)

    batches, spool = drained(tmp_path)

    assert batches == [b"%d" % number for number in range(len(batches))]
    assert len(batches) >= acknowledged
    assert spool.corrupt_total == 0


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=200), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_whatever_lies_in_the_directory_the_spool_opens_and_balances(
    segment: bytes, position: bytes, seq: int, start: int
) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        (directory / f"{seq % 2**32:016x}-{start % 2**32:016x}.frames").write_bytes(segment)
        (directory / f"{start:016x}.position").write_bytes(position)
        with closing(opened(directory)) as spool:
            spool.put([Frame(b"one", 1)])

            assert [kept.batch for kept in spool.read(1 << 20)] == [b"one"]
            assert balanced(spool)
