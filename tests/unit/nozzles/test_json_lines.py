import errno
import os
import stat
from pathlib import Path
from unittest import mock

import orjson
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import kernel
from nozzles import Batch, SinkUnavailable, json_lines
from nozzles.json_lines import Config, LineFile, lines, open_nozzle
from tests.strategies import batches, log_envelopes

BATCH = Batch(b"\x0a\x03\x12\x01a\x0a\x03\x12\x01b", 2)


def sources(path: Path) -> list[str]:
    return [orjson.loads(line)["source_id"] for line in path.read_bytes().splitlines()]


async def written(config: Config, *several: Batch) -> None:
    async with open_nozzle(config) as write:
        for each in several:
            await write(each)


@settings(max_examples=50)
@given(batches())
def test_an_envelope_is_a_line_of_json(batch: bytes) -> None:
    text = lines(Batch(batch, kernel.count(batch)))

    assert text.splitlines() == kernel.json_envelopes(batch)
    assert text.count(b"\n") == kernel.count(batch)


async def test_appends_to_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "out"

    await written(Config(path=path), BATCH)
    await written(Config(path=path, sync=True), BATCH)

    assert sources(path) == ["a", "b", "a", "b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_writes_to_standard_output_and_leaves_it_open(capfd: pytest.CaptureFixture[str]) -> None:
    await written(Config(), BATCH)
    await written(Config(), BATCH)

    assert capfd.readouterr().out.encode() == lines(BATCH) * 2


async def test_a_batch_can_be_read_before_the_nozzle_closes(tmp_path: Path) -> None:
    async with open_nozzle(Config(path=tmp_path / "out")) as write:
        await write(BATCH)
        assert sources(tmp_path / "out") == ["a", "b"]


async def test_a_pipe_that_nobody_reads_any_more_raises(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    async with open_nozzle(Config(path=tmp_path / "pipe")) as write:
        await write(BATCH)
        assert os.read(reader, 10_000) == lines(BATCH)
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            await write(BATCH)


async def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    many = Batch(BATCH.data * 5000, 10_000)
    got = bytearray()

    def read_all() -> None:
        while chunk := os.read(reader, 4096):
            got.extend(chunk)

    async with trio.open_nursery() as nursery:
        with mock.patch.object(json_lines, "_STDOUT", writer):
            nursery.start_soon(trio.to_thread.run_sync, read_all)
            await written(Config(), many)
        os.close(writer)
    os.close(reader)

    assert bytes(got) == lines(many)


async def test_a_cancelled_write_waits_for_no_reader(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with mock.patch.object(json_lines, "_STDOUT", writer), trio.move_on_after(0.05) as scope:
        await written(Config(), Batch(BATCH.data * 5000, 10_000))
    assert scope.cancelled_caught
    os.close(reader)  # which ends the thread that was left behind
    os.close(writer)


async def test_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    async with open_nozzle(Config(path=Path("/dev/full"))) as write:
        with pytest.raises(SinkUnavailable, match="No space left"):
            await write(BATCH)


async def test_what_a_full_disk_took_of_a_batch_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out"

    def half(handle: int, text: bytes) -> None:
        os.write(handle, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    async with open_nozzle(Config(path=path)) as write:
        await write(BATCH)
        with mock.patch.object(json_lines, "_write_all", half), pytest.raises(SinkUnavailable):
            await write(BATCH)
        assert sources(path) == ["a", "b"]
        await write(BATCH)

    assert sources(path) == ["a", "b", "a", "b"]


@pytest.mark.parametrize("torn", [b"{", b'{"a":"' + b"x" * 200_000])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"whole\n" + torn)

    LineFile(path).close()
    assert path.read_bytes() == b"whole\n"

    path.write_bytes(torn)
    LineFile(path).close()
    assert path.read_bytes() == b""


@settings(max_examples=25)
@given(batches(log_envelopes, min_size=1, max_size=3), st.data())
def test_wherever_a_kill_tears_the_file_whole_lines_stay(
    tmp_path_factory: pytest.TempPathFactory, batch: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("torn") / "out"
    text = lines(Batch(batch, kernel.count(batch)))
    cut = data.draw(st.integers(0, len(text)))
    path.write_bytes(text[:cut])

    LineFile(path).close()

    assert path.read_bytes() == text[: text.rfind(b"\n", 0, cut) + 1]


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "out")
    with pytest.raises(BlockingIOError, match="another process writes it"):
        LineFile(tmp_path / "out")
    file.close()

    LineFile(tmp_path / "out").close()


async def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "out"
    async with open_nozzle(Config(path=path)) as write:
        await write(BATCH)
        path.rename(tmp_path / "moved")
        await write(BATCH)

    assert sources(path) == sources(tmp_path / "moved") == ["a", "b"]


async def test_a_directory_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await written(Config(path=tmp_path / "none" / "out"), BATCH)
