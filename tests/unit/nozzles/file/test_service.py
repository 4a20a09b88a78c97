"""The nozzle: batches into the file that grows, and those that do not tended meanwhile."""

import errno
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import trio
import zstandard

from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles import Batch
from nozzles.file import Config, FinishedFiles, open_nozzle, service
from nozzles.json_lines import lines
from tests.strategies import batch_of
from tests.unit.nozzles.file.directory import names

WITHIN_S = 30.0


def batch(*numbers: int) -> Batch:
    return Batch(batch_of(*(Envelope(timestamp=n) for n in numbers)), len(numbers))


def numbers_in(path: Path) -> list[int]:
    content = path.read_bytes()
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(content).read()
    assert content == b"" or content.endswith(b"\n")
    return [int(orjson.loads(line)["timestamp"]) for line in content.splitlines()]


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(WITHIN_S):
        while not condition():
            await trio.sleep(0.001)


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
    monkeypatch.setattr(service, "_RETRY_S", 0.001)
    async with open_nozzle(Config(path=tmp_path / "out")) as write:
        await until(lambda: len(attempts) == 3)
        await write(batch(1))

    assert numbers_in(tmp_path / "out") == [1]
