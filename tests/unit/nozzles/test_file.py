import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles import Batch, file
from nozzles.file import Config, FinishedFiles, RotatingFile, open_nozzle
from nozzles.json_lines import lines
from tests.strategies import batch_of

WITHIN_S = 30.0


def batch(*numbers: int) -> Batch:
    return Batch(batch_of(*(Envelope(timestamp=n) for n in numbers)), len(numbers))


def numbers_in(path: Path) -> list[int]:
    content = path.read_bytes()
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(content).read()
    assert content == b"" or content.endswith(b"\n")
    return [int(orjson.loads(line)["timestamp"]) for line in content.splitlines()]


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def opened(now: float = 0.0, **given_settings: Any) -> RotatingFile:
    config = Config(**given_settings)
    return RotatingFile(config, FinishedFiles(config), now)


def finish(path: Path, number: int, content: bytes = b"x\n", suffix: str = "") -> Path:
    finished = path.with_name(f"{path.name}.{number:010}{suffix}")
    finished.write_bytes(content)
    return finished


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(WITHIN_S):
        while not condition():
            await trio.sleep(0.001)


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


def test_nothing_is_deleted_unless_asked_for(tmp_path: Path) -> None:
    for number in range(50):
        finish(tmp_path / "out", number)
    FinishedFiles(Config(path=tmp_path / "out")).prune()

    assert len(names(tmp_path)) == 50


def test_the_oldest_are_deleted_beyond_a_number(tmp_path: Path) -> None:
    for number in range(1, 6):
        finish(tmp_path / "out", number)
    finish(tmp_path / "other", 1)
    FinishedFiles(Config(path=tmp_path / "out", keep_files=2)).prune()

    assert names(tmp_path) == ["other.0000000001", "out.0000000004", "out.0000000005"]


def test_the_oldest_are_deleted_beyond_so_many_bytes(tmp_path: Path) -> None:
    for number, size in ((1, 1), (2, 60), (3, 50), (4, 50)):
        finish(tmp_path / "out", number, b"x" * size)
    FinishedFiles(Config(path=tmp_path / "out", keep_bytes=100)).prune()

    assert names(tmp_path) == ["out.0000000003", "out.0000000004"]


def test_rotation_holds_the_bound_at_once(tmp_path: Path) -> None:
    rotating = opened(path=tmp_path / "out", rotate_bytes=1, keep_files=2)
    for _ in range(6):
        rotating.append(b"a\n", 0.0)
    rotating.close()

    assert names(tmp_path) == ["out", "out.0000000004", "out.0000000005"]


def test_a_kill_while_compressing_leaves_the_file_to_be_compressed_again(tmp_path: Path) -> None:
    finish(tmp_path / "out", 1, b"whole\n")
    finish(tmp_path / "out", 1, b"half", ".zst.tmp")
    finish(tmp_path / "out", 99, b"half, and its file deleted since", ".zst.tmp")
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(threading.Event())

    assert names(tmp_path) == ["out.0000000001.zst"]
    packed = (tmp_path / "out.0000000001.zst").read_bytes()
    assert zstandard.ZstdDecompressor().stream_reader(packed).read() == b"whole\n"


def test_a_kill_after_compressing_leaves_no_file_twice(tmp_path: Path) -> None:
    finish(tmp_path / "out", 1)
    finish(tmp_path / "out", 1, b"complete", ".zst")
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(threading.Event())

    assert names(tmp_path) == ["out.0000000001.zst"]
    assert (tmp_path / "out.0000000001.zst").read_bytes() == b"complete"


def test_compressing_stops_when_told_to_and_leaves_the_file(tmp_path: Path) -> None:
    finish(tmp_path / "out", 1)
    stop = threading.Event()
    stop.set()
    FinishedFiles(Config(path=tmp_path / "out", compress=True)).tidy(stop)

    assert names(tmp_path) == ["out.0000000001"]


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


async def test_finished_files_are_compressed_while_it_runs(tmp_path: Path) -> None:
    config = Config(path=tmp_path / "out", rotate_bytes=len(lines(batch(1))), compress=True)
    async with open_nozzle(config) as write:
        for n in range(1, 5):
            await write(batch(n))
        await until(lambda: len(list(tmp_path.glob("*.zst"))) == 3)
        await until(lambda: len(names(tmp_path)) == 4)

    files = [each.path for each in FinishedFiles(config).all()] + [config.path]
    assert [n for each in files for n in numbers_in(each)] == [1, 2, 3, 4]


async def test_an_idle_file_is_finished_at_its_age(tmp_path: Path) -> None:
    async with open_nozzle(Config(path=tmp_path / "out", rotate_s=0.02)) as write:
        await write(batch(1, 2))
        await until(lambda: (tmp_path / "out.0000000001").exists())

    assert numbers_in(tmp_path / "out.0000000001") == [1, 2]


async def test_a_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for n in (1, 2):
        async with open_nozzle(Config(path=tmp_path / "out")) as write:
            await write(batch(n))

    assert names(tmp_path) == ["out"]
    assert numbers_in(tmp_path / "out") == [1, 2]


async def test_what_fails_inside_comes_out_as_itself(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="as it is"):
        async with open_nozzle(Config(path=tmp_path / "out")):
            raise KeyError("as it is")


async def test_what_cannot_be_compressed_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[threading.Event] = []

    def full_at_first(_: FinishedFiles, stop: threading.Event) -> None:
        attempts.append(stop)
        if len(attempts) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FinishedFiles, "tidy", full_at_first)
    monkeypatch.setattr(file, "_RETRY_S", 0.001)
    async with open_nozzle(Config(path=tmp_path / "out")) as write:
        await until(lambda: len(attempts) == 3)
        await write(batch(1))

    assert numbers_in(tmp_path / "out") == [1]
