"""When a file is finished and the next one begun."""

import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nozzles.file import Config, FinishedFiles, RotatingFile
from tests.unit.nozzles.file.directory import finish, names


def opened(now: float = 0.0, **given_settings: Any) -> RotatingFile:
    config = Config(**given_settings)
    return RotatingFile(config, FinishedFiles(config), now)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), max_size=12), st.integers(1, 60))
def test_rotation_keeps_every_line_in_order_and_files_within_bounds(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], bound: int
) -> None:
    path = tmp_path_factory.mktemp("rotated") / "out"
    texts = [b"%d" % index + b"." * size + b"\n" for index, size in enumerate(sizes)]
    rotating = opened(path=path, rotate_bytes=bound)
    for text in texts:
        rotating.append(text, 0.0)
    rotating.close()

    files = [each.path for each in FinishedFiles(Config(path=path)).all()] + [path]
    assert b"".join(each.read_bytes() for each in files) == b"".join(texts)
    assert all(each.stat().st_size <= bound or each.read_bytes() in texts for each in files)
    assert all(each.stat().st_size for each in files[:-1])


def test_a_file_is_finished_at_its_age(tmp_path: Path) -> None:
    path = tmp_path / "out"
    rotating = opened(path=path, rotate_s=10)
    rotating.rotate_if_due(100.0)
    assert names(tmp_path) == ["out"]  # an empty file has no age

    rotating.append(b"a\n", 100.0)
    rotating.append(b"b\n", 109.0)
    rotating.append(b"c\n", 110.0)
    rotating.close()

    assert (tmp_path / "out.0000000001").read_bytes() == b"a\nb\n"
    assert path.read_bytes() == b"c\n"


def test_a_file_found_at_the_start_is_as_old_as_its_last_change(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"a\n")
    os.utime(path, (time.time(), time.time() - 1000))
    rotating = opened(path=path, rotate_s=900)
    rotating.append(b"b\n", 0.0)
    rotating.close()

    assert (tmp_path / "out.0000000001").read_bytes() == b"a\n"
    assert path.read_bytes() == b"b\n"


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for number in (7, 9):
        finish(tmp_path / "out", number)
    finish(tmp_path / "out", 10, suffix=".zst")
    rotating = opened(path=tmp_path / "out", rotate_bytes=1)
    rotating.append(b"a\n", 0.0)
    rotating.append(b"b\n", 0.0)
    rotating.close()

    assert (tmp_path / "out.0000000011").read_bytes() == b"a\n"


def test_files_are_private(tmp_path: Path) -> None:
    rotating = opened(path=tmp_path / "out", rotate_bytes=1)
    rotating.append(b"a\n", 0.0)
    rotating.append(b"b\n", 0.0)
    rotating.close()
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(threading.Event())

    assert names(tmp_path) == ["out", "out.0000000001.zst"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_rotation_holds_the_bound_at_once(tmp_path: Path) -> None:
    rotating = opened(path=tmp_path / "out", rotate_bytes=1, keep_files=2)
    for _ in range(6):
        rotating.append(b"a\n", 0.0)
    rotating.close()

    assert names(tmp_path) == ["out", "out.0000000004", "out.0000000005"]


def test_what_is_no_regular_file_is_refused() -> None:
    with pytest.raises(OSError, match="only a regular file can be rotated"):
        opened(path=Path("/dev/null"))


def test_a_file_somebody_moved_away_is_theirs(tmp_path: Path) -> None:
    rotating = opened(path=tmp_path / "out", rotate_s=10)
    rotating.append(b"a\n", 0.0)
    (tmp_path / "out").rename(tmp_path / "theirs")
    rotating.rotate_if_due(20.0)
    rotating.append(b"b\n", 20.0)
    rotating.close()

    assert names(tmp_path) == ["out", "theirs"]
    assert (tmp_path / "out").read_bytes() == b"b\n"
