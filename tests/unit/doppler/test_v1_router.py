"""The v1 router gives every subscription what its filter lets by, once, as the very bytes that came."""

from functools import partial

import hypothesis.strategies as st
import pytest
from hypothesis import given

from doppler.register import Places, TooManySubscriptions
from doppler.subscription import Reader
from doppler.v1_router import EVERYTHING, Filter, V1Request, V1Router, address_of, parse_subscription
from envelope.errors import DecodeError
from envelope.kinds import Keep
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.diode import SharedDiode
from plumbing.egress_server import MESSAGE_BYTES
from tests.strategies import UUID_TEXT, v1_envelopes

APPS = ["", "app-1", "system", UUID_TEXT]
UUID = v1.UUID(low=0x7243CC580BC17AF4, high=0x79D4C3B2020E67A5)
TYPE = v1.Envelope.EventType


def make_router(*, capacity: int = 10_000, most: int = 100) -> V1Router:
    return V1Router(partial(SharedDiode, capacity, 1 << 30), linger_s=30, places=Places(most), now_ns=lambda: 0)


def subscribe(router: V1Router, app: str = "", keep: Keep = Keep.ALL, shard: str = "") -> Reader:
    return router.subscribe(V1Request(shard, Filter(app, keep)))


def log(app: str = "app-1", text: bytes = b"x") -> bytes:
    message = {"message": text, "message_type": v1.LogMessage.OUT, "timestamp": 1, "app_id": app}
    return v1.Envelope(origin="o", eventType=TYPE.LogMessage, logMessage=message).SerializeToString()


def counter(name: str = "requests") -> bytes:
    event = {"name": name, "delta": 1}
    return v1.Envelope(origin="o", eventType=TYPE.CounterEvent, counterEvent=event).SerializeToString()


def container(app: str) -> bytes:
    metric = {"applicationId": app, "instanceIndex": 0, "cpuPercentage": 1.0, "memoryBytes": 1, "diskBytes": 1}
    return v1.Envelope(origin="o", eventType=TYPE.ContainerMetric, containerMetric=metric).SerializeToString()


def http(app: v1.UUID | None) -> v1.Envelope:
    """An event with numbers for its enums that Python's classes do not know, as Go sends them."""
    envelope = v1.Envelope(origin="o", eventType=TYPE.HttpStartStop, httpStartStop={"applicationId": app})
    envelope.httpStartStop.MergeFromString(b"\x20\x00\x28\x00")
    return envelope


def read(reader: Reader) -> list[bytes]:
    parcels = reader.diode.take(1 << 30)
    batch = b"".join(parcel.batch for parcel in parcels)
    payloads = list(plumbing.BatchResponse.FromString(batch).payload)
    assert len(payloads) == sum(parcel.envelopes for parcel in parcels)
    return payloads


@pytest.mark.parametrize(
    ("asked", "request_"),
    [
        ({}, V1Request("", EVERYTHING)),
        ({"shardID": "s"}, V1Request("s", EVERYTHING)),
        ({"filter": {"appID": "app-1"}}, V1Request("", Filter("app-1", Keep.ALL))),
        ({"filter": {"log": {}}}, V1Request("", Filter("", Keep.LOGS))),
        ({"filter": {"appID": "app-1", "metric": {}}}, V1Request("", Filter("app-1", Keep.METRICS))),
    ],
)
def test_a_request_is_read(asked: dict[str, object], request_: V1Request) -> None:
    message = plumbing.SubscriptionRequest(**asked)  # type: ignore[arg-type] # a nested message may be a dict

    assert parse_subscription(message.SerializeToString()) == request_


def test_a_request_that_is_none_is_refused() -> None:
    with pytest.raises(DecodeError, match="not a SubscriptionRequest"):
        parse_subscription(b"\x0a\xff")


@pytest.mark.parametrize(
    ("envelope", "app"),
    [
        (log("app-1"), "app-1"),
        (container("app-2"), "app-2"),
        (http(UUID).SerializePartialToString(), UUID_TEXT),
        (http(v1.UUID(low=0, high=0)).SerializePartialToString(), "00000000-0000-0000-0000-000000000000"),
        (http(None).SerializePartialToString(), "system"),
        (counter(), "system"),
        (b"\x0a\x01o\x10\x63", "system"),
    ],
)
def test_an_envelope_belongs_to_the_app_it_names_or_to_the_system(envelope: bytes, app: str) -> None:
    assert address_of(v1.Envelope.FromString(envelope))[0] == app


def test_a_type_that_v1_does_not_define_is_a_metric() -> None:
    router = make_router()
    logs, metrics = subscribe(router, keep=Keep.LOGS), subscribe(router, keep=Keep.METRICS)
    strange = b"\x0a\x01o\x10\x63"

    router.route([strange])

    assert (read(logs), read(metrics)) == ([], [strange])


def test_a_log_without_an_app_reaches_each_reader_once() -> None:
    router = make_router()
    readers = [subscribe(router), subscribe(router, keep=Keep.LOGS)]

    router.route([log("")])

    assert [read(reader) for reader in readers] == [[log("")], [log("")]]


