"""What the reference makes of batches, and from what: v1, JSON, and batches of log lines."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import reference
from envelope.kinds import Keep
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Event, Gauge, GaugeValue, Log, Timer
from envelope.v2_to_v1 import CONTAINER_METRICS, to_v1
from tests.kernel_results import admitted, protobufs_json
from tests.strategies import UUID_TEXT, batch_of, batches, canonical, odd_batches, parsed

LOG = Envelope(source_id="a", log=Log(payload=b"x"))
COUNTER = Envelope(source_id="b", counter=Counter(name="n", delta=1))
METRIC = Envelope(source_id="a", gauge=Gauge(metrics={"heat": GaugeValue(unit="C", value=1)}))
CONTAINER = Envelope(source_id="a", gauge=Gauge(metrics=dict.fromkeys(CONTAINER_METRICS, GaugeValue(unit="b"))))
TIMER = Envelope(source_id=UUID_TEXT, tags={"request_id": UUID_TEXT}, timer=Timer(name="http"))
TIMER_OF_NO_APP = Envelope(source_id="router", tags={"request_id": UUID_TEXT}, timer=Timer(name="http"))
ERROR = Envelope(source_id="a", tags={"__v1_type": "Error"}, log=Log(payload=b"x"))
EVENT = Envelope(source_id="a", event=Event(title="t"))
BARE = Envelope(source_id="a")


# --- v1 ---------------------------------------------------------------------------------------------------------------


@given(batches())
def test_v1_messages_are_the_conversions_of_each_envelope(batch: bytes) -> None:
    expected = [result.SerializePartialToString() for envelope in parsed(batch) for result in to_v1(envelope)]

    assert in_any_order(reference.v1_messages(batch)) == in_any_order(expected)


def in_any_order(messages: list[bytes]) -> list[bytes]:
    """Make messages comparable: the order of tags is free, and that of a gauge's metrics."""
    return sorted(canonical(v1.Envelope.FromString(message)) for message in messages)


@given(batches())
def test_frames_hold_the_messages_and_count_the_rest(batch: bytes) -> None:
    frames, count, skipped = reference.v1_frames(batch, Keep.ALL)

    payloads, consumed = reference.ws_payloads(frames)

    assert consumed == len(frames)
    assert len(payloads) == count
    assert in_any_order(payloads) == in_any_order(reference.v1_messages(batch))
    assert skipped == sum(not to_v1(envelope) for envelope in parsed(batch))


@given(batches())
def test_logs_and_metrics_are_all(batch: bytes) -> None:
    logs, metrics, everything = (reference.v1_frames(batch, keep)[1] for keep in (Keep.LOGS, Keep.METRICS, Keep.ALL))

    assert logs + metrics == everything


@pytest.mark.parametrize("size", [0, 130, 70_000])
def test_a_frame_may_have_any_length(size: int) -> None:
    batch = batch_of(Envelope(source_id="s", log=Log(payload=bytes(size))))

    frames, count, _ = reference.v1_frames(batch, Keep.ALL)

    assert reference.ws_payloads(frames) == (reference.v1_messages(batch), len(frames))
    assert count == 1


@pytest.mark.parametrize(
    ("envelope", "keep"),
    [
        (LOG, Keep.LOGS | Keep.APP),
        (ERROR, Keep.METRICS),
        (COUNTER, Keep.METRICS),
        (METRIC, Keep.METRICS),
        (CONTAINER, Keep.METRICS | Keep.APP),
        (TIMER, Keep.METRICS | Keep.APP),
        (TIMER_OF_NO_APP, Keep.METRICS),
        (EVENT, Keep(0)),
        (BARE, Keep(0)),
    ],
)
def test_who_gets_what(envelope: Envelope, keep: Keep) -> None:
    batch = batch_of(envelope)

    for asked in (Keep.LOGS, Keep.METRICS, Keep.APP):
        _, count, skipped = reference.v1_frames(batch, asked)
        assert (count, skipped) == ((1, 0) if asked & keep else (0, 1))


def test_an_app_stream_carries_its_three_types_whatever_else_is_asked_for() -> None:
    batch = batch_of(LOG, ERROR, COUNTER, METRIC, CONTAINER, TIMER, TIMER_OF_NO_APP, EVENT, BARE)

    assert reference.v1_frames(batch, Keep.APP | Keep.ALL) == reference.v1_frames(batch, Keep.APP)
    assert reference.v1_frames(batch, Keep.APP)[1:] == (3, 6)


# --- JSON -------------------------------------------------------------------------------------------------------------


@given(odd_batches.map(admitted) | batches())
def test_json_is_what_protobuf_says(batch: bytes) -> None:
    assert orjson.loads(reference.json_batch(batch)) == protobufs_json(batch)


@given(batches())
def test_the_json_of_a_batch_is_that_of_its_envelopes(batch: bytes) -> None:
    assert reference.json_batch(batch) == b'{"batch":[' + b",".join(reference.json_envelopes(batch)) + b"]}"


# --- log_batch --------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(-(2**63), 2**63 - 6), st.booleans())
def test_log_batch_reads_back(lines: list[bytes], timestamp: int, err: bool) -> None:
    head = Envelope(source_id="s", instance_id="3", tags={"a": "b"})

    batch = reference.log_batch(lines, head.SerializeToString(), timestamp, err)

    assert list(EnvelopeBatch.FromString(batch).batch) == [
        Envelope(
            timestamp=timestamp + index,
            source_id="s",
            instance_id="3",
            tags={"a": "b"},
            log=Log(payload=line, type="ERR" if err else "OUT"),
        )
        for index, line in enumerate(lines)
    ]
