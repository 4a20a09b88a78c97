"""The router gives every subscription what it asked for, once, and nothing else (loggregator.md 2.2)."""

from functools import partial

import hypothesis.strategies as st
import pytest
from hypothesis import given

from envelope.crc64 import crc64
from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Envelope, Selector
from envelope.selectors import parse_request
from tests.unit.doppler.routing import (
    EVERYTHING,
    counter,
    counters,
    envelopes,
    gauge,
    gauges,
    log,
    logs,
    make_router,
    read,
    request,
    route,
    selectors,
    subscribe,
)


def test_who_asks_for_everything_gets_the_very_bytes_that_came_in() -> None:
    router = make_router()
    reader = subscribe(router, *EVERYTHING)

    batch = route(router, log(), counter("c"), gauge("g"))

    assert [parcel.batch for parcel in reader.diode.take(1 << 20)] == [batch]


def test_an_envelope_without_a_message_goes_to_nobody() -> None:
    router = make_router()
    reader = subscribe(router, *EVERYTHING)

    route(router, Envelope(source_id="app-1"), log())

    assert read(reader) == [log()]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (logs(), [log("app-1"), log("app-2")]),
        (logs("app-2"), [log("app-2")]),
        (counters(), [counter("requests"), counter("errors")]),
        (counters(name="errors"), [counter("errors")]),
        (counters("app-2", "errors"), []),
        (counters("app-1", "errors"), [counter("errors")]),
        (gauges(), [gauge("cpu"), gauge("cpu", "memory")]),
        (gauges("cpu"), [gauge("cpu")]),
        (gauges("memory", "cpu"), [gauge("cpu", "memory")]),
        (gauges("cpu", source="app-2"), []),
        (Selector(timer={}), [Envelope(source_id="app-1", timer={"name": "http"})]),
        (Selector(event={}), [Envelope(source_id="app-1", event={"title": "t"})]),
        (Selector(source_id="app-1"), []),
    ],
)
def test_a_selector_selects_by_source_kind_and_name(selector: Selector, expected: list[Envelope]) -> None:
    router = make_router()
    reader = subscribe(router, selector)

    route(
        router,
        log("app-1"),
        log("app-2"),
        counter("requests"),
        counter("errors"),
        gauge("cpu"),
        gauge("cpu", "memory"),
        Envelope(source_id="app-1", timer={"name": "http"}),
        Envelope(source_id="app-1", event={"title": "t"}),
    )

    assert read(reader) == expected


def test_no_selectors_open_a_stream_on_which_nothing_arrives() -> None:
    router = make_router()
    reader = subscribe(router)

    route(router, log())

    assert read(reader) == []


def test_an_envelope_that_matches_two_selectors_arrives_twice() -> None:
    router = make_router()
    reader = subscribe(router, logs(), logs("app-1"))

    route(router, log("app-1"), log("app-2"))

    assert sorted(envelope.source_id for envelope in read(reader)) == ["app-1", "app-1", "app-2"]


def test_the_legacy_selector_counts_where_there_is_no_other() -> None:
    router = make_router()
    message = EgressBatchRequest(legacy_selector=logs("app-1")).SerializeToString()
    reader = router.subscribe(parse_request(message))

    route(router, log("app-1"), log("app-2"))

    assert [envelope.source_id for envelope in read(reader)] == ["app-1"]


def test_readers_without_a_shard_all_get_everything() -> None:
    router = make_router()
    readers = [subscribe(router, logs()) for _ in range(2)]

    route(router, log())

    assert [read(reader) for reader in readers] == [[log()], [log()]]


def test_readers_of_one_shard_share_one_diode() -> None:
    router = make_router()
    one, other = (subscribe(router, logs(), shard="s") for _ in range(2))

    route(router, log())

    assert one.diode is other.diode
    assert read(one) + read(other) == [log()]


def test_requests_of_one_shard_share_only_what_both_ask_for() -> None:
    router = make_router()
    both = subscribe(router, logs(), counters(), shard="s")
    only_logs = subscribe(router, logs(), shard="s")

    for _ in range(200):
        route(router, log(), counter("c"))

    kinds = [envelope.WhichOneof("message") for envelope in read(both)]
    assert kinds.count("counter") == 200
    assert 50 < kinds.count("log") < 150
    assert kinds.count("log") + len(read(only_logs)) == 200


def test_readers_of_one_shard_share_in_whatever_form_each_wants_its_tags() -> None:
    router = make_router()
    asked = [request(*EVERYTHING, logs("app-1"), gauges("a"), shard="s", preferred=form) for form in (False, True)]
    readers = [router.subscribe(parse_request(each)) for each in asked]
    each_time = [log("app-1"), log("app-2"), gauge("a")]
    for envelope in each_time:
        envelope.tags["t"] = "x"

    for _ in range(100):
        route(router, *each_time)

    old, new = map(read, readers)
    assert len(old) + len(new) == 100 * 5
    assert min(len(old), len(new)) > 100
    assert all(envelope.deprecated_tags and not envelope.tags for envelope in old)
    assert all(envelope.tags and not envelope.deprecated_tags for envelope in new)


