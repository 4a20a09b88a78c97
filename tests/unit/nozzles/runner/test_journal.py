"""The marks of what was delivered, on disk: the last are kept, the file stays small, a torn end does no harm."""

import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from nozzles.runner import journal
from nozzles.runner.journal import Journal, Journaled, marks_in
from plumbing.backlog import Backlog, Entry
from plumbing.spool import Frame, Spool


def mark(number: int) -> bytes:
    return b"%08d" % number


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "delivered.marks"


def test_what_was_written_is_read_at_the_next_start(file: Path) -> None:
    Journal(file).append([mark(1) + mark(2), mark(3)])

    assert Journal(file).read() == mark(1) + mark(2) + mark(3)
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_is_read_where_nothing_was_written(file: Path) -> None:
    assert Journal(file).read() == b""


def test_a_torn_end_is_cut_off(file: Path) -> None:
    Journal(file).append([mark(1), b"torn"])
    again = Journal(file)
    again.read()
    again.append([mark(2)])

    assert Journal(file).read() == mark(1) + mark(2)


def test_marks_for_which_there_is_only_half_the_room_are_not_written(file: Path) -> None:
    under_test = Journal(file)
    under_test.append([mark(1)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(OSError, match="no room"):
            under_test.append([mark(2), mark(3)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    under_test.append([mark(4)])

    assert Journal(file).read() == mark(1) + mark(4)


def test_of_a_large_spool_only_the_last_marks_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MOST_BYTES", 80)
    spool = Spool.open(tmp_path / "spool", max_bytes=1 << 20)
    spool.put([Frame(b"", 2, (mark(number) + mark(number + 1),)) for number in range(0, 100, 2)])

    assert b"".join(marks_in(spool)) == b"".join(mark(number) for number in range(90, 100))
    assert len(spool.read(1 << 20)) == 50  # and it is as it was
    spool.close()


def test_only_the_last_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MOST_BYTES", 24)
    under_test = Journal(file)
    for number in range(50):
        under_test.append([mark(number)])
        assert file.stat().st_size <= 48

    assert Journal(file).read() == mark(47) + mark(48) + mark(49)


def test_the_marks_of_what_waits_in_a_spool_are_read_and_it_stays_as_it_was(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool", max_bytes=1 << 20)
    spool.put([Frame(b"a", 1, (mark(1), mark(2))), Frame(b"b", 1, (mark(3),))])

    assert marks_in(spool) == [mark(1), mark(2), mark(3)]
    assert [kept.batch for kept in spool.read(1 << 20)] == [b"a", b"b"]
    spool.close()


class Done:
    """A backlog that notes what is done with."""

    refused = 5

    def __init__(self, *noted: Any) -> None:
        self.noted = [*noted]

    async def next(self) -> Entry:
        return Entry(b"", 1, marks=(mark(1),))

    async def done(self, entry: Entry, refused: int, skipped: int) -> None:
        self.noted.append((entry.count, refused, skipped))


async def test_marks_are_written_down_before_the_backlog_lets_go(file: Path) -> None:
    backlog = Done()

    class Watched(Journal):
        def append(self, marks: Sequence[bytes]) -> None:
            backlog.noted.append(marks)

    journaled = Journaled(cast(Backlog, backlog), Watched(file))
    entry = await journaled.next()
    assert entry is not None
    await journaled.done(entry, 1, 2)

    assert backlog.noted == [(mark(1),), (1, 1, 2)]
    assert journaled.refused == 5


async def test_a_disk_that_does_not_take_them_stops_nothing(tmp_path: Path) -> None:
    backlog = Done()
    journaled = Journaled(cast(Backlog, backlog), Journal(tmp_path / "gone" / "marks"))

    await journaled.done(Entry(b"", 1, marks=(mark(1),)), 0)

    assert backlog.noted == [(1, 0, 0)]
