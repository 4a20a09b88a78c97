"""Whatever comes in by one wire reaches the subscribers of both, converted only where somebody reads it."""

import random
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppler import exchange as module
from doppler.exchange import Exchange
from doppler.router import Router
from doppler.subscription import Reader
from doppler.v1_ingress import Pushed
from doppler.v1_router import EVERYTHING, V1Request, V1Router
from envelope import kernel
from envelope.kinds import Kind
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb.plumbing_pb2 import BatchResponse
from envelope.selectors import make_request, parse_request
from envelope.v1_to_v2 import to_v2
from plumbing.diode import Parcel, SharedDiode
from tests.strategies import batches, canonical, v1_envelopes


class Wires:
    """An exchange with nobody there yet."""

    def __init__(self) -> None:
        make_diode = partial(SharedDiode, 10_000, 1 << 30)
        self.router = Router(make_diode, linger_s=0, max_subscriptions=2, now_ns=lambda: 0, rng=random.Random(1))
        self.v1_router = V1Router(make_diode, linger_s=0, places=self.router.places, now_ns=lambda: 0)
        self.exchange = Exchange(self.router, self.v1_router)

    def subscribe_v2(self) -> Reader:
        return self.router.subscribe(parse_request(make_request(Kind.TYPED)))

    def subscribe_v1(self) -> Reader:
        return self.v1_router.subscribe(V1Request("", EVERYTHING))

    def accept(self, batch: bytes) -> None:
        self.exchange.accept(*kernel.admit(batch)[:3])

    def push(self, envelopes: Sequence[v1.Envelope]) -> None:
        self.exchange.accept_v1([Pushed(each.SerializeToString(), each) for each in envelopes])


def taken(reader: Reader) -> bytes:
    return b"".join(parcel.batch for parcel in reader.diode.take(1 << 30))


def read_v2(reader: Reader) -> list[bytes]:
    return sorted(canonical(envelope) for envelope in v2.EnvelopeBatch.FromString(taken(reader)).batch)


def read_v1(reader: Reader) -> list[bytes]:
    return list(BatchResponse.FromString(taken(reader)).payload)


@given(batch=batches())
def test_v2_envelopes_reach_v1_readers_in_their_v1_forms(batch: bytes) -> None:
    wires = Wires()
    reader = wires.subscribe_v1()

    wires.accept(batch)

    forms = [canonical(v1.Envelope.FromString(message)) for message in kernel.v1_messages(batch)]
    assert [canonical(v1.Envelope.FromString(message)) for message in read_v1(reader)] == forms


def test_envelopes_that_v1_has_no_form_for_are_counted_while_anybody_reads_it() -> None:
    formless = v2.EnvelopeBatch(batch=[v2.Envelope(source_id="app", timer={"name": "http"})]).SerializeToString()
    wires = Wires()
    wires.accept(formless)
    wires.subscribe_v1()

    wires.accept(formless * 2)

    assert wires.exchange.without_v1 == 2


@given(envelopes=st.lists(v1_envelopes, max_size=5))
def test_v1_envelopes_reach_v2_readers_converted(envelopes: list[v1.Envelope]) -> None:
    wires = Wires()
    reader = wires.subscribe_v2()

    wires.push(envelopes)

    assert read_v2(reader) == sorted(canonical(to_v2(envelope)) for envelope in envelopes)


@given(envelopes=st.lists(v1_envelopes, max_size=5))
def test_v1_envelopes_reach_v1_readers_as_the_bytes_that_came(envelopes: list[v1.Envelope]) -> None:
    wires = Wires()
    reader = wires.subscribe_v1()
    payloads = [envelope.SerializeToString() for envelope in envelopes]

    wires.exchange.accept_v1([Pushed(payload, v1.Envelope.FromString(payload)) for payload in payloads])

    assert read_v1(reader) == payloads


def test_nothing_is_converted_for_a_wire_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    wires = Wires()
    monkeypatch.setattr(module, "to_v2", None)
    monkeypatch.setattr(kernel, "v1_messages", None)

    wires.accept(v2.EnvelopeBatch(batch=[v2.Envelope(log={})]).SerializeToString())
    wires.push([v1.Envelope(origin="o", eventType=v1.Envelope.LogMessage)])

    assert wires.exchange.taken_in == 2


def test_what_a_doppler_says_of_itself_reaches_both_wires_and_is_counted_apart() -> None:
    wires = Wires()
    readers = wires.subscribe_v2(), wires.subscribe_v1()
    batch = v2.EnvelopeBatch(batch=[v2.Envelope(counter={"name": "ingress"})]).SerializeToString()

    wires.exchange.accept_own(Parcel(batch, 1))

    assert len(read_v2(readers[0])) == len(read_v1(readers[1])) == 1
    assert (wires.exchange.taken_in, wires.exchange.own) == (0, 1)


def test_the_books_and_the_limit_are_those_of_both_wires() -> None:
    wires = Wires()
    wires.subscribe_v2()
    v1_reader = wires.subscribe_v1()

    assert (wires.exchange.subscriptions, wires.exchange.readers) == (2, 2)
    assert [account.account for account in wires.exchange.accounts()] == ["unnamed-1", "v1 unnamed-1"]
    with pytest.raises(ValueError, match="at most 2"):
        wires.subscribe_v2()
    v1_reader.leave([])
    wires.subscribe_v2()


def test_lingering_and_closing_concern_both_wires() -> None:
    wires = Wires()
    named = [
        wires.router.subscribe(parse_request(make_request(Kind.LOG, shard_id="s"))),
        wires.v1_router.subscribe(V1Request("s", EVERYTHING)),
    ]
    for reader in named:
        reader.leave([])

    wires.exchange.expire(1)
    wires.exchange.expire(2)

    assert wires.exchange.subscriptions == 0
    readers = wires.subscribe_v2(), wires.subscribe_v1()
    wires.exchange.close()
    with pytest.raises(StopIteration):  # neither waits: both see the end at once
        readers[0].next(1).send(None)
    with pytest.raises(StopIteration):
        readers[1].next(1).send(None)
