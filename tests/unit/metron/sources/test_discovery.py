"""Finding files."""

import os
import socket
from pathlib import Path

import pytest

from metron.sources.config import FileSource
from metron.sources.counts import Faults, SourceCounts
from metron.sources.discovery import Discovery, find_renamed, key_of


class Search:
    def __init__(self, *sources: FileSource) -> None:
        self.counts = SourceCounts()
        self._discovery = Discovery(sources, Faults(self.counts))

    def names(self) -> list[str]:
        return [os.path.basename(sighting.path) for sighting in self._discovery.look().values()]


def files(*paths: Path | str, source_id: str = "app", exclude: list[str] | None = None) -> FileSource:
    return FileSource(paths=[str(path) for path in paths], source_id=source_id, exclude=exclude or [])


def test_globs_are_looked_up_every_time(tmp_path: Path) -> None:
    search = Search(files(tmp_path / "**/*.log"))
    assert search.names() == []

    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/a.log").touch()

    assert search.names() == ["a.log"]


@pytest.mark.parametrize("pattern", ["*.gz", "old.*", "*/old.gz"])
def test_excluded_files_are_left_alone(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a.log").touch()
    (tmp_path / "old.gz").touch()

    assert Search(files(tmp_path / "*", exclude=[pattern])).names() == ["a.log"]


def test_a_file_with_several_names_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    (tmp_path / "b.log").symlink_to(tmp_path / "a.log")
    os.link(tmp_path / "a.log", tmp_path / "c.log")

    assert Search(files(tmp_path / "*.log")).names() == ["a.log"]


def test_a_file_of_several_sources_belongs_to_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    sources = [files(tmp_path / "a.log", source_id="first"), files(tmp_path / "*.log", source_id="second")]

    found = Discovery(sources, Faults(SourceCounts())).look()

    assert [sighting.source.source_id for sighting in found.values()] == ["first"]


def test_what_is_no_file_is_skipped_and_counted_once(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        search = Search(files(tmp_path / "*"))

        assert search.names() == []
        assert search.names() == []

    assert search.counts.errors == {"directory": 1, "not_a_regular_file": 2, "broken_symlink": 1, "unreadable": 1}


def test_a_fault_is_counted_again_when_it_has_gone_and_come_back(tmp_path: Path) -> None:
    search = Search(files(tmp_path / "*"))
    for _ in range(2):
        (tmp_path / "a").mkdir()
        search.names()
        (tmp_path / "a").rmdir()
        search.names()

    assert search.counts.errors == {"directory": 2}


def test_a_name_that_is_not_utf_8_is_found(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log")).touch()

    assert Search(files(tmp_path / "*.log")).names() == ["\udcff.log"]


def test_a_renamed_file_is_found_by_its_inode(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch()
    key = key_of(path.stat())
    path.rename(tmp_path / "a.log.1")
    path.touch()

    assert find_renamed(str(path), key) == str(tmp_path / "a.log.1")


def test_a_file_renamed_where_a_link_points_to_is_found(tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    path = tmp_path / "pods" / "0.log"
    path.touch()
    link = tmp_path / "link.log"
    link.symlink_to(path)
    key = key_of(link.stat())
    path.rename(tmp_path / "pods" / "0.log.old")
    path.touch()

    assert find_renamed(str(link), key) == str(tmp_path / "pods" / "0.log.old")


def test_a_removed_file_is_not_found(tmp_path: Path) -> None:
    path = tmp_path / "a" / "a.log"
    path.parent.mkdir()
    path.touch()
    key = key_of(path.stat())
    path.unlink()
    assert find_renamed(str(path), key) is None
    path.parent.rmdir()
    assert find_renamed(str(path), key) is None
