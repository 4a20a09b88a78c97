"""A nozzle for the time of a test, and a sink that does what it is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from nozzles.config import make_config
from nozzles.sdk import Batch, NozzleKind, SinkDenied, SinkRefused, SinkUnavailable, Write
from nozzles.service import serve
from plumbing.config import Section
from plumbing.lifecycle import Ports
from tests.running import dial, send_batches, serving, tls_settings


@asynccontextmanager
async def running_nozzle(
    certs: Path, kind: NozzleKind, doppler: Ports, *, name: str = "relay", **settings: Any
) -> AsyncIterator[Ports]:
    """Run one nozzle that reads from one Doppler; yields its ports, and drains it on leaving."""
    defaults: dict[str, Any] = {
        "doppler_addresses": [doppler["listen"]],
        **tls_settings(certs, "nozzle"),
        "batch_max_age_s": 0.01,
        "retry_first_s": 0.01,
        "retry_most_s": 0.05,
    }
    config = make_config(kind, name)(**{**defaults, **settings})
    async with serving(partial(serve, kind=kind), config) as ports:
        yield ports


class FakeConfig(Section):
    """A sink without settings."""


class FakeSink:
    """Takes envelopes in memory, and fails when a test wants it to."""

    def __init__(self, *, delivery: Any = "at-least-once") -> None:
        self.kind = NozzleKind(FakeConfig, self.open, delivery)
        self.taken: list[Envelope] = []
        self.ids: list[str] = []
        self.attempts = 0
        self.away = False
        self.hangs = 0
        """Writes that never return."""
        self.breaks = 0
        """Writes that fail with something unexpected, when half of it is taken."""
        self.refuses: set[str] = set()
        """What the sink will never take."""
        self.skips: set[str] = set()
        """What has no form there."""
        self.denials = 0
        """Writes that are answered with a wish for credentials."""
        self.takes = trio.Event()
        """Until this is set every write waits."""
        self.takes.set()

    @property
    def texts(self) -> list[str]:
        """What the lines it took say."""
        return [envelope.log.payload.decode() for envelope in self.taken]

    @property
    def texts_by_source(self) -> dict[str, list[str]]:
        """The same, by source."""
        by_source: dict[str, list[str]] = defaultdict(list)
        for envelope in self.taken:
            by_source[envelope.source_id].append(envelope.log.payload.decode())
        return dict(by_source)

    @asynccontextmanager
    async def open(self, _: FakeConfig) -> AsyncIterator[Write]:
        """Be a nozzle."""
        yield self._write

    async def _write(self, batch: Batch) -> None:
        self.attempts += 1
        await self.takes.wait()
        if self.away:
            raise SinkUnavailable("away")
        if self.hangs:
            self.hangs -= 1
            await trio.sleep_forever()
        if self.breaks:
            self.breaks -= 1
            raise ValueError("broken")
        formed = [envelope for envelope in batch if envelope.log.payload.decode() not in self.skips]
        batch.skip(batch.count - len(formed))
        if self.denials:
            self.denials -= 1
            raise SinkDenied("mend token_file")
        wanted = [envelope for envelope in formed if envelope.log.payload.decode() not in self.refuses]
        if formed and not wanted:
            raise SinkRefused("none of it", reason="unwanted")
        if len(wanted) < len(formed):
            batch.refuse(len(formed) - len(wanted), "unwanted")
        self.ids.append(batch.id)
        self.taken += wanted


async def send(doppler: Ports, certs: Path, texts: Sequence[str], *, source_id: str = "app", size: int = 1) -> None:
    """Send lines to a Doppler, `size` of them in a batch."""
    lines = [Envelope(source_id=source_id, timestamp=1, log={"payload": text.encode()}) for text in texts]
    batches = [EnvelopeBatch(batch=lines[start : start + size]) for start in range(0, len(lines), size)]
    with dial(doppler["listen"], certs, "doppler") as channel:
        await send_batches(channel, batches)
