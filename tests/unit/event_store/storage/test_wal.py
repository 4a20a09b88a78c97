import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.storage.wal import Gap, Wal, Whole, files, scan
from plumbing.spool import Frame
from plumbing.spool.frames import encode
from tests.unit.event_store.storage.events import flip

SEED = 0x1234
FRAMES = [Frame(b"batch %d" % number, 2, (b"m",)) for number in range(3)]


def written(folder: Path, frames: list[Frame] = FRAMES) -> Path:
    wal = Wal(folder, SEED)
    wal.append(frames, 10)
    wal.rotate()
    ((seq, path),) = files(folder)
    assert seq == 10
    return path


def whole(path: Path, offset: int = 0) -> list[tuple[int, bytes]]:
    return [(one.head.before, one.kept.batch) for one in scan(path, SEED, offset) if isinstance(one, Whole)]


def gaps(path: Path) -> list[Gap]:
    return [one for one in scan(path, SEED) if isinstance(one, Gap)]


def refuse(code: int) -> Callable[..., int]:
    def refusing(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return refusing


def test_frames_are_read_with_the_places_of_their_events(tmp_path: Path) -> None:
    path = written(tmp_path)

    assert whole(path) == [(10, b"batch 0"), (12, b"batch 1"), (14, b"batch 2")]


def test_a_file_is_followed_as_it_grows(tmp_path: Path) -> None:
    wal = Wal(tmp_path, SEED)
    wal.append(FRAMES[:1], 0)
    ((_, path),) = files(tmp_path)
    (first,) = scan(path, SEED)
    wal.append(FRAMES[1:], 2)

    assert whole(path, first.end) == [(2, b"batch 1"), (4, b"batch 2")]


def test_each_append_is_forced_to_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)

    written(tmp_path)

    assert len(synced) == 1


def test_a_frame_cut_short_at_any_byte_is_torn_and_costs_no_other(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    last = [one.offset for one in scan(path, SEED)][-1]

    for size in range(last + 1, len(content)):
        path.write_bytes(content[:size])
        assert len(whole(path)) == 2
        assert [(gap.offset, gap.torn, gap.last) for gap in gaps(path)] == [(last, True, True)]


def test_zeros_behind_the_last_frame_are_torn(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(5000))

    assert len(whole(path)) == 3
    assert [gap.torn for gap in gaps(path)] == [True]


def test_a_flipped_bit_anywhere_costs_one_frame_and_is_no_torn_write(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    starts = [one.offset for one in scan(path, SEED)]

    for place in range(0, starts[2], 3):
        path.write_bytes(content)
        flip(path, place)
        hit = sum(start <= place for start in starts) - 1
        assert whole(path) == [(10 + 2 * n, b"batch %d" % n) for n in range(3) if n != hit]
        (gap,) = gaps(path)
        assert (gap.offset, gap.end, gap.torn, gap.last) == (starts[hit], starts[hit + 1], False, False)
        assert gap.events in {2, None}


def test_frames_of_another_log_are_none(tmp_path: Path) -> None:
    path = written(tmp_path)

    assert [type(one) for one in scan(path, SEED + 1)] == [Gap]


@given(st.binary(max_size=200), st.integers(0, 3), st.binary(max_size=200))
def test_whatever_stands_in_a_file_each_byte_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, count: int, after: bytes
) -> None:
    folder = tmp_path_factory.mktemp("wal")
    content = written(folder, FRAMES[:count]).read_bytes() if count else b""
    path = folder / "odd"
    path.write_bytes(before + content + after)

    found = list(scan(path, SEED))

    assert [one.end for one in found[:-1]] == [one.offset for one in found[1:]]
    assert sum(one.end - one.offset for one in found) == len(before + content + after)
    assert len([one for one in found if isinstance(one, Whole)]) == count


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_what_the_disk_did_not_take_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    wal = Wal(tmp_path, SEED)
    wal.append(FRAMES[:1], 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            wal.append(FRAMES[1:], 2)
    wal.append(FRAMES[2:], 7)

    assert [(seq, whole(path), gaps(path)) for seq, path in files(tmp_path)] == [
        (0, [(0, b"batch 0")], []),
        (7, [(7, b"batch 2")], []),
    ]


def test_a_file_that_nothing_could_be_written_to_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wal = Wal(tmp_path, SEED)
    monkeypatch.setattr(os, "pwrite", refuse(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        wal.append(FRAMES, 0)

    assert files(tmp_path) == []


def test_a_cut_is_forced_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = os.fsync, []

    def note(handle: int) -> None:
        sizes.append(os.fstat(handle).st_size)
        real(handle)

    wal = Wal(tmp_path, SEED)
    wal.append(FRAMES[:1], 0)
    ((_, path),) = files(tmp_path)
    size = path.stat().st_size
    monkeypatch.setattr(os, "fdatasync", refuse(errno.EIO))
    monkeypatch.setattr(os, "fsync", note)
    with pytest.raises(OSError, match="Input/output error"):
        wal.append(FRAMES[1:], 2)

    assert sizes == [size]


@pytest.mark.parametrize("acknowledged", [0, 1])
def test_a_file_whose_cut_is_not_certain_is_written_anew_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acknowledged: int
) -> None:
    wal = Wal(tmp_path, SEED)
    if acknowledged:
        wal.append(FRAMES[:1], 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse(errno.EIO))
        patch.setattr(
            os, "fsync", lambda handle: None if stat.S_ISDIR(os.fstat(handle).st_mode) else refuse(errno.EIO)()
        )
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                wal.append(FRAMES[1:], 2)
    ((first, path),) = files(tmp_path)
    before = path.stat().st_ino
    with path.open("ab") as file:  # as a power cut might leave it: what was cut off is there again
        file.write(b"".join(part for frame in FRAMES[1:] for part in encode(frame, 2, 2, SEED)))

    wal.append(FRAMES[2:], 9)

    expected = {9: [(9, b"batch 2")]} | ({first: [(0, b"batch 0")]} if acknowledged else {})
    assert {seq: whole(one) for seq, one in files(tmp_path)} == expected
    assert not acknowledged or path.stat().st_ino != before
    assert [one.name for one in tmp_path.iterdir() if one.suffix != ".wal"] == []


def test_a_doubted_file_that_was_flushed_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wal = Wal(tmp_path, SEED)
    wal.append(FRAMES[:1], 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse(errno.EIO))
        patch.setattr(os, "fsync", refuse(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            wal.append(FRAMES[1:], 2)
    wal.remove(5)
    wal.append(FRAMES[2:], 9)

    assert [seq for seq, _ in files(tmp_path)] == [9]


def test_files_are_removed_up_to_an_event(tmp_path: Path) -> None:
    wal = Wal(tmp_path, SEED)
    for seq in (0, 5, 9):
        wal.append(FRAMES[:1], seq)
        wal.rotate()
    (tmp_path / "notes.wal").write_text("mine")
    size = wal.bytes_on_disk()

    wal.remove(9)

    assert [seq for seq, _ in files(tmp_path)] == [9]
    assert wal.bytes_on_disk() == size // 3
    assert (tmp_path / "notes.wal").exists()
