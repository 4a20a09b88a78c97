"""What an ingress stream brought is accepted once, acknowledged, and answered, also when the server closes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.acks import ACKS_METADATA, encode_ack
from plumbing.ingress_server import Ingress, IngressCounts

BATCH = EnvelopeBatch(batch=[Envelope(source_id="a", log={})] * 2).SerializeToString()


class Aborted(Exception):
    """What `context.abort` raises."""


class FakeContext:
    """A server's side of one stream; the test plays the client."""

    def __init__(self, *messages: Any, acknowledged: bool = True) -> None:
        self.written: list[bytes] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.may_greet = asyncio.Event()
        self.may_greet.set()
        self._acknowledged = acknowledged
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        for message in messages:
            self._incoming.put_nowait(message)

    def invocation_metadata(self) -> Any:
        return (ACKS_METADATA,) if self._acknowledged else ()

    async def send_initial_metadata(self, _: Any) -> None:
        await self.may_greet.wait()

    def peer(self) -> str:
        return "client"

    async def read(self) -> Any:
        return await self._incoming.get()

    async def write(self, message: bytes) -> None:
        await self.may_write.wait()
        self.written.append(message)

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Aborted(code.name, details)


class Door:
    def __init__(self) -> None:
        self.counts = IngressCounts()
        self.accepted = 0
        self.ingress = Ingress(self._accept, self.counts, unary_send=True)

    def _accept(self, batch: bytes, count: int, kinds: int) -> None:
        self.accepted += count

    def serve(self, method: str, *args: Any) -> asyncio.Task[Any]:
        handler = self.ingress.service()[method].handler
        call: Callable[..., Coroutine[Any, Any, Any]] = handler.stream_stream or handler.unary_unary
        return asyncio.ensure_future(call(*args))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())


def test_a_stream_is_accepted_acknowledged_and_answered() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH, BATCH, grpc.aio.EOF)

        await door.serve("BatchSender", None, context)

        assert (door.accepted, door.counts.received, door.counts.streams, door.counts.broken_streams) == (4, 4, 0, 0)
        assert context.written == [encode_ack(2), b""]

    run(scenario)


def test_an_original_client_gets_its_one_answer() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH, grpc.aio.EOF, acknowledged=False)

        await door.serve("BatchSender", None, context)

        assert context.written == [b""]

    run(scenario)


def test_closing_ends_an_open_stream_in_good_order() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH)
        stream = door.serve("BatchSender", None, context)
        await settle()

        door.ingress.close()
        await stream

        assert context.written == [encode_ack(1), b""]
        assert door.counts.broken_streams == 0

    run(scenario)


def test_closing_while_a_stream_is_being_opened_takes_nothing_of_it() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH)
        context.may_greet.clear()
        stream = door.serve("BatchSender", None, context)
        await settle()

        door.ingress.close()
        context.may_greet.set()
        await stream

        assert (door.accepted, context.written) == (0, [b""])

    run(scenario)


def test_closing_while_a_stream_ends_by_itself_does_not_cut_off_its_answer() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH, grpc.aio.EOF)
        context.may_write.clear()
        stream = door.serve("BatchSender", None, context)
        await settle()

        door.ingress.close()
        await settle()
        context.may_write.set()
        await stream

        assert context.written == [encode_ack(1), b""]

    run(scenario)


@pytest.mark.parametrize("method", ["BatchSender", "Sender"])
def test_a_stream_that_comes_after_closing_is_refused_and_keeps_what_it_has(method: str) -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH)
        door.ingress.close()

        with pytest.raises(Aborted, match="UNAVAILABLE"):
            await door.serve(method, None, context)

        assert door.accepted == 0

    run(scenario)


def test_a_unary_call_that_comes_after_closing_is_refused() -> None:
    async def scenario() -> None:
        door = Door()
        door.ingress.close()

        with pytest.raises(Aborted, match="UNAVAILABLE"):
            await door.serve("Send", BATCH, FakeContext())

        assert door.accepted == 0

    run(scenario)


def test_a_client_that_vanishes_is_counted_as_a_broken_stream() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(BATCH)
        stream = door.serve("BatchSender", None, context)
        await settle()

        stream.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stream

        assert (door.accepted, door.counts.streams, door.counts.broken_streams) == (2, 0, 1)

    run(scenario)


def test_what_does_not_parse_is_counted_and_the_stream_goes_on() -> None:
    async def scenario() -> None:
        door, context = Door(), FakeContext(b"\xff\xff", BATCH, grpc.aio.EOF)

        await door.serve("BatchSender", None, context)

        assert (door.accepted, door.counts.received, door.counts.malformed) == (2, 3, 1)
        assert context.written[-2:] == [encode_ack(2), b""]

    run(scenario)
