"""A link delivers once, gives back what did not arrive, and believes only what its peer has said."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbing import grpc_client, ingress_client
from plumbing.acks import ACKS_METADATA, encode_ack
from plumbing.diode import Parcel, SharedDiode
from plumbing.ingress_client import LinkCounts, keep_sending
from plumbing.tls import TlsFiles

TLS = TlsFiles(ca=Path("ca"), cert=Path("cert"), key=Path("key"))


class FakeCall:
    """One stream as `grpc.aio` shows it; the test plays the peer."""

    def __init__(self, *, acknowledges: bool | None) -> None:
        self.written: list[bytes] = []
        self.ended = False
        self.half_closed = asyncio.Event()
        self.arrived = asyncio.Event()
        self._headers = asyncio.get_running_loop().create_future()
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        if acknowledges is not None:
            self._headers.set_result((ACKS_METADATA,) if acknowledges else ())

    def acknowledge(self, messages: int) -> None:
        self._incoming.put_nowait(encode_ack(messages))

    def answer(self) -> None:
        self._incoming.put_nowait(b"")

    async def initial_metadata(self) -> Any:
        return await self._headers

    async def write(self, message: bytes) -> None:
        if self.ended:
            raise asyncio.InvalidStateError("RPC already finished.")
        self.written.append(message)
        self.arrived.set()

    async def read(self) -> Any:
        return await self._incoming.get()

    async def done_writing(self) -> None:
        self.half_closed.set()

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    async def details(self) -> str:
        return "gone"

    def done(self) -> bool:
        return self.ended

    def cancel(self) -> None:
        self.ended = True


class FakeChannel:
    def __init__(self, call: FakeCall) -> None:
        self._call = call

    def stream_stream(self, _: str) -> Callable[..., FakeCall]:
        return lambda **_: self._call

    async def channel_ready(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Link:
    """A running link over the calls given, one connection after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *calls: FakeCall) -> None:
        channels = [FakeChannel(call) for call in calls]
        monkeypatch.setattr(ingress_client, "open_channel", lambda *_: channels.pop(0))
        monkeypatch.setattr(grpc_client, "LEGACY_AFTER_S", 0.01)
        self.diode = SharedDiode(1000, 1000)
        self.counts = LinkCounts("peer:1")
        self.task = asyncio.ensure_future(
            keep_sending(self.diode, self.counts, TLS, server_name="doppler", recycle_after=1000, rng=random.Random(1))
        )

    def put(self, *batches: bytes) -> None:
        for batch in batches:
            self.diode.put(Parcel(batch, 1))

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def run(scenario: Callable[[], Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(5):
            return await scenario()

    return asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_is_acknowledged_is_delivered_and_the_rest_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        call = FakeCall(acknowledges=True)
        link = Link(monkeypatch, call)
        for batch in (b"1", b"2"):
            link.put(batch)
            await until(lambda batch=batch: batch in call.written)
        assert (link.counts.delivered, link.counts.window.in_flight) == (0, 2)

        call.acknowledge(1)
        await until(lambda: link.counts.delivered == 1)

        assert link.counts.window.in_flight == 1
        await link.end()
        assert (link.diode.held, link.counts.returned) == (1, 1)

    run(scenario)


def test_what_an_ended_call_did_not_take_goes_over_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        broken, whole = FakeCall(acknowledges=True), FakeCall(acknowledges=True)
        link = Link(monkeypatch, broken, whole)
        await until(lambda: link.counts.connected)
        broken.ended = True  # the write hears of it before the read does

        link.put(b"1")

        await until(lambda: whole.written == [b"1"])
        await link.end()

    run(scenario)


def test_an_original_peer_is_believed_to_have_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        call = FakeCall(acknowledges=None)
        link = Link(monkeypatch, call)
        link.put(b"1")

        await until(lambda: link.counts.delivered == 1)
        link.diode.close()
        await call.half_closed.wait()
        call.answer()

        await link.task

    run(scenario)


def test_an_original_peer_that_is_gone_after_a_write_may_not_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        broken, whole = FakeCall(acknowledges=False), FakeCall(acknowledges=False)
        link = Link(monkeypatch, broken, whole)

        async def end_while_writing(_: bytes) -> None:
            broken.ended = True  # gRPC reports no failed write on a call that ended with OK
            broken.answer()

        broken.write = end_while_writing  # type: ignore[method-assign]
        link.put(b"1")

        await until(lambda: whole.written == [b"1"])
        assert link.counts.delivered == 1
        await link.end()

    run(scenario)


def test_a_peer_that_is_only_slow_to_answer_is_not_taken_for_an_original_one_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        call = FakeCall(acknowledges=None)
        link = Link(monkeypatch, call)
        link.put(b"1")
        await until(lambda: link.counts.delivered == 1)

        call.acknowledge(1)
        await asyncio.sleep(0.01)
        link.put(b"2")
        await until(lambda: call.written == [b"1", b"2"])

        assert (link.counts.delivered, link.counts.window.in_flight) == (1, 1)
        call.acknowledge(2)
        await until(lambda: link.counts.delivered == 2)
        await link.end()

    run(scenario)


def test_a_peer_that_confirms_what_was_never_sent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        liar, honest = FakeCall(acknowledges=True), FakeCall(acknowledges=True)
        link = Link(monkeypatch, liar, honest)
        link.put(b"1")
        await liar.arrived.wait()

        liar.acknowledge(5)

        await until(lambda: honest.written == [b"1"])
        assert link.counts.delivered == 0
        await link.end()

    run(scenario)


def test_what_a_stalled_peer_does_not_confirm_goes_over_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_client, "STALLED_S", 0.05)

    async def scenario() -> None:
        stalled, lively = FakeCall(acknowledges=True), FakeCall(acknowledges=True)
        link = Link(monkeypatch, stalled, lively)
        link.put(b"1")
        await until(lambda: stalled.written == [b"1"])
        stalled.acknowledge(1)
        await until(lambda: link.counts.delivered == 1)

        link.put(b"2")

        await until(lambda: lively.written == [b"2"])
        assert link.counts.returned == 1
        await link.end()

    run(scenario)


def test_a_write_that_an_original_peer_never_takes_goes_over_the_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingress_client, "STALLED_S", 0.05)

    async def scenario() -> None:
        stalled, lively = FakeCall(acknowledges=False), FakeCall(acknowledges=False)
        link = Link(monkeypatch, stalled, lively)

        async def never(_: bytes) -> None:
            await asyncio.Event().wait()

        stalled.write = never  # type: ignore[method-assign]
        link.put(b"1")

        await until(lambda: lively.written == [b"1"])
        assert link.counts.delivered == 1
        await link.end()

    run(scenario)


def test_a_stream_that_its_peer_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_client, "STALLED_S", 0.05)

    async def scenario() -> None:
        call = FakeCall(acknowledges=False)
        link = Link(monkeypatch, call, FakeCall(acknowledges=False))
        link.put(b"1")
        await until(lambda: link.counts.delivered == 1)
        link.diode.close()
        await call.half_closed.wait()

        await until(lambda: link.counts.connects == 2)
        await link.end()

    run(scenario)


def test_a_link_with_nothing_to_send_is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_client, "STALLED_S", 0.02)

    async def scenario() -> None:
        call = FakeCall(acknowledges=True)
        link = Link(monkeypatch, call)
        for number in (1, 2):
            link.put(b"x")
            await until(lambda number=number: len(call.written) == number)
            call.acknowledge(number)
            await until(lambda number=number: link.counts.delivered == number)
            await asyncio.sleep(0.06)

        assert link.counts.connects == 1
        await link.end()

    run(scenario)
