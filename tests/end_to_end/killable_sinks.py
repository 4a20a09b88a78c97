"""Sinks of nozzles that are processes of their own: they are killed and started again, and keep what they took."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import nats
import orjson
import trio
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.fakes.nats_server import NatsServer

Numbers = dict[str, list[int]]
"""Of each source the numbers of its lines, which are `line 17`, in the order of the sink."""


class KillableSink(Protocol):
    """What each of them has."""

    @property
    def table(self) -> str:
        """The settings of a nozzle for it, but for the runner's own: the kind, and what is in `sink`."""

    def start(self) -> None:
        """Start it, or start it again, and return when it listens."""

    def kill(self) -> None:
        """End it as a crash would."""

    def numbers(self) -> Numbers:
        """Return what is safe in it."""


class WebhookSink:
    """A receiver of webhooks: it has a line at least once."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "received"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def table(self) -> str:
        return f'kind = "webhook"\nsink.url = "http://127.0.0.1:{self._port}"\n'

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.end_to_end.webhook_receiver", str(self._file), str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        address = self._process.stdout.readline().decode().strip()
        assert address, "the receiver did not start"
        self._port = int(address.rpartition(":")[2])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def numbers(self) -> Numbers:
        lines = self._file.read_text().splitlines()
        return _by_source(tuple(line.split(" ", 1)) for line in lines)


class NatsSink:
    """A real NATS server with a stream: it has a line exactly once."""

    def __init__(self, directory: Path) -> None:
        self._server = NatsServer(directory)
        sink = 'stream = "logs"\nsink.create_stream = true\nsink.max_stream_bytes = 200_000_000\n'
        self.table = f'kind = "nats_jetstream"\nsink.servers = ["{self._server.address}"]\nsink.{sink}'
        self.start()

    def start(self) -> None:
        trio.run(self._server.start)

    def kill(self) -> None:
        self._server.kill()

    def numbers(self) -> Numbers:
        return _by_source(asyncio.run(self._stored()))

    async def _stored(self) -> list[tuple[str, str]]:
        client = await nats.connect(f"nats://{self._server.address}")
        try:
            stream = client.jetstream()
            left = (await stream.stream_info("logs")).state.messages
            everything = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL)
            reading = await stream.pull_subscribe("", stream="logs", config=everything)
            found: list[tuple[str, str]] = []
            while len(found) < left:
                for message in await reading.fetch(min(left - len(found), 1_000), timeout=10):
                    envelope = orjson.loads(message.data)
                    found.append((envelope["source_id"], base64.b64decode(envelope["log"]["payload"]).decode()))
            return found
        finally:
            await client.close()


def _by_source(lines: Iterable[tuple[str, ...]]) -> Numbers:
    found: Numbers = {}
    for source, text in lines:
        found.setdefault(source, []).append(int(text.split()[1]))
    return found
