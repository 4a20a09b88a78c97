"""A disk that is full, fails or cannot be read for a moment: what a spool makes of it."""

import errno
import io
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from plumbing.spool import Spool, SpoolUnwritable
from tests.unit.plumbing.spool.spools import PLENTY, balanced, frame, numbers


@pytest.mark.parametrize("written", [0, 1, 50_000, 80_000, 150_000])
def test_a_full_disk_leaves_it_as_it_was(spool: Spool, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    spool.put([frame(number, 2) for number in range(3)])
    directory = spool._directory
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    whole, room = os.pwrite, written

    def full(handle: int, data: bytes, offset: int) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = whole(handle, data[:room], offset)
        room -= size
        return size

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(SpoolUnwritable, match="No space left"):
            spool.put([frame(number, size=50_000) for number in range(4)])

    assert {path.name: path.read_bytes() for path in directory.iterdir()} == files
    assert (spool.put_total, spool.held) == (6, 6)
    spool.put([frame(3, 2)])
    assert numbers(spool.read(PLENTY)) == [0, 1, 2, 3]
    assert balanced(spool)


def refuse(number: int) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refused


def test_a_file_that_cannot_be_removed_is_counted_and_goes_at_the_next_opening(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse(errno.EIO))
        for number in range(200):
            spool.put([frame(number, size=10_000)])
        spool.commit(spool.read(PLENTY)[-1].seq)
    files = set(spool._directory.glob("*.frames"))
    directory = spool._directory

    assert spool.faults_total == len(files) - 1
    assert spool.held == 0
    assert balanced(spool)
    spool.close()
    again = Spool.open(directory, max_bytes=1 << 20)
    assert again.read(PLENTY) == []
    assert not files & set(directory.glob("*.frames"))
    spool.__dict__.update(again.__dict__)  # the fixture closes it


def test_a_position_that_cannot_be_written_is_counted(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.put([frame(0), frame(1)])
    kept = spool.read(PLENTY)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse(errno.EIO))
        spool.commit(kept[0].seq)

    assert (spool.faults_total, spool.done_total, spool.held) == (1, 1, 1)


def test_one_whose_position_cannot_be_written_at_the_start_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", refuse(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        Spool.open(tmp_path, max_bytes=1)


def test_a_disk_that_does_not_sync_at_the_end_lets_go_of_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.open(tmp_path, max_bytes=1, sync="segment")
    spool.put([frame(0)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse(errno.EIO))
        spool.close()

    assert spool.faults_total == 1
    with closing(Spool.open(tmp_path, max_bytes=1)) as again:
        assert numbers(again.read(PLENTY)) == [0]


@pytest.mark.parametrize("what", ["open", "read"])
def test_what_the_disk_cannot_read_any_more_is_counted_as_corrupt(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    class Damaged(io.BytesIO):
        read = refuse(errno.EIO)  # type: ignore[assignment]

    for number in range(20):
        spool.put([frame(number, 2, size=10_000)])
    first = min(spool._directory.glob("*.frames"))

    def opened(path: Path, mode: str, buffering: int) -> BinaryIO:
        if path != first:
            return open(path, mode, buffering)
        return refuse(errno.EIO)() if what == "open" else Damaged()

    monkeypatch.setattr("plumbing.spool.segment.open", opened, raising=False)
    left = numbers(spool.read(PLENTY))

    assert left == list(range(20 - len(left), 20))
    assert (spool.corrupt_total, spool.held) == (2 * (20 - len(left)), 2 * len(left))
    assert balanced(spool)


def test_what_may_pass_costs_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.put([frame(0)])
    with monkeypatch.context() as patch:
        patch.setattr("plumbing.spool.segment.open", refuse(errno.EMFILE), raising=False)
        with pytest.raises(OSError, match="Too many open files"):
            spool.read(PLENTY)

    assert numbers(spool.read(PLENTY)) == [0]
    assert balanced(spool)


@pytest.mark.parametrize("rewound", [False, True])
def test_what_may_pass_loses_nothing_that_was_read_before(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, rewound: bool
) -> None:
    for number in range(4):
        spool.put([frame(number, size=60_000)])
    if rewound:
        spool.read(PLENTY)
        spool.rewind()
    calls = iter(range(100))

    def opened(path: Path, mode: str, buffering: int) -> BinaryIO:
        if next(calls) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return open(path, mode, buffering)

    with monkeypatch.context() as patch:
        patch.setattr("plumbing.spool.segment.open", opened, raising=False)
        first = spool.read(PLENTY)
        rest = spool.read(PLENTY)

    assert numbers(first) + numbers(rest) == [0, 1, 2, 3]
    spool.commit(rest[-1].seq)
    assert (spool.done_total, spool.held) == (4, 0)
    assert balanced(spool)
