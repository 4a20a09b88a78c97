import stat
from pathlib import Path

from plumbing.spool.frames import Frame, encode
from plumbing.spool.segment import Segment

SEED = 5


def written(directory: Path, count: int) -> Segment:
    segment = Segment.new(directory, 1, 0)
    data = b"".join(b"".join(encode(Frame(b"batch", 2), seq, 2 * seq - 2, SEED)) for seq in range(1, count + 1))
    segment.write(data)
    segment.grow(len(data), 2 * count)
    segment.seal()
    return segment


def seqs(segment: Segment) -> list[int]:
    with segment.open() as file:
        return [head.seq for _, head in segment.heads(file, SEED)]


def test_heads_are_found_in_order(tmp_path: Path) -> None:
    assert seqs(written(tmp_path, 4)) == [1, 2, 3, 4]


def test_a_head_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    segment = written(tmp_path, 4)
    data = bytearray(segment.path.read_bytes())
    data[len(data) // 4 + 8] ^= 1
    segment.path.write_bytes(data)

    assert seqs(segment) == [1, 3, 4]


def test_what_was_not_counted_is_cut_off(tmp_path: Path) -> None:
    segment = written(tmp_path, 1)
    segment.write(b"more")
    segment.cut()
    segment.seal()

    assert segment.path.stat().st_size == segment.size


def test_a_file_of_which_nothing_is_counted_is_removed(tmp_path: Path) -> None:
    segment = Segment.new(tmp_path, 1, 0)
    segment.write(b"some")
    segment.cut()

    assert list(tmp_path.iterdir()) == []


def test_a_segment_is_known_by_its_name_alone(tmp_path: Path) -> None:
    segment = written(tmp_path, 2)
    found = Segment.found(segment.path)

    assert found is not None
    assert (found.first_seq, found.start, found.size) == (1, 0, segment.size)
    assert Segment.found(tmp_path / "1-0.frames") is None
    assert Segment.found(tmp_path / "notes.txt") is None


def test_the_file_is_private(tmp_path: Path) -> None:
    assert stat.S_IMODE(written(tmp_path, 1).path.stat().st_mode) == 0o600