def test_readers_without_a_shard_all_get_everything() -> None:
    router = make_router()
    readers = [subscribe(router, "app-1") for _ in range(2)]

    router.route([log()])

    assert [read(reader) for reader in readers] == [[log()], [log()]]


def test_readers_of_one_shard_and_one_filter_share() -> None:
    router = make_router()
    one, other = (subscribe(router, shard="s") for _ in range(2))

    router.route([log(), counter()])

    assert one.diode is other.diode
    assert read(one) + read(other) == [log(), counter()]


def test_readers_of_one_shard_and_different_filters_do_not_share() -> None:
    router = make_router()
    all_of_it, logs = subscribe(router, shard="s"), subscribe(router, keep=Keep.LOGS, shard="s")

    router.route([log()])

    assert (read(all_of_it), read(logs)) == ([log()], [log()])


def test_a_reader_that_was_too_slow_is_told_in_a_counter_event() -> None:
    router = make_router(capacity=2)
    reader = subscribe(router, shard="nozzle")
    for _ in range(5):
        router.route([log()])

    notice = reader.subscription.notice()

    assert notice is not None
    (told,) = plumbing.BatchResponse.FromString(notice.batch).payload
    event = v1.Envelope.FromString(told)
    assert (event.counterEvent.name, event.counterEvent.delta, event.counterEvent.total) == ("dropped", 3, 3)
    assert (event.tags["subscription"], event.tags["direction"]) == ("nozzle", "egress")


def test_the_books_tell_v1_subscriptions_from_others() -> None:
    router = make_router()
    subscribe(router, shard="nozzle")
    subscribe(router)

    assert [(account.account, account.kind) for account in router.accounts()] == [
        ("v1 nozzle", "subscription"),
        ("v1 unnamed-2", "subscription"),
    ]


def test_one_subscription_too_many_is_refused() -> None:
    router = make_router(most=1)
    subscribe(router)

    with pytest.raises(TooManySubscriptions, match="at most 1"):
        subscribe(router)


def test_what_grew_on_its_way_to_v1_is_cut_to_the_size_of_messages() -> None:
    router = make_router()
    reader = subscribe(router)
    large = log(text=b"x" * 100_000)

    router.route([large] * 10)

    assert max(len(parcel.batch) for parcel in reader.diode.take(1)) <= MESSAGE_BYTES
    assert len(read(reader)) == 8


def matches(asked: Filter, envelope: v1.Envelope) -> bool:
    """What 2.2 and 2.6 say: the slow and plain oracle."""
    if asked.keep != Keep.ALL and (asked.keep == Keep.LOGS) != (envelope.eventType == TYPE.LogMessage):
        return False
    match envelope.eventType:
        case TYPE.LogMessage:
            app = envelope.logMessage.app_id
        case TYPE.ContainerMetric:
            app = envelope.containerMetric.applicationId
        case TYPE.HttpStartStop if envelope.httpStartStop.HasField("applicationId"):
            low, high = envelope.httpStartStop.applicationId.low, envelope.httpStartStop.applicationId.high
            digits = (low.to_bytes(8, "little") + high.to_bytes(8, "little")).hex()
            app = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        case _:
            app = "system"
    return asked.app in ("", app)


envelopes = st.lists(
    v1_envelopes.map(lambda envelope: envelope.SerializeToString())
    | st.sampled_from([log(app) for app in APPS] + [container(app) for app in APPS] + [counter()])
    | st.sampled_from([http(UUID), http(None)]).map(lambda envelope: envelope.SerializePartialToString()),
    max_size=8,
)
filters = st.builds(Filter, st.sampled_from(APPS), st.sampled_from([Keep.LOGS, Keep.METRICS, Keep.ALL]))


@given(asked=st.lists(filters, max_size=5), batches=st.lists(envelopes, max_size=4))
def test_every_reader_gets_what_its_filter_lets_by_in_order_and_nothing_else(
    asked: list[Filter], batches: list[list[bytes]]
) -> None:
    router = make_router()
    readers = [router.subscribe(V1Request("", each)) for each in asked]

    for batch in batches:
        router.route(batch)

    sent = [envelope for batch in batches for envelope in batch]
    for each, reader in zip(asked, readers, strict=True):
        assert read(reader) == [one for one in sent if matches(each, v1.Envelope.FromString(one))]


@given(
    asked=st.lists(st.tuples(filters, st.sampled_from(["", "s", "t"])), max_size=5),
    leaving=st.sets(st.integers(0, 4)),
    batch=envelopes,
)
def test_the_books_balance_whoever_comes_and_leaves(
    asked: list[tuple[Filter, str]], leaving: set[int], batch: list[bytes]
) -> None:
    router = make_router(capacity=3)
    readers = [router.subscribe(V1Request(shard, each)) for each, shard in asked]

    router.route(batch)
    for number, reader in enumerate(readers):
        taken = reader.diode.take(10) if reader.diode else []
        reader.window.sent(taken)
        if number in leaving:
            reader.leave(reader.window.abandon())
        assert all(account.balance == 0 for account in router.accounts())
    router.route(batch)

    assert all(account.balance == 0 for account in router.accounts())
    assert router.places.taken == router.subscriptions
