import os
import random
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from plumbing.spool import Frame, Kept, Spool, SpoolBusy
from tests.unit.plumbing.spool.spools import PLENTY, balanced, frame, numbers


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


def test_its_files_together_have_so_many_bytes_or_one_segment(tmp_path: Path) -> None:
    with closing(Spool.open(tmp_path, max_bytes=1)) as spool:
        for number in range(100):
            spool.put([frame(number, size=10_000)])
            assert sum(path.stat().st_size for path in tmp_path.glob("*.frames")) <= 64 << 10
        spool.put([frame(100, size=100_000)])

        assert numbers(spool.read(PLENTY)) == [100]
        assert balanced(spool)
