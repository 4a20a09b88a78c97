"""A reverse log proxy on real dopplers for the time of a test, and its streams as clients of the original read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import grpc

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, metric, readers_at, running, send_over

LOGS = [v2.Selector(log={})]
ALL_KINDS = [*LOGS, *(v2.Selector(**{kind: {}}) for kind in ("counter", "gauge", "timer", "event"))]
BATCHED = "BatchedReceiver"
SINGLE = "Receiver"
METHODS = [BATCHED, SINGLE]


@dataclass
class Proxy:
    """A reverse log proxy, the dopplers behind it, and channels to all of them."""

    ports: Ports
    channel: grpc.Channel
    dopplers: list[Ports]
    doppler_channels: list[grpc.Channel]
    certs: Path

    def open(self, method: str = BATCHED, **request: Any) -> Any:
        """Open a stream as go-loggregator does, and wait until the proxy has it."""
        return open_stream(self.channel, method, **request)

    async def send(self, *envelopes: v2.Envelope, to: int = 0) -> None:
        """Send to one doppler as an agent does, and wait for its answer."""
        await send_over(self.doppler_channels[to], *envelopes)

    async def readers_are(self, count: int, at: int = 0) -> None:
        """Wait until so many streams are open at one doppler."""
        await readers_at(self.dopplers[at], self.certs, count)

    async def books(self, subscriber: str) -> dict[str, Any]:
        return (await accounts(self.ports, self.certs))[f"subscriber {subscriber}"]

    async def books_of_doppler(self, subscription: str) -> dict[str, Any]:
        return (await accounts(self.dopplers[0], self.certs))[subscription]

    async def metric(self, name: str) -> float:
        return await metric(self.ports, self.certs, f"reverse_log_proxy_{name}")


@asynccontextmanager
async def dopplers_running(certs: Path, count: int, **settings: Any) -> AsyncIterator[list[Ports]]:
    async with AsyncExitStack() as stack:
        given = {"drain_grace_s": 0.3, **settings}
        yield [await stack.enter_async_context(running("doppler", certs, **given)) for _ in range(count)]


@asynccontextmanager
async def proxy_at(certs: Path, dopplers: Sequence[Ports], *others: str, **settings: Any) -> AsyncIterator[Proxy]:
    """Run a proxy on these dopplers, and on `others`, which are addresses."""
    addresses = [*(doppler["listen"] for doppler in dopplers), *others]
    async with running(
        "reverse_log_proxy", certs, **{"doppler_addresses": addresses, "drain_grace_s": 0.3, **settings}
    ) as ports:
        with dial(ports["listen"], certs, "reverselogproxy") as channel, ExitStack() as stack:
            channels = [stack.enter_context(dial(each["listen"], certs, "doppler")) for each in dopplers]
            yield Proxy(ports, channel, list(dopplers), channels, certs)


@asynccontextmanager
async def pipeline(certs: Path, count: int = 1, *, doppler: Any = None, **settings: Any) -> AsyncIterator[Proxy]:
    async with dopplers_running(certs, count, **(doppler or {})) as dopplers:
        async with proxy_at(certs, dopplers, **settings) as proxy:
            yield proxy


def open_stream(channel: grpc.Channel, method: str = BATCHED, **request: Any) -> Any:
    kind, answer = {
        BATCHED: (v2.EgressBatchRequest, v2.EnvelopeBatch),
        SINGLE: (v2.EgressRequest, v2.Envelope),
    }[method]
    stream = channel.unary_stream(
        f"/loggregator.v2.Egress/{method}",
        request_serializer=kind.SerializeToString,
        response_deserializer=answer.FromString,
    )(kind(**{"selectors": ALL_KINDS, "use_preferred_tags": True, **request}))
    stream.initial_metadata()
    return stream


def envelopes_of(stream: Any) -> Iterator[v2.Envelope]:
    for message in stream:
        yield from message.batch if isinstance(message, v2.EnvelopeBatch) else [message]


def read_envelopes(stream: Any, count: int) -> list[v2.Envelope]:
    return list(islice(envelopes_of(stream), count))


def read_payloads(stream: Any, count: int) -> list[bytes]:
    return [envelope.log.payload for envelope in read_envelopes(stream, count)]


def read_to_the_end(stream: Any) -> list[bytes]:
    """Read until the server ends the stream in good order."""
    return [envelope.log.payload for envelope in envelopes_of(stream)]


def log(payload: bytes, source: str = "app", **fields: Any) -> v2.Envelope:
    return v2.Envelope(source_id=source, log={"payload": payload}, **fields)


def numbered(count: int, size: int = 0) -> list[v2.Envelope]:
    return [log(b"%d" % n + b"x" * size) for n in range(count)]
