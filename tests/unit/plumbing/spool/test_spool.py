import errno
import io
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from plumbing.spool import Frame, Kept, Spool, SpoolBusy, SpoolUnwritable

PLENTY = 1 << 30


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool.open(tmp_path / "spool", max_bytes=1 << 20)) as spool:
        yield spool


def frame(number: int, count: int = 1, size: int = 0) -> Frame:
    return Frame(b"%d|" % number + bytes(size), count, (b"m%d" % number,))


def numbers(kept: list[Kept]) -> list[int]:
    return [int(one.batch.split(b"|")[0]) for one in kept]


def balanced(spool: Spool) -> bool:
    put = spool.recovered + spool.put_total
    return put == spool.done_total + spool.dropped_total + spool.corrupt_total + spool.held


def test_what_is_put_is_read_in_order_with_its_marks(spool: Spool) -> None:
    spool.put([frame(1, 5), frame(2, 7)])
    spool.put([frame(3, 0)])

    kept = spool.read(PLENTY)

    assert [(one.batch, one.count, one.marks) for one in kept] == [
        (b"1|", 5, (b"m1",)),
        (b"2|", 7, (b"m2",)),
        (b"3|", 0, (b"m3",)),
    ]
    assert spool.read(PLENTY) == []


def test_reading_keeps_to_its_bytes_but_gives_at_least_one(spool: Spool) -> None:
    spool.put([frame(number, size=1000) for number in range(5)])

    assert numbers(spool.read(1)) == [0]
    assert numbers(spool.read(2500)) == [1, 2]
    assert numbers(spool.read(PLENTY)) == [3, 4]


def test_rewinding_goes_back_to_the_last_commit(spool: Spool) -> None:
    spool.put([frame(number) for number in range(4)])
    kept = spool.read(PLENTY)
    spool.commit(kept[1].seq)

    spool.rewind()

    assert spool.read(PLENTY) == kept[2:]
    assert (spool.done_total, spool.held) == (2, 2)


def test_what_is_committed_never_comes_again(spool: Spool, tmp_path: Path) -> None:
    spool.put([frame(number) for number in range(4)])
    kept = spool.read(PLENTY)
    spool.commit(kept[1].seq)
    spool.close()

    again = Spool.open(tmp_path / "spool", max_bytes=1 << 20)

    assert again.read(PLENTY) == kept[2:]
    assert (again.id, again.recovered, again.held) == (spool.id, 2, 2)
    spool.__dict__.update(again.__dict__)  # the fixture closes it


def test_the_oldest_segments_are_dropped_when_it_is_full_and_counted(spool: Spool) -> None:
    for number in range(200):
        spool.put([frame(number, 3, size=10_000)])

    left = numbers(spool.read(PLENTY))

    assert left == list(range(200 - len(left), 200))
    assert 80 < len(left) < 110
    assert spool.dropped_total == 3 * (200 - len(left))
    assert spool.held_bytes <= 1 << 20
    assert balanced(spool)


def test_what_is_committed_is_not_counted_as_dropped(spool: Spool) -> None:
    spool.put([frame(number, size=10_000) for number in range(3)])
    spool.commit(spool.read(1)[0].seq)

    for number in range(200):
        spool.put([frame(number, size=10_000)])

    assert spool.done_total == 1
    assert spool.dropped_total + spool.held == 202


def test_what_is_in_hand_while_it_is_dropped_can_still_be_done(spool: Spool) -> None:
    spool.put([frame(0)])
    (in_hand,) = spool.read(1)
    for number in range(200):
        spool.put([frame(number, size=10_000)])

    assert spool.adrift == 1
    assert spool.dropped_total + spool.held == 201
    spool.commit(in_hand.seq)

    assert (spool.done_total, spool.adrift) == (1, 0)
    assert spool.dropped_total + spool.held == 200


def test_what_was_dropped_in_hand_is_counted_when_it_is_given_up(spool: Spool) -> None:
    spool.put([frame(0)])
    spool.read(1)
    for number in range(200):
        spool.put([frame(number, size=10_000)])

    spool.rewind()

    assert spool.dropped_total + spool.held == 201
    assert numbers(spool.read(1)) != [0]


def test_a_file_that_somebody_took_away_is_counted_as_corrupt(spool: Spool) -> None:
    for number in range(20):
        spool.put([frame(number, size=10_000)])
    min(spool._directory.glob("*.frames")).unlink()

    left = numbers(spool.read(PLENTY))

    assert left == list(range(20 - len(left), 20))
    assert (spool.corrupt_total, spool.held) == (20 - len(left), len(left))


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


