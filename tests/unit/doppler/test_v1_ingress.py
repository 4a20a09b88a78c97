"""What original agents push is taken once, or counted as malformed, and nothing they send ends a stream."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import hypothesis.strategies as st
import pytest
from hypothesis import given

from doppler.v1_ingress import JOINED_BYTES, Pushed, V1Ingress, read_pushed
from envelope.errors import DecodeError
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb.plumbing_pb2 import EnvelopeData
from envelope.v1_to_v2 import to_v2
from plumbing.ingress_server import IngressCounts
from tests.strategies import canonical, odd_messages, unknown_fields, v1_envelopes


def data(payload: bytes) -> bytes:
    return EnvelopeData(payload=payload).SerializeToString()


def log(text: bytes = b"x") -> bytes:
    message = {"message": text, "message_type": v1.LogMessage.OUT, "timestamp": 1}
    return v1.Envelope(origin="o", eventType=v1.Envelope.LogMessage, logMessage=message).SerializeToString()


def http(*enums: bytes) -> bytes:
    http = {"startTimestamp": 1, "stopTimestamp": 2, "requestId": {"low": 1, "high": 1}, "uri": "", "userAgent": ""}
    envelope = v1.Envelope(
        origin="o",
        eventType=v1.Envelope.HttpStartStop,
        httpStartStop={**http, "remoteAddress": "", "statusCode": 200, "contentLength": 0},
    )
    envelope.httpStartStop.MergeFromString(b"".join(enums))
    return envelope.SerializePartialToString()


PEER_TYPE_0, METHOD_0 = b"\x20\x00", b"\x28\x00"


class Door:
    """A V1Ingress whose streams are fed by hand."""

    def __init__(self) -> None:
        self.counts = IngressCounts()
        self.accepted: list[list[Pushed]] = []
        self.ingress = V1Ingress(self.accepted.append, self.counts)

    async def push(self, *messages: bytes, context: Any = None) -> Any:
        context = context or Context(*messages)
        await self.ingress.service()["Pusher"].handler.stream_stream(None, context)
        return context

    @property
    def payloads(self) -> list[bytes]:
        return [pushed.payload for batch in self.accepted for pushed in batch]

    def balances(self) -> bool:
        return self.counts.received == self.counts.malformed + len(self.payloads) + self.ingress.held


class Context:
    """A server's side of one stream whose client has sent these messages, and ends it unless it is `endless`."""

    def __init__(self, *messages: bytes, endless: bool = False) -> None:
        self.written: list[bytes] = []
        self._messages = iter(messages)
        self._endless = endless

    def invocation_metadata(self) -> Any:
        return ()

    def peer(self) -> str:
        return "agent"

    async def read(self) -> Any:
        for message in self._messages:
            return message
        if self._endless:
            await asyncio.Event().wait()
        return grpc.aio.EOF

    async def write(self, message: bytes) -> None:
        self.written.append(message)


def run(scenario: Callable[[], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())


def test_a_stream_is_accepted_in_order_and_answered_once() -> None:
    async def scenario() -> None:
        door = Door()

        context = await door.push(data(log(b"1")), data(log(b"2")))
        await asyncio.sleep(0)

        assert door.payloads == [log(b"1"), log(b"2")]
        assert context.written == [b""]
        assert (door.counts.received, door.counts.messages, door.counts.streams) == (2, 2, 0)

    run(scenario)


def test_what_arrives_together_is_accepted_together() -> None:
    async def scenario() -> None:
        door = Door()

        await asyncio.gather(*(door.push(data(log())) for _ in range(5)))

        assert [len(batch) for batch in door.accepted] == [5]

    run(scenario)


def test_what_waits_to_be_accepted_is_bounded_and_in_the_books() -> None:
    async def scenario() -> None:
        door = Door()
        large = log(b"x" * (JOINED_BYTES // 2))

        await door.push(*[data(large)] * 5)

        assert [len(batch) for batch in door.accepted] == [2, 2]
        assert door.ingress.held == 1
        assert door.balances()

    run(scenario)


def test_closing_ends_streams_in_good_order_and_keeps_nothing_back() -> None:
    async def scenario() -> None:
        door, context = Door(), Context(data(log()), endless=True)
        stream = asyncio.ensure_future(door.push(context=context))
        await asyncio.sleep(0)

        door.ingress.close()
        assert door.payloads == [log()]
        await stream

        assert context.written == [b""]
        assert door.counts.broken_streams == 0

    run(scenario)


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff",
        data(b"\xff\xff"),
        b"",
        data(b"\x0a\x01o"),
        data(v1.Envelope(origin="o", eventType=v1.Envelope.LogMessage, logMessage={}).SerializePartialToString()),
        data(http(PEER_TYPE_0)),
    ],
    ids=["no message", "no envelope", "nothing", "no type", "no text", "no method"],
)
def test_what_is_no_whole_v1_envelope_is_counted_and_the_stream_goes_on(message: bytes) -> None:
    async def scenario() -> None:
        door = Door()

        await door.push(message, data(log()))
        await asyncio.sleep(0)

        assert door.payloads == [log()]
        assert (door.counts.received, door.counts.malformed) == (2, 1)

    run(scenario)


@pytest.mark.parametrize(
    "payload", [http(PEER_TYPE_0, METHOD_0), b"\x0a\x01o\x10\x63"], ids=["method and peer type 0", "type 99"]
)
def test_numbers_that_an_enum_does_not_know_are_no_reason_to_drop_an_envelope(payload: bytes) -> None:
    assert read_pushed(data(payload)).payload == payload


_payloads = (
    st.binary(max_size=40)
    | odd_messages(st.binary(max_size=8), unknown_fields)
    | v1_envelopes.map(lambda envelope: envelope.SerializePartialToString())
    | st.builds(bytes.__add__, v1_envelopes.map(lambda envelope: envelope.SerializePartialToString()), unknown_fields)
)


@given(messages=st.lists(_payloads.map(data) | st.binary(max_size=40), max_size=6))
def test_whatever_is_pushed_is_accepted_or_counted_as_malformed(messages: list[bytes]) -> None:
    async def scenario() -> None:
        door = Door()
        await door.push(*messages)
        assert door.balances()
        await asyncio.sleep(0)
        assert door.balances()
        assert door.counts.received == len(messages)

    run(scenario)


@given(message=_payloads.map(data))
def test_whatever_is_accepted_has_a_v2_form(message: bytes) -> None:
    try:
        pushed = read_pushed(message)
    except DecodeError:
        return

    to_v2(pushed.envelope).SerializeToString()


@given(envelope=v1_envelopes)
def test_what_original_agents_send_is_not_malformed(envelope: v1.Envelope) -> None:
    payload = envelope.SerializeToString()

    pushed = read_pushed(data(payload))

    assert (pushed.payload, canonical(pushed.envelope)) == (payload, canonical(envelope))