def test_deterministic_names_bind_each_counter_and_gauge_to_one_reader() -> None:
    router = make_router()
    readers = [subscribe(router, *EVERYTHING, shard="s", name=name) for name in ("b", "a")]
    by_name = sorted(readers, key=lambda reader: reader.deterministic_name)

    for _ in range(5):
        route(router, counter("requests"), gauge("cpu", "memory"))

    expected_counter = by_name[crc64(b"requests") % 2]
    expected_gauge = by_name[(crc64(b"cpu") + crc64(b"memory")) % 2**64 % 2]
    got = {id(reader): read(reader) for reader in readers}
    assert got[id(expected_counter)].count(counter("requests")) == 5
    assert got[id(expected_gauge)].count(gauge("cpu", "memory")) == 5
    assert sum(len(envelopes) for envelopes in got.values()) == 10


def test_tags_come_in_the_form_asked_for() -> None:
    router = make_router()
    old = router.subscribe(parse_request(request(logs(), preferred=False)))
    new = router.subscribe(parse_request(request(logs(), preferred=True)))

    route(router, Envelope(tags={"a": "1"}, deprecated_tags={"b": {"integer": 2}}, log={}))

    assert read(new) == [Envelope(tags={"a": "1", "b": "2"}, log={})]
    assert read(old) == [Envelope(deprecated_tags={"a": {"text": "1"}, "b": {"integer": 2}}, log={})]


def test_what_a_reader_did_not_deliver_goes_to_the_next_of_its_subscription() -> None:
    router = make_router()
    first = subscribe(router, logs(), shard="s")
    route(router, log(text=b"1"), log(text=b"2"))

    first.leave(first.diode.take(1 << 20))
    route(router, log(text=b"3"))

    second = subscribe(router, logs(), shard="s")
    assert [envelope.log.payload for envelope in read(second)] == [b"1", b"2", b"3"]


def matches(selector: Selector, envelope: Envelope) -> bool:
    """What 2.2 says, one selector against one envelope: the slow and plain oracle."""
    if selector.source_id not in ("", envelope.source_id):
        return False
    if selector.WhichOneof("message") != envelope.WhichOneof("message"):
        return False
    if selector.counter.name and selector.counter.name != envelope.counter.name:
        return False
    return not selector.gauge.names or set(selector.gauge.names) == set(envelope.gauge.metrics)


@given(wanted=selectors, batches=st.lists(envelopes, max_size=4))
def test_an_unsharded_reader_gets_one_copy_for_each_matching_selector(
    wanted: list[Selector], batches: list[list[Envelope]]
) -> None:
    router = make_router()
    reader = subscribe(router, *wanted)

    for batch in batches:
        route(router, *batch)

    sent = [envelope for batch in batches for envelope in batch]
    expected = [envelope for envelope in sent for selector in wanted if matches(selector, envelope)]
    by_bytes = partial(sorted, key=lambda envelope: envelope.SerializeToString(deterministic=True))
    assert by_bytes(read(reader)) == by_bytes(expected)


@given(others=st.lists(st.tuples(selectors, st.sampled_from(["", "t"])), max_size=4), wanted=selectors, batch=envelopes)
def test_readers_that_came_and_left_change_nothing_for_those_who_stay(
    others: list[tuple[list[Selector], str]], wanted: list[Selector], batch: list[Envelope]
) -> None:
    busy, quiet = make_router(linger_s=0), make_router()
    early = [subscribe(busy, *theirs, shard=shard) for theirs, shard in others]
    reader, alone = subscribe(busy, *wanted), subscribe(quiet, *wanted)
    late = [subscribe(busy, *theirs, shard=shard) for theirs, shard in others]
    for other in early + late:
        other.leave([])
    for _ in range(2):
        busy.expire(now=1)
    assert busy.subscriptions == 1

    route(busy, *batch)
    route(quiet, *batch)

    assert read(reader) == read(alone)


@pytest.mark.timeout(20)
def test_a_request_of_very_many_selectors_is_no_way_to_stop_a_doppler() -> None:
    router = make_router(capacity=100_000)
    selectors = [logs(f"app-{number}") for number in range(20_000)] + [logs()] * 20_000
    reader = subscribe(router, *selectors)

    route(router, log("app-7"))

    assert len(read(reader)) == 20_001


@given(requests=st.lists(st.tuples(selectors, st.sampled_from(["", "s", "t"])), max_size=4), batch=envelopes)
def test_the_books_of_every_subscription_balance_at_every_step(
    requests: list[tuple[list[Selector], str]], batch: list[Envelope]
) -> None:
    router = make_router(capacity=5)
    readers = [subscribe(router, *wanted, shard=shard) for wanted, shard in requests]

    for reader in readers:
        route(router, *batch)
        assert all(account.balance == 0 for account in router.accounts())
        taken = reader.diode.take(10) if reader.diode else []
        reader.window.sent(taken)
        assert all(account.balance == 0 for account in router.accounts())
        reader.leave(reader.window.abandon())
        assert all(account.balance == 0 for account in router.accounts())


def test_an_open_reader_may_ask_for_something_else() -> None:
    router = make_router()
    reader = subscribe(router, logs("app-1"))
    router.change(reader, parse_request(request(logs("app-2"), preferred=False)))

    route(router, log("app-1", b"1"), log("app-2", b"2"))

    assert [envelope.log.payload for envelope in read(reader)] == [b"2"]
    assert router.selected_sources == 1


def test_the_request_of_a_shared_subscription_cannot_change() -> None:
    router = make_router()
    reader = subscribe(router, logs(), shard="s")

    with pytest.raises(ValueError, match="shared"):
        router.change(reader, parse_request(request(counters())))
