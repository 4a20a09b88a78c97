"""Following files as a task: real files, real time, short polls."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from metron.sources import Checkpoints, FilesConfig, FileSource, SourceCounts, tail_files
from tests.unit.metron.sources.fakes import FakeOutlet, append


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    return path


class Life:
    """One life of an agent that follows files, with its checkpoints beside them."""

    def __init__(self, *paths: Path, outlet: FakeOutlet | None = None, **settings: float) -> None:
        self.outlet = outlet or FakeOutlet()
        self.counts = SourceCounts()
        self.stop = trio.Event()
        source = FileSource(paths=[str(path) for path in paths], source_id="app", start="beginning")
        self._config = FilesConfig(sources=[source], poll_s=0.005, checkpoint_every_s=0.01, **settings)
        self._checkpoints = paths[0].parent / "checkpoints" / "files.json"

    async def __call__(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        checkpoints = Checkpoints(self._checkpoints, self.counts, now_s=lambda: 0.0)
        checkpoints.load()
        await tail_files(
            self._config,
            self.outlet,
            checkpoints,
            self.counts,
            stop=self.stop,
            now_ns=lambda: 7,
            task_status=task_status,
        )


@asynccontextmanager
async def running(life: Life) -> AsyncIterator[trio.Nursery]:
    """Start it; stop it at the end of the block."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(life)
            yield nursery
            life.stop.set()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():
            await trio.sleep(0.002)


async def test_lines_are_sent_as_they_are_written(path: Path) -> None:
    life = Life(path)
    async with running(life):
        assert await life.outlet.wait_for(2) == [b"one", b"two"]
        append(path, b"three\n")
        assert await life.outlet.wait_for(3) == [b"one", b"two", b"three"]

    assert life.counts.lines_read == 3
    assert life.counts.files_open == 0
    assert [envelope.timestamp for envelope in life.outlet.envelopes] == [7, 8, 7]


async def test_rotation_loses_and_repeats_nothing(path: Path) -> None:
    life = Life(path)
    expected = [b"one", b"two"]
    async with running(life):
        for turn in range(20):
            with path.open("ab") as writer:
                writer.write(b"before %d\n" % turn)
                path.rename(path.with_suffix(f".{turn}"))
                path.write_bytes(b"new %d\n" % turn)
                writer.write(b"after %d\n" % turn)
            expected += [b"before %d" % turn, b"new %d" % turn, b"after %d" % turn]
            await life.outlet.wait_for(len(expected))

    assert sorted(life.outlet.lines) == sorted(expected)
    assert life.counts.rotations == 20


async def test_a_backlog_is_read_whole(path: Path) -> None:
    lines = [b"line %d" % number for number in range(50_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    life = Life(path)
    async with running(life):
        assert await life.outlet.wait_for(len(lines)) == lines


async def test_files_are_noticed_while_sending_waits(tmp_path: Path, path: Path) -> None:
    class Stuck(FakeOutlet):
        def __init__(self) -> None:
            super().__init__()
            self.room = trio.Event()

        async def send(self, batch: bytes, count: int, settled: Callable[[], None] | None = None) -> None:
            await self.room.wait()
            await super().send(batch, count, settled)

    outlet = Stuck()
    life = Life(tmp_path / "*.log", outlet=outlet)
    async with running(life):
        (tmp_path / "short-lived.log").write_bytes(b"three\n")
        await until(lambda: life.counts.files_open == 2)
        (tmp_path / "short-lived.log").unlink()
        outlet.room.set()
        assert await outlet.wait_for(3) == [b"one", b"two", b"three"]


async def test_stop_sends_what_was_read_and_waits_for_it_to_settle(path: Path) -> None:
    outlet = FakeOutlet(settles=False)
    async with running(Life(path, outlet=outlet)) as nursery:
        await outlet.wait_for(2)

        async def settle_later() -> None:
            await trio.sleep(0.02)
            outlet.settle()

        nursery.start_soon(settle_later)
    append(path, b"three\n")

    second = Life(path)
    async with running(second):
        assert await second.outlet.wait_for(1) == [b"three"]


async def test_stop_does_not_wait_for_ever(path: Path) -> None:
    outlet = FakeOutlet(settles=False)
    async with running(Life(path, outlet=outlet, settle_grace_s=0.01)):
        await outlet.wait_for(2)

    second = Life(path)
    async with running(second):
        assert await second.outlet.wait_for(2) == [b"one", b"two"]


async def test_a_line_without_end_waits_for_the_next_life(path: Path) -> None:
    append(path, b"thr")
    life = Life(path)
    async with running(life):
        await life.outlet.wait_for(2)
    append(path, b"ee\n")

    second = Life(path)
    async with running(second):
        assert await second.outlet.wait_for(1) == [b"three"]
    assert life.outlet.lines == [b"one", b"two"]


async def test_after_a_kill_what_had_not_settled_is_sent_again(path: Path) -> None:
    outlet = FakeOutlet(settles=False)
    async with trio.open_nursery() as nursery:
        await nursery.start(Life(path, outlet=outlet))
        await outlet.wait_for(2)
        outlet.settle()
        append(path, b"three\n")
        await outlet.wait_for(3)
        nursery.cancel_scope.cancel()

    second = Life(path)
    async with running(second):
        assert await second.outlet.wait_for(1) == [b"three"]


async def test_after_a_kill_at_any_moment_every_line_arrives_at_least_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process saves nothing at its end: here, the last save does not reach the disk."""
    checkpoints = path.parent / "checkpoints" / "files.json"
    arrived: set[bytes] = set()
    for turn in range(5):
        life = Life(path)
        async with trio.open_nursery() as nursery:
            await nursery.start(life)
            append(path, b"turn %d\n" % turn)
            await life.outlet.wait_for(1)
            before_the_kill = checkpoints.read_bytes()
            nursery.cancel_scope.cancel()
        checkpoints.write_bytes(before_the_kill)
        arrived.update(life.outlet.lines)

    last = Life(path)
    async with running(last):
        append(path, b"end\n")
        await until(lambda: b"end" in last.outlet.lines)
    arrived.update(last.outlet.lines)

    assert arrived == {b"one", b"two", b"end", *(b"turn %d" % turn for turn in range(5))}


async def test_positions_are_saved_before_it_says_that_it_has_started(path: Path) -> None:
    life = Life(path, outlet=FakeOutlet(settles=False), settle_grace_s=0)
    async with running(life):
        assert (path.parent / "checkpoints" / "files.json").exists()


async def test_positions_are_saved_while_it_runs(path: Path) -> None:
    life = Life(path)
    notes = path.parent / "checkpoints" / "files.json"
    async with running(life):
        await until(lambda: b'"offset":8' in notes.read_bytes())


async def test_a_disk_that_takes_no_checkpoints_stops_no_lines(path: Path) -> None:
    (path.parent / "checkpoints").write_bytes(b"a file in the place of the directory")
    life = Life(path)
    async with running(life):
        assert await life.outlet.wait_for(2) == [b"one", b"two"]
        await until(lambda: life.counts.errors["checkpoint_save"] > 1)


async def test_it_is_started_with_nothing_to_follow(tmp_path: Path) -> None:
    life = Life(tmp_path / "nothing*.log")
    async with running(life):
        (tmp_path / "nothing yet.log").write_bytes(b"now\n")
        assert await life.outlet.wait_for(1) == [b"now"]
