import stat
from pathlib import Path

from plumbing.spool.position import Marks, Position


def reopened(directory: Path) -> Position:
    position = Position.open(directory)
    position.close()
    return position


def remembered(directory: Path, *ends: int) -> Path:
    position = Position.open(directory)
    for end in ends:
        position.remember(Marks(end=end))
    position.close()
    return directory / f"{position.id}.position"


def test_what_was_remembered_last_is_known_again(tmp_path: Path) -> None:
    path = remembered(tmp_path, 1, 2, 3)

    assert reopened(tmp_path).marks.end == 3
    assert reopened(tmp_path).id == path.stem


def test_of_two_spools_each_has_its_own_id(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert reopened(tmp_path / "a").id != reopened(tmp_path / "b").id


def test_any_flipped_byte_costs_the_newest_record_at_most(tmp_path: Path) -> None:
    path = remembered(tmp_path, 1, 2)
    whole = path.read_bytes()

    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert reopened(tmp_path).marks.end in (1, 2)


def test_a_file_cut_short_anywhere_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = remembered(tmp_path, 1, 2)
    whole = path.read_bytes()

    ends = []
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        ends.append(reopened(tmp_path).marks.end)
    assert ends == sorted(ends)
    assert set(ends) == {0, 2}  # the second record has the first slot


def test_the_file_is_private(tmp_path: Path) -> None:
    assert stat.S_IMODE(remembered(tmp_path, 1).stat().st_mode) == 0o600
