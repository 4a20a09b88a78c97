"""The commands that read the log cache, as processes, before one that remembers what it was asked."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from envelope.pb import logcache_v1_pb2 as logcache
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.tls import TlsFiles
from plumbing.tokens import TokenStore
from tests.fakes.cursor_log_cache import CursorLogCache, counter, log, open_cursor_log_cache
from tests.running import dial, eventually, running

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
    """A data directory that names a log cache."""

    def __init__(self, data_dir: Path, address: str, nursery: trio.Nursery) -> None:
        self.data_dir = data_dir
        self._nursery = nursery
        (data_dir / "endpoints.json").write_text(json.dumps({"log_cache-0.rest": address}))

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


class HomeOfFake(Home):
    """One whose log cache does as a test wishes."""

    def __init__(self, data_dir: Path, cache: CursorLogCache, nursery: trio.Nursery) -> None:
        super().__init__(data_dir, cache.address, nursery)
        self.cache = cache

    async def has_streams(self, count: int) -> None:
        async def open_now() -> bool:
            return self.cache.streams == count

        await eventually(open_now)


@asynccontextmanager
async def at_home(data_dir: Path) -> AsyncIterator[HomeOfFake]:
    """Open the fake's door."""
    async with (
        open_cursor_log_cache(TlsFiles.named(data_dir / "certs", "log-cache")) as cache,
        trio.open_nursery() as nursery,
    ):
        yield HomeOfFake(data_dir, cache, nursery)


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


# --- before a real one ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def at_a_real_home(data_dir: Path) -> AsyncIterator[tuple[Home, Callable[..., Awaitable[None]]]]:
    """Run a log cache; gives what sends it envelopes too."""
    store = TokenStore(data_dir / "tokens")
    (data_dir / "tokens" / "admin").unlink()
    store.ensure_admin_token(time.time())
    rest, auth = {"listen": "127.0.0.1:0"}, {"tokens_dir": data_dir / "tokens"}
    certs = data_dir / "certs"
    async with (
        running("log_cache", certs, doppler_addresses=[], rest=rest, auth=auth) as ports,
        trio.open_nursery() as nursery,
    ):
        with dial(ports["listen"], certs, "log-cache") as channel:
            send = channel.unary_unary("/logcache.v1.Ingress/Send")

            async def put(*envelopes: v2.Envelope) -> None:
                request = logcache.SendRequest(envelopes=v2.EnvelopeBatch(batch=envelopes))
                await trio.to_thread.run_sync(send, request.SerializeToString())

            yield Home(data_dir, ports["rest"], nursery), put


def _log(text: str, timestamp: int) -> v2.Envelope:
    return v2.Envelope(source_id="shop", timestamp=timestamp, log={"payload": text.encode()})


async def test_a_real_log_cache_is_followed_without_a_gap_or_a_repeat(data_dir: Path) -> None:
    async with at_a_real_home(data_dir) as (home, put):
        await put(*(_log(str(number), number // 600) for number in range(2500)))
        async with home.start("tail", "-n", "2000", "-f", "shop") as tail:
            await tail.prints(*(str(number) for number in range(500, 2500)))
            await put(_log("late", 1), _log("new", time.time_ns()))
            await tail.prints(*(str(number) for number in range(500, 2500)), "late", "new")
        assert tail.errors == b""


async def test_a_real_log_cache_tells_of_its_sources_and_answers_queries(data_dir: Path) -> None:
    async with at_a_real_home(data_dir) as (home, put):
        now = time.time_ns()
        await put(v2.Envelope(source_id="shop", timestamp=now, counter={"name": "orders", "total": 45}))
        meta = await home.run("log-meta")
        value = await home.run("promql", 'orders{source_id="shop"}', "--time", str(now // 10**9 + 1))
        span = await home.run("promql", 'orders{source_id="shop"}', "--start", "1m", "--step", "1s")
        wrong = await home.run("promql", "orders(")
    assert meta.stdout.splitlines()[1].split()[:3] == [b"shop", b"1", b"0"]
    assert value.stdout.splitlines() == [b"source_id  value", b"shop          45"]
    assert span.stdout.splitlines()[0] == b'time,"{source_id=""shop""}"'
    assert span.stdout.splitlines()[-1].endswith(b"Z,45")
    assert (wrong.returncode, wrong.stdout) == (1, b"")
    assert b"refused: parse error" in wrong.stderr
