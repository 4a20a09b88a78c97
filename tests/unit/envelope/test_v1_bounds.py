import time
from itertools import accumulate
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel, reference
from envelope.framing import envelopes
from envelope.kinds import Keep
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_bounds import V1_BYTES, most_v1_bytes
from tests.kernel_results import admitted, one_by_one, same_frames, same_v1
from tests.strategies import batch_of, batches, odd_batches

LARGEST_DOUBLE = 1.7976931348623157e308
LEGAL_BYTES = 10 << 20

clean_batches = batches() | odd_batches.map(admitted)
both_kernels = pytest.mark.parametrize("either", [kernel, reference], ids=["kernel", "reference"])


def log(**fields: Any) -> v2.Envelope:
    return v2.Envelope(source_id="app", log=v2.Log(payload=b"hello"), **fields)


def gauge(metrics: int, size: int, **fields: Any) -> v2.Envelope:
    """Make a gauge of so many metrics, with names of about `size` bytes."""
    names = (f"{number:0{size}}" for number in range(metrics))
    return v2.Envelope(gauge=v2.Gauge(metrics=dict.fromkeys(names, v2.GaugeValue(value=1))), **fields)


def most_of(one: bytes) -> int:
    """Bound what the one envelope of a batch becomes."""
    (serialized,) = envelopes(one)
    return most_v1_bytes(v2.Envelope.FromString(serialized), serialized)


@both_kernels
@given(batch=clean_batches)
def test_nothing_becomes_more_than_its_bound(either: ModuleType, batch: bytes) -> None:
    for one in one_by_one(batch):
        assert len(either.v1_frames(one, Keep.ALL)[0]) <= most_of(one)


@both_kernels
@pytest.mark.parametrize(
    "envelope",
    [
        log(tags={str(number): "" for number in range(1000)}),
        log(tags={"": ""}, instance_id="x" * 70_000),
        log(deprecated_tags={str(number): v2.Value(decimal=-LARGEST_DOUBLE) for number in range(100)}),
        log(deprecated_tags={str(number): v2.Value(integer=-(2**63)) for number in range(100)}),
        gauge(100, 1, deprecated_tags={"": v2.Value(decimal=-LARGEST_DOUBLE)}),
        v2.Envelope(log=v2.Log()),
        v2.Envelope(source_id="x" * 2**21, log=v2.Log()),
        v2.Envelope(timer=v2.Timer(), tags={"request_id": 36 * "0", "forwarded": "\n" * 2**15}),
        gauge(60, 1, source_id="s", instance_id="i", timestamp=-1),
    ],
)
def test_what_grows_most_stays_within_its_bound(envelope: v2.Envelope, either: ModuleType) -> None:
    one = batch_of(envelope)

    assert len(either.v1_frames(one, Keep.ALL)[0]) <= most_v1_bytes(envelope, envelope.SerializeToString())


@given(batch=clean_batches, keep=st.integers(0, 7), data=st.data())
def test_both_kernels_stop_at_the_same_envelope(batch: bytes, keep: int, data: st.DataObject) -> None:
    reached = list(accumulate(map(most_of, one_by_one(batch)), initial=0))
    limit = data.draw(st.sampled_from(reached)) - data.draw(st.integers(0, 1))

    theirs = reference.v1_frames(batch, keep, limit)

    assert same_frames(kernel.v1_frames(batch, keep, limit)) == same_frames(theirs)
    assert same_v1(kernel.v1_messages(batch, limit)) == same_v1(reference.v1_messages(batch, limit))
    assert len(theirs[0]) <= max(limit, 0)


@both_kernels
@pytest.mark.parametrize(
    "envelope", [log(), gauge(3, 10), gauge(100, 10), log(deprecated_tags={"n": v2.Value(integer=1)})]
)
def test_what_exactly_fits_is_made(envelope: v2.Envelope, either: ModuleType) -> None:
    one, most = batch_of(envelope), most_v1_bytes(envelope, envelope.SerializeToString())

    assert either.v1_frames(one, Keep.ALL, most) == either.v1_frames(one, Keep.ALL)
    assert either.v1_frames(one, Keep.ALL, most - 1) == (b"", 0, 1)
    assert either.v1_messages(one, most) == either.v1_messages(one)
    assert either.v1_messages(one, most - 1) == []


@both_kernels
def test_what_does_not_fit_leaves_room_for_what_does(either: ModuleType) -> None:
    batch = batch_of(log(), gauge(30, 10, tags={"colour": "green"}), log())

    assert either.v1_frames(batch, Keep.ALL, 1000)[1:] == (2, 1)


@both_kernels
def test_what_nobody_asked_for_takes_no_room(either: ModuleType) -> None:
    logs, everything = batch_of(*[log()] * 3), batch_of(gauge(3, 10), log(), gauge(3, 10), *[log()] * 2)
    most = 3 * most_of(batch_of(log()))

    assert either.v1_frames(everything, Keep.LOGS, most)[0] == either.v1_frames(logs, Keep.LOGS)[0]


@both_kernels
@pytest.mark.parametrize(
    ("metrics", "fields"),
    [
        (150_000, {"tags": {"colour": "x" * (6 << 20)}}),
        (60, {"tags": {"colour": "x" * 100_000}}),
        (60, {"tags": {str(number): "x" * 2000 for number in range(50)}}),
        (500, {"tags": {"colour": "x" * 10_000}}),
        (50, {"deprecated_tags": {str(number): v2.Value(decimal=LARGEST_DOUBLE) for number in range(100)}}),
    ],
    ids=["one gauge", "one large tag", "many tags", "many metrics", "long numbers"],
)
def test_a_hostile_message_is_bounded_in_bytes_and_in_time(
    metrics: int, fields: dict[str, Any], either: ModuleType
) -> None:
    some = batch_of(gauge(metrics, 10, **fields))
    batch = batch_of(log()) + some * (LEGAL_BYTES // len(some))
    started = time.process_time()

    frames, count, skipped = either.v1_frames(batch, Keep.ALL)

    assert len(batch) > LEGAL_BYTES * 0.9
    assert len(frames) <= V1_BYTES
    assert count > 0
    assert skipped > 0
    assert time.process_time() - started < 30
