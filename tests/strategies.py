"""Hypothesis strategies: envelopes, batches, and the oddities the wire allows.

`envelopes` and `v1_envelopes` give messages such as clients send, rich in the tags, names and numbers that conversion
looks at. `odd_envelopes` and `odd_batches` give bytes: legal and nearly legal encodings that no client writes.
"""

import struct
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from envelope.framing import frame, varint
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2

UINT64 = 0xFFFFFFFFFFFFFFFF
UUID_TEXT = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
CONTAINER_METRICS = ("cpu", "memory", "disk", "memory_quota", "disk_quota")

# What the conversions between v1 and v2 treat in a way of its own.
TELLING_TAGS = (
    *("__v1_type", "origin", "deployment", "job", "index", "ip", "source_id", "instance_id", "source_type"),
    *("source", "code", "request_id", "peer_type", "method", "uri", "remote_address", "user_agent", "status_code"),
    *("content_length", "routing_instance_id", "forwarded"),
)
TELLING_TEXTS = (
    *("Error", "LogMessage", "Client", "Server", "GET", "VERSION_CONTROL", "GONE", UUID_TEXT, UUID_TEXT.upper()),
    *(UUID_TEXT.replace("-", "_"), UUID_TEXT[:-1] + "g", "a\nb", "\n", "", "0", "-1", "+7", "007", " 1", "1_0", "٣"),
    *("2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "1e3"),
)

texts = st.text(st.characters(codec="utf-8"), max_size=6)
telling_texts = st.sampled_from(TELLING_TEXTS) | texts
int64s = st.sampled_from((0, 1, -1, 2**63 - 1, -(2**63))) | st.integers(-(2**63), 2**63 - 1)
int32s = st.sampled_from((0, 1, -1, 2**31 - 1, -(2**31))) | st.integers(-(2**31), 2**31 - 1)
uint64s = st.sampled_from((0, 1, 2**63, UINT64)) | st.integers(0, UINT64)
doubles = st.sampled_from((0.0, -0.0, 0.5, 1e6, 1e21, 2.0**63, 2.0**64, -1.5, float("nan"), float("inf"))) | st.floats()

# --- v2, as clients send it -------------------------------------------------------------------------------------------

tag_maps = st.dictionaries(st.sampled_from(TELLING_TAGS) | texts, telling_texts, max_size=6)
values = (
    st.builds(v2.Value, text=telling_texts)
    | st.builds(v2.Value, integer=int64s)
    | st.builds(v2.Value, decimal=doubles)
    | st.just(v2.Value())
)
_no_tags: dict[str, v2.Value] = {}
deprecated_tag_maps = st.just(_no_tags) | st.dictionaries(st.sampled_from(TELLING_TAGS) | texts, values, max_size=4)

gauge_values = st.builds(v2.GaugeValue, unit=texts, value=doubles)
_metric_names = st.sampled_from((*CONTAINER_METRICS, "instance_index")) | texts
_metrics = st.dictionaries(_metric_names, gauge_values, max_size=7)
_container_metrics = st.builds(
    lambda container, others: {**others, **container},
    st.fixed_dictionaries(dict.fromkeys(CONTAINER_METRICS, gauge_values)),
    _metrics,
)

logs = st.builds(v2.Log, payload=st.binary(max_size=20), type=st.integers(0, 3))
counters = st.builds(v2.Counter, name=texts, delta=uint64s, total=uint64s)
gauges = st.builds(v2.Gauge, metrics=_metrics | _container_metrics)
timers = st.builds(v2.Timer, name=texts, start=int64s, stop=int64s)
events = st.builds(v2.Event, title=texts, body=texts)

_http_tag_maps = st.builds(
    lambda tags, request_id: {**tags, "request_id": request_id}, tag_maps, st.uuids().map(str) | telling_texts
)
_common = {"timestamp": int64s, "source_id": telling_texts, "instance_id": telling_texts}


def _of_kind(**message: SearchStrategy[object]) -> SearchStrategy[v2.Envelope]:
    return st.builds(v2.Envelope, **_common, tags=tag_maps, deprecated_tags=deprecated_tag_maps, **message)


log_envelopes = _of_kind(log=logs)
counter_envelopes = _of_kind(counter=counters)
gauge_envelopes = _of_kind(gauge=gauges)
timer_envelopes = _of_kind(timer=timers) | st.builds(v2.Envelope, **_common, tags=_http_tag_maps, timer=timers)
event_envelopes = _of_kind(event=events)
bare_envelopes = _of_kind()
envelopes = log_envelopes | counter_envelopes | gauge_envelopes | timer_envelopes | event_envelopes | bare_envelopes


def batch_of(*members: v2.Envelope) -> bytes:
    """Serialise envelopes as a batch."""
    return v2.EnvelopeBatch(batch=members).SerializeToString()


def batches(
    members: SearchStrategy[v2.Envelope] = envelopes, *, min_size: int = 0, max_size: int = 8
) -> SearchStrategy[bytes]:
    """Give serialised batches of such envelopes."""
    return st.lists(members, min_size=min_size, max_size=max_size).map(lambda several: batch_of(*several))


# --- v1, as clients send it -------------------------------------------------------------------------------------------

uuids = st.builds(v1.UUID, low=uint64s, high=uint64s)
_maybe_text = st.none() | telling_texts
_v1_common = {
    **dict.fromkeys(("deployment", "job", "index", "ip"), _maybe_text),
    "origin": texts,
    "timestamp": st.none() | int64s,
    "tags": tag_maps,
}
_log_messages = st.builds(
    v1.LogMessage,
    message=st.binary(max_size=20),
    message_type=st.sampled_from(v1.LogMessage.MessageType.values()),
    timestamp=int64s,
    app_id=_maybe_text,
    source_type=_maybe_text,
    source_instance=_maybe_text,
)
_http_start_stops = st.builds(
    v1.HttpStartStop,
    startTimestamp=int64s,
    stopTimestamp=int64s,
    requestId=uuids,
    peerType=st.sampled_from(v1.PeerType.values()),
    method=st.sampled_from(v1.Method.values()),
    uri=texts,
    remoteAddress=texts,
    userAgent=texts,
    statusCode=int32s,
    contentLength=int64s,
    applicationId=st.none() | uuids,
    instanceIndex=st.none() | int32s,
    instanceId=_maybe_text,
    forwarded=st.lists(texts, max_size=3),
)
_value_metrics = st.builds(v1.ValueMetric, name=texts, value=doubles, unit=texts)
_counter_events = st.builds(v1.CounterEvent, name=texts, delta=uint64s, total=st.none() | uint64s)
_container_metric_messages = st.builds(
    v1.ContainerMetric,
    applicationId=telling_texts,
    instanceIndex=int32s,
    cpuPercentage=doubles,
    memoryBytes=uint64s,
    diskBytes=uint64s,
    memoryBytesQuota=st.none() | uint64s,
    diskBytesQuota=st.none() | uint64s,
)
_errors = st.builds(v1.Error, source=telling_texts, code=int32s, message=texts)


def _of_type(name: str, **message: SearchStrategy[object]) -> SearchStrategy[v1.Envelope]:
    return st.builds(v1.Envelope, eventType=st.just(v1.Envelope.EventType.Value(name)), **_v1_common, **message)


v1_envelopes = (
    _of_type("LogMessage", logMessage=_log_messages)
    | _of_type("HttpStartStop", httpStartStop=_http_start_stops)
    | _of_type("ValueMetric", valueMetric=_value_metrics)
    | _of_type("CounterEvent", counterEvent=_counter_events)
    | _of_type("ContainerMetric", containerMetric=_container_metric_messages)
    | _of_type("Error", error=_errors)
)

# --- the wire, as no client writes it ---------------------------------------------------------------------------------


def _padded(value: int, padding: int, at_most: int = 10) -> bytes:
    """Encode a varint longer than need be, as far as is legal."""
    encoded = bytearray(varint(value))
    for _ in range(min(padding, at_most - len(encoded))):
        encoded[-1] |= 0x80
        encoded.append(0)
    return bytes(encoded)


_paddings = st.sampled_from((0, 0, 0, 0, 0, 0, 1, 2, 4))


def _varints(numbers: SearchStrategy[int]) -> SearchStrategy[bytes]:
    return st.builds(_padded, numbers, _paddings)


def _tags(number: int | SearchStrategy[int], wire_type: int) -> SearchStrategy[bytes]:
    numbers = st.just(number) if isinstance(number, int) else number
    return st.builds(lambda n, padding: _padded(n << 3 | wire_type, padding, at_most=5), numbers, _paddings)


def _varint_field(number: int | SearchStrategy[int], numbers: SearchStrategy[int] = uint64s) -> SearchStrategy[bytes]:
    return st.builds(bytes.__add__, _tags(number, 0), _varints(numbers))


def _double_field(number: int | SearchStrategy[int]) -> SearchStrategy[bytes]:
    return st.builds(bytes.__add__, _tags(number, 1), doubles.map(lambda value: struct.pack("<d", value)))


def _float_field(number: int | SearchStrategy[int]) -> SearchStrategy[bytes]:
    return st.builds(bytes.__add__, _tags(number, 5), st.binary(min_size=4, max_size=4))


def _bytes_field(number: int | SearchStrategy[int], bodies: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return st.builds(
        lambda tag, body, padding: tag + _padded(len(body), padding, at_most=5) + body,
        _tags(number, 2),
        bodies,
        _paddings,
    )


_any_number = st.integers(0, 20) | st.sampled_from((2**28, 2**29 - 1))
_plain_unknown_fields = (
    _varint_field(_any_number)
    | _double_field(_any_number)
    | _float_field(_any_number)
    | _bytes_field(_any_number, st.binary(max_size=6))
)


def _group(number: int, inside: list[bytes]) -> bytes:
    return varint(number << 3 | 3) + b"".join(inside) + varint(number << 3 | 4)


unknown_fields = st.recursive(
    _plain_unknown_fields, lambda inner: st.builds(_group, _any_number, st.lists(inner, max_size=2)), max_leaves=4
)
"""Well-formed fields of any number and wire type: unknown ones, known ones of the wrong type, groups, nested ones."""

broken_fields = st.sampled_from(
    (
        *(b"\x08", b"\x0a\x05ab", b"\x0b", b"\x0b\x14", b"\x0c", b"\x0e", b"\x0f", b"\x80", b"\x09\x00", b"\x0d\x00"),
        *(b"\x0a\xff\xff\xff\xff\x0f", b"\x08" + b"\xff" * 10 + b"\x01", b"\x88\x80\x80\x80\x80\x00\x00"),
        *(b"\x8a\x80\x80\x80\x10\x00", b"\x0a\x80\x80\x80\x80\x80\x00", b"\x0b" * 101 + b"\x0c" * 101),
    )
)
"""Truncated, overlong and unbalanced fields, which no message may hold."""


def odd_messages(
    *known: SearchStrategy[bytes], rarely: SearchStrategy[bytes] = broken_fields, max_size: int = 6
) -> SearchStrategy[bytes]:
    """Give messages whose fields come in any order and number: known, now and then unknown, `rarely` broken."""
    member = st.one_of(*known, *known, *known, unknown_fields)
    fields = st.lists(member, max_size=max_size).map(b"".join)
    return st.builds(bytes.__add__, fields, st.one_of(*[st.just(b"")] * 15, rarely))


def _members(*known: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return odd_messages(*known, rarely=st.just(b""), max_size=4)


_odd_texts = st.one_of(
    *[telling_texts.map(str.encode)] * 8, st.sampled_from((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"))
)
_odd_keys = st.one_of(*[st.sampled_from(TELLING_TAGS).map(str.encode)] * 4, _odd_texts)
_odd_values = _members(_bytes_field(1, _odd_texts), _varint_field(2), _double_field(3))
_odd_gauge_values = _members(_bytes_field(1, _odd_texts), _double_field(2))
_odd_metric_names = _metric_names.map(str.encode)

odd_envelopes = odd_messages(
    _varint_field(1),
    _bytes_field(2, _odd_texts),
    _bytes_field(8, _odd_texts),
    _bytes_field(3, _members(_bytes_field(1, _odd_keys), _bytes_field(2, _odd_values))),
    _bytes_field(9, _members(_bytes_field(1, _odd_keys), _bytes_field(2, _odd_texts))),
    _bytes_field(4, _members(_bytes_field(1, st.binary(max_size=6)), _varint_field(2, st.integers(0, 3) | uint64s))),
    _bytes_field(5, _members(_bytes_field(1, _odd_texts), _varint_field(2), _varint_field(3))),
    _bytes_field(
        6, _members(_bytes_field(1, _members(_bytes_field(1, _odd_metric_names), _bytes_field(2, _odd_gauge_values))))
    ),
    _bytes_field(7, _members(_bytes_field(1, _odd_texts), _varint_field(2), _varint_field(3))),
    _bytes_field(10, _members(_bytes_field(1, _odd_texts), _bytes_field(2, _odd_texts))),
)
"""Bytes that are, nearly are or are not a v2 envelope: repeated scalars, several messages, map keys twice, long
varints, groups, wrong wire types, text that is not UTF-8."""

odd_batches = odd_messages(
    _bytes_field(1, odd_envelopes), _bytes_field(1, envelopes.map(v2.Envelope.SerializeToString))
)
"""Bytes that are, nearly are or are not a batch, of odd envelopes and good ones."""


def parsed(batch: bytes) -> Sequence[v2.Envelope]:
    """Return the envelopes of a batch, as protobuf reads them."""
    return v2.EnvelopeBatch.FromString(batch).batch


def canonical(message: v2.Envelope | v1.Envelope) -> bytes:
    """Return bytes by which two messages compare, whatever the order of their maps; a NaN is then equal to itself."""
    return message.SerializePartialToString(deterministic=True)


def framed(*bodies: bytes) -> bytes:
    """Make a batch of serialised envelopes, good or not."""
    return b"".join(map(frame, bodies))
