"""The commands that read the log cache, as processes, before one that remembers what it was asked."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from plumbing.tls import TlsFiles
from tests.fakes.cursor_log_cache import CursorLogCache, counter, log, open_cursor_log_cache
from tests.running import eventually

ROOT = Path(__file__).parents[2]


class Running:
    """A command that runs, and what it has printed so far."""

    def __init__(self, process: trio.Process, nursery: trio.Nursery) -> None:
        self.process = process
        self.output = b""
        self.errors = b""
        assert process.stdout is not None
        assert process.stderr is not None
        nursery.start_soon(self._read, process.stdout, "output")
        nursery.start_soon(self._read, process.stderr, "errors")

    async def _read(self, stream: trio.abc.ReceiveStream, name: str) -> None:
        async with stream:
            async for chunk in stream:
                setattr(self, name, getattr(self, name) + chunk)

    @property
    def texts(self) -> list[str]:
        return [line.split()[-1].decode() for line in self.output.splitlines()]

    async def prints(self, *texts: str) -> None:
        async def printed() -> bool:
            return len(self.texts) >= len(texts)

        await eventually(printed)
        assert self.texts == list(texts)


class Home:
    """A data directory, and the log cache that it names."""

    def __init__(self, data_dir: Path, cache: CursorLogCache, nursery: trio.Nursery) -> None:
        self.data_dir = data_dir
        self.cache = cache
        self._nursery = nursery

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "standpipe", name, f"--data-dir={self.data_dir}", *arguments]

    async def run(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        with trio.fail_after(30):
            return await trio.run_process(
                self.command(*arguments), capture_stdout=True, capture_stderr=True, check=False, cwd=ROOT
            )

    @asynccontextmanager
    async def start(self, *arguments: str) -> AsyncIterator[Running]:
        process = await trio.lowlevel.open_process(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )
        try:
            yield Running(process, self._nursery)
        finally:
            process.kill()
            await process.wait()

    async def has_streams(self, count: int) -> None:
        async def open_now() -> bool:
            return self.cache.streams == count

        await eventually(open_now)


@asynccontextmanager
async def at_home(data_dir: Path) -> AsyncIterator[Home]:
    """Open the log cache's door."""
    async with open_cursor_log_cache(TlsFiles.named(data_dir / "certs", "log-cache")) as cache:
        (data_dir / "endpoints.json").write_text(json.dumps({"log_cache-0.rest": cache.address}))
        async with trio.open_nursery() as nursery:
            yield Home(data_dir, cache, nursery)


@pytest.fixture
def data_dir(tmp_path: Path, certs_dir: Path) -> Path:
    (tmp_path / "certs").symlink_to(certs_dir)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "admin").write_text("a-token\n")
    return tmp_path


async def test_the_newest_are_printed_and_that_is_all(data_dir: Path) -> None:
    async with at_home(data_dir) as home:
        home.cache.put(*(log(str(number), number) for number in range(2500)))
        done = await home.run("tail", "shop", "-n", "2100")
    assert (done.returncode, done.stderr) == (0, b"")
    assert [int(line.split()[-1]) for line in done.stdout.splitlines()] == list(range(400, 2500))


async def test_a_tail_goes_on_through_lost_connections_until_ctrl_c(data_dir: Path) -> None:
    async with at_home(data_dir) as home:
        home.cache.put(log("a", 1), log("b", 2))
        async with home.start("tail", "-f", "shop") as tail:
            await tail.prints("a", "b")
            await home.has_streams(1)
            home.cache.put(log("c", 3))
            await tail.prints("a", "b", "c")
            home.cache.cut()
            home.cache.put(log("d", 0), log("e", 0))
            await tail.prints("a", "b", "c", "d", "e")
            tail.process.send_signal(signal.SIGINT)
            with trio.fail_after(10):
                assert await tail.process.wait() == 0
    assert tail.errors.count(b"\n") == 1
    assert tail.errors.endswith(b"; connecting again\n")


async def test_what_expired_while_nobody_was_connected_is_told(data_dir: Path) -> None:
    async with at_home(data_dir) as home, home.start("tail", "-n", "0", "-f", "shop") as tail:
        await home.has_streams(1)
        home.cache.cut()
        home.cache.put(*(log(str(number), number) for number in range(5)))
        home.cache.expire(3)
        await tail.prints("3", "4")
    assert b"standpipe: 3 envelopes of shop expired before they could be read\n" in tail.errors


async def test_a_log_cache_without_cursors_is_followed_by_time(data_dir: Path) -> None:
    async with at_home(data_dir) as home:
        home.cache.cursors = False
        home.cache.put(log("a", 1), log("b", 2))
        async with home.start("tail", "-f", "shop", "--type", "log") as tail:
            await tail.prints("a", "b")
            home.cache.put(log("c", 2), counter("orders", 1, 3), log("d", 4))
            await tail.prints("a", "b", "c", "d")


async def test_it_ends_when_nobody_reads_its_output(data_dir: Path) -> None:
    async with at_home(data_dir) as home:
        home.cache.put(*(log(str(number), number) for number in range(100)))
        tail = " ".join(home.command("tail", "-n", "100", "-f", "shop"))
        with trio.fail_after(30):
            process = await trio.lowlevel.open_process(
                ["bash", "-c", f"{tail} | head -n 2; echo ${{PIPESTATUS[0]}}"], stdout=subprocess.PIPE, cwd=ROOT
            )
            assert process.stdout is not None
            await home.has_streams(1)
            home.cache.put(log("more", 101))
            output = b"".join([chunk async for chunk in process.stdout])
            await process.wait()
    assert [line.split()[-1] for line in output.splitlines()] == [b"0", b"1", b"0"]


async def test_a_wrong_token_and_nobody_there_have_their_exit_codes(data_dir: Path) -> None:
    async with at_home(data_dir) as home:
        denied = await home.run("tail", "shop", "--token", "another")
    gone = await home.run("tail", "-f", "shop")
    assert (denied.returncode, gone.returncode) == (4, 3)
    assert b"no such source, or no access to it with this token" in denied.stderr
    assert b"does not answer: Connection refused" in gone.stderr
    assert (denied.stderr.count(b"\n"), gone.stderr.count(b"\n")) == (1, 1)


async def test_sources_and_queries_are_asked_for(data_dir: Path) -> None:
    error = {"status": "error", "errorType": "bad_data", "error": "query does not request any source_ids"}
    async with at_home(data_dir) as home:
        home.cache.put(log("a", 1))
        home.cache.answers["/api/v1/query"] = (400, json.dumps(error).encode())
        meta = await home.run("log-meta")
        query = await home.run("promql", "cpu")
    assert meta.stdout.splitlines()[1].split() == [b"shop", b"1", b"0", b"1", b"s", b"60"]
    assert query.returncode == 1
    assert b"refused: query does not request any source_ids (HTTP 400)" in query.stderr
