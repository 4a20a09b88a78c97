"""The commands `emit` and `run`, as processes, before the door of an agent that remembers what came in."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.grpc_server import serve_grpc
from plumbing.ingress_server import INGRESS, Ingress, IngressCounts
from plumbing.island import open_island
from plumbing.tls import TlsFiles

ROOT = Path(__file__).parents[2]


@dataclass
class Agent:
    """Whoever stands behind the door, and where the commands look for it."""

    data_dir: Path
    received: list[v2.Envelope] = field(default_factory=list)

    def accept(self, batch: bytes, count: int, kinds: int) -> None:
        self.received += v2.EnvelopeBatch.FromString(batch).batch

    @property
    def lines(self) -> list[bytes]:
        return [envelope.log.payload for envelope in self.received]

    async def has(self, count: int) -> None:
        with trio.fail_after(10):
            while len(self.received) < count:
                await trio.sleep(0.005)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "standpipe", arguments[0], f"--data-dir={self.data_dir}", *arguments[1:]]

    async def run(self, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        with trio.fail_after(30):
            return await trio.run_process(
                self.command(*arguments), stdin=stdin, capture_stdout=True, capture_stderr=True, check=False, cwd=ROOT
            )

    async def start(self, *arguments: str, stdin: int | None = None) -> trio.Process:
        return await trio.lowlevel.open_process(
            self.command(*arguments), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )


@asynccontextmanager
async def at_home(data_dir: Path, listen: str = "127.0.0.1:0") -> AsyncIterator[Agent]:
    """Open the agent's door."""
    agent, files = Agent(data_dir), TlsFiles.named(data_dir / "certs", "metron")
    service = Ingress(agent.accept, IngressCounts(), unary_send=True).service()
    async with (
        open_island() as island,
        serve_grpc(island, listen, files, {INGRESS: service}, grace_s=0.1) as address,
    ):
        (data_dir / "endpoints.json").write_text(json.dumps({"metron": address}))
        yield agent


@pytest.fixture
def data_dir(tmp_path: Path, certs_dir: Path) -> Path:
    (tmp_path / "certs").symlink_to(certs_dir)
    return tmp_path


async def test_words_are_one_log(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        done = await agent.run("emit", "--source=shop", "--instance=3", "--tag=a=b", "--err", "order 17", "has shipped")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (log,) = agent.received
    assert (log.source_id, log.instance_id, log.tags) == ("shop", "3", {"a": "b"})
    assert (log.log.payload, log.log.type) == (b"order 17 has shipped", v2.Log.ERR)


async def test_metrics_arrive_before_the_log_beside_them(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        await agent.run("emit", "--source=shop", "--gauge=a=1", "--counter=b=2", "--timer=c=3,4", "--event=d=e", "text")

    kinds = [envelope.WhichOneof("message") for envelope in agent.received]
    assert kinds == ["counter", "gauge", "timer", "event", "log"]


async def test_each_line_of_stdin_is_a_log(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        await agent.run("emit", "--source=shop", "-", stdin=b"one\r\n\xff\x00\n\nlast")

    assert agent.lines == [b"one", b"\xff\x00", b"", b"last"]


async def test_much_input_arrives_whole_and_in_order(data_dir: Path) -> None:
    lines = [b"%07d %s" % (n, b"x" * (n % 300)) for n in range(50_000)]
    async with at_home(data_dir) as agent:
        await agent.run("emit", "--source=shop", "--rate=0", "-", stdin=b"\n".join(lines) + b"\n")

    assert agent.lines == lines
    stamps = [envelope.timestamp for envelope in agent.received]
    assert all(earlier < later for earlier, later in pairwise(stamps))


async def test_a_line_leaves_while_stdin_stays_open(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        emit = await agent.start("emit", "--source=shop", "-", stdin=subprocess.PIPE)
        assert emit.stdin is not None
        for number in range(3):
            await emit.stdin.send_all(b"line\n")
            await agent.has(number + 1)
        await emit.stdin.aclose()

        assert await emit.wait() == 0


async def test_a_signal_ends_the_reading_and_what_was_read_arrives(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        emit = await agent.start("emit", "--source=shop", "-", stdin=subprocess.PIPE)
        assert emit.stdin is not None
        await emit.stdin.send_all(b"whole\npartial")
        await agent.has(1)
        emit.send_signal(signal.SIGINT)

        assert await emit.wait() == 128 + signal.SIGINT
    assert agent.lines == [b"whole", b"partial"]


async def test_lines_keep_to_the_rate(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        await agent.run("emit", "--source=shop", "--rate=50", "-", stdin=b"x\n" * 11)

    assert agent.received[-1].timestamp - agent.received[0].timestamp >= 200_000_000


async def test_an_agent_that_goes_away_is_told_of(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        emit = await agent.start("emit", "--source=shop", "-", stdin=subprocess.PIPE)
        assert emit.stdin is not None
        await emit.stdin.send_all(b"one\ntwo\n")
        await agent.has(2)

    assert await emit.wait() == 3
    assert isinstance(emit.stderr, trio.lowlevel.FdStream)
    assert b" of 2 envelopes were confirmed: " in await emit.stderr.receive_some()


async def test_an_agent_that_is_not_there_is_named(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        pass
    done = await agent.run("emit", "--source=shop", "hello")

    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert b"Connection refused" in done.stderr


async def test_the_output_of_a_command_is_shown_and_shipped(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        script = "echo one; printf partial; echo two >&2; exit 3"
        done = await agent.run("run", "--source=shop", "--", "sh", "-c", script)

    assert (done.returncode, done.stdout, done.stderr) == (3, b"one\npartial", b"two\n")
    shipped = {envelope.log.payload: envelope.log.type for envelope in agent.received}
    assert shipped == {b"one": v2.Log.OUT, b"partial": v2.Log.OUT, b"two": v2.Log.ERR}


async def test_a_command_needs_no_dashes_before_it_and_reads_our_stdin(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        done = await agent.run("run", "--source=shop", "cat", "-n", stdin=b"hello\n")

    assert done.stdout.split() == [b"1", b"hello"]
    assert agent.lines == [done.stdout.rstrip(b"\n")]


async def test_a_line_is_shipped_while_the_command_goes_on(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        run = await agent.start("run", "--source=shop", "--", "sh", "-c", "echo ready; exec sleep 60")
        await agent.has(1)
        run.send_signal(signal.SIGTERM)

        assert await run.wait() == 128 + signal.SIGTERM


async def test_a_command_outlives_its_agent_and_ships_to_the_next(data_dir: Path) -> None:
    async with at_home(data_dir) as first:
        address = json.loads((data_dir / "endpoints.json").read_text())["metron"]
        run = await first.start("run", "--source=shop", "--", "cat", stdin=subprocess.PIPE)
        assert run.stdin is not None
        await run.stdin.send_all(b"one\n")
        await first.has(1)
    await run.stdin.send_all(b"two\n")
    async with at_home(data_dir, address) as second:
        await second.has(1)
        await run.stdin.aclose()

        assert await run.wait() == 0
    assert second.lines[-1] == b"two"


async def test_without_an_agent_a_command_runs_all_the_same(data_dir: Path) -> None:
    async with at_home(data_dir) as agent:
        pass
    done = await agent.run("run", "--source=shop", "--", "sh", "-c", "echo one; echo two; exit 3")

    assert (done.returncode, done.stdout) == (3, b"one\ntwo\n")
    assert done.stderr.startswith(b"standpipe run: 2 of 2 lines were not shipped: metron at ")
    assert done.stderr.count(b"\n") == 1