def test_a_frame_that_is_too_large_leaves_it_as_it_was(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbing.spool.frames.MAX_FRAME_BYTES", 100)

    with pytest.raises(ValueError, match="cannot be kept"):
        spool.put([frame(0), frame(1, size=100)])

    spool.put([frame(2)])
    assert numbers(spool.read(PLENTY)) == [2]


def test_another_process_finds_it_busy(spool: Spool) -> None:
    code = "import sys, pathlib\nfrom plumbing.spool import *\nSpool.open(pathlib.Path(sys.argv[1]), max_bytes=1)"
    ended = subprocess.run([sys.executable, "-c", code, spool._directory], capture_output=True, text=True, check=False)

    assert "SpoolBusy" in ended.stderr


def test_it_is_free_again_once_closed(tmp_path: Path) -> None:
    with closing(Spool.open(tmp_path, max_bytes=1)), pytest.raises(SpoolBusy, match="another process"):
        Spool.open(tmp_path, max_bytes=1)

    Spool.open(tmp_path, max_bytes=1).close()


def test_its_directory_is_private(spool: Spool) -> None:
    assert stat.S_IMODE(spool._directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("sync", ["never", "segment", "always"])
def test_the_disk_is_made_sure_of_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: str) -> None:
    with closing(Spool.open(tmp_path, max_bytes=1, sync=sync)) as spool:  # type: ignore[arg-type]
        spool.put([frame(0, size=50_000)])
        synced = []
        monkeypatch.setattr(os, "fsync", synced.append)
        spool.put([frame(1)])
        in_place = len(synced)
        spool.put([frame(2, size=50_000)])

    expected = {"never": (0, 0), "segment": (0, 1), "always": (1, 1)}[sync]
    assert in_place == expected[0]
    assert (len(synced) > in_place) == bool(expected[1])


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_with_it_the_counts_are_exact_and_the_order_is_kept(tmp_path: Path, seed: int) -> None:
    """Against a model: every frame read is the next one that is not committed, or stands behind dropped ones."""
    chance = random.Random(seed)
    spool = Spool.open(tmp_path, max_bytes=300_000)
    put = 0
    in_hand: list[Kept] = []
    last = committed = -1
    try:
        for _ in range(250):
            match chance.choice(["put", "put", "read", "read", "commit", "rewind", "reopen"]):
                case "put":
                    frames = [
                        Frame(b"%d|" % n + bytes(chance.choice([0, 100, 9000])), n % 4)
                        for n in range(put, put + chance.randint(1, 8))
                    ]
                    spool.put(frames)
                    put += len(frames)
                case "read":
                    kept = spool.read(chance.choice([1, 10_000, 100_000]))
                    read = numbers(kept)
                    assert read == sorted(read)
                    if read:
                        assert read[0] > last
                        assert [one.count for one in kept] == [number % 4 for number in read]
                        last = read[-1]
                    in_hand += kept
                case "commit" if in_hand:
                    index = chance.randrange(len(in_hand))
                    before = spool.done_total
                    spool.commit(in_hand[index].seq)
                    assert spool.done_total - before == sum(one.count for one in in_hand[: index + 1])
                    committed = numbers(in_hand)[index]
                    del in_hand[: index + 1]
                case "rewind":
                    spool.rewind()
                    in_hand, last = [], committed
                case "reopen" if chance.random() < 0.3:
                    held, in_files = spool.held - spool.adrift, spool.held_bytes
                    if chance.random() < 0.5:
                        spool.rewind()
                        assert (spool.held, spool.adrift) == (held, 0)
                    spool.close()
                    spool = Spool.open(tmp_path, max_bytes=300_000)
                    assert (spool.recovered, spool.held_bytes) == (held, in_files)
                    in_hand, last = [], committed
            assert balanced(spool)
            assert spool.corrupt_total == 0
        spool.rewind()
        rest = numbers(spool.read(PLENTY))
        assert rest == list(range(put - len(rest), put))
        assert sum(number % 4 for number in rest) == spool.held
    finally:
        spool.close()


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


def test_its_files_together_have_so_many_bytes_or_one_segment(tmp_path: Path) -> None:
    with closing(Spool.open(tmp_path, max_bytes=1)) as spool:
        for number in range(100):
            spool.put([frame(number, size=10_000)])
            assert sum(path.stat().st_size for path in tmp_path.glob("*.frames")) <= 64 << 10
        spool.put([frame(100, size=100_000)])

        assert numbers(spool.read(PLENTY)) == [100]
        assert balanced(spool)
