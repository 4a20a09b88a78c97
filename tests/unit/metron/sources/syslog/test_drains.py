"""What a drain writes becomes again the envelope it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from metron.sources.counts import SyslogCounts
from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.framing import Framer
from metron.sources.syslog.mapping import SyslogParser
from tests.strategies import batch_of, canonical, parsed

HEAD = b"<14>1 2026-01-02T03:04:05.123456+00:00"
TIME_NS = 1_767_323_045_123_456_000


def received(stream: bytes) -> list[v2.Envelope]:
    framer, counts = Framer(1 << 20), SyslogCounts()
    batch = SyslogParser(SyslogReceiver(max_message_bytes=1 << 20), counts).of_messages(framer.feed(stream), 7)
    assert not framer.holds_some
    assert (batch.malformed, counts.plain, counts.params_left_out) == (0, 0, 0)
    return list(parsed(batch.batch))


def drained(*envelopes: v2.Envelope, hostname: bytes = b"", metadata: bool = True) -> bytes:
    stream, _, formatted, _, _ = kernel.syslog(batch_of(*envelopes), hostname, int(Kind.ALL), metadata, True)
    assert formatted == len(envelopes)
    return stream


def envelope(**fields: Any) -> v2.Envelope:
    return v2.Envelope(**{"timestamp": TIME_NS, "source_id": "app", "instance_id": "0", "log": {}, **fields})


def as_sent(sent: v2.Envelope) -> v2.Envelope:
    """What of an envelope is in the messages of a drain."""
    left = v2.Envelope.FromString(sent.SerializeToString())
    left.timestamp = sent.timestamp // 1000 * 1000
    if left.HasField("log"):
        payload = left.log.payload.replace(b"\0", b"").removesuffix(b"\n")
        left.log.CopyFrom(v2.Log(payload=payload, type=v2.Log.ERR if left.log.type == v2.Log.ERR else v2.Log.OUT))
    return left


def printable(least: int, most: int, without: str = "") -> st.SearchStrategy[str]:
    characters = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=without)
    return st.text(characters, min_size=least, max_size=most)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
SOURCE_TYPES = st.sampled_from(["APP/PROC/WEB", "rtr", "MY TASK", "", "a/b"]) | printable(0, 20)
TAGS = st.dictionaries(printable(0, 8, '="]'), TEXTS, max_size=4)
MESSAGES = (
    st.builds(
        lambda payload, kind: {"log": {"payload": payload, "type": kind}}, st.binary(max_size=30), st.integers(0, 3)
    )
    | st.builds(
        lambda name, delta, total: {"counter": {"name": name, "delta": delta, "total": total}},
        TEXTS,
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
    )
    | st.builds(
        lambda name, unit, value: {"gauge": {"metrics": {name: {"unit": unit, "value": value}}}},
        TEXTS,
        TEXTS,
        st.floats(allow_nan=False) | st.just(float("nan")),
    )
    | st.builds(
        lambda name, start, stop: {"timer": {"name": name, "start": start, "stop": stop}},
        TEXTS,
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
    )
    | st.builds(lambda title, body: {"event": {"title": title, "body": body}}, TEXTS, TEXTS)
)
ENVELOPES = st.builds(
    lambda timestamp, source_id, instance_id, tags, source_type, message: v2.Envelope(
        timestamp=timestamp,
        source_id=source_id,
        instance_id=instance_id,
        tags=tags if source_type is None else {**tags, "source_type": source_type},
        **message,
    ),
    st.integers(-(2**63) + 1000, 2**63 - 1),
    printable(1, 48).filter(lambda text: text != "-"),
    printable(0, 20, "/"),
    TAGS.filter(lambda tags: "source_type" not in tags),
    st.none() | SOURCE_TYPES,
    MESSAGES,
)


@given(st.lists(ENVELOPES, max_size=3))
def test_what_goes_through_a_drain_arrives_as_it_was(sent: list[v2.Envelope]) -> None:
    arrived = received(drained(*sent))

    assert list(map(canonical, arrived)) == [canonical(as_sent(each)) for each in sent]


@pytest.mark.parametrize(
    ("procid", "instance_id", "source_type"),
    [(b"[APP/PROC/WEB/0]", "0", "APP/PROC/WEB"), (b"[RTR/1]", "1", "RTR"), (b"[/2]", "2", None), (b"[7]", "7", None)],
)
def test_without_metadata_the_procid_tells_the_source_type(
    procid: bytes, instance_id: str, source_type: str | None
) -> None:
    (arrived,) = received(HEAD + b" org.space.web app " + procid + b" - - text\n")

    assert (arrived.source_id, arrived.instance_id, arrived.log.payload) == ("app", instance_id, b"text")
    expected = {"hostname": "org.space.web", "source_type": source_type}
    assert dict(arrived.tags) == {key: value for key, value in expected.items() if value}


def test_the_host_of_an_envelope_with_tags_adds_nothing() -> None:
    sent = envelope(tags={"organization_name": "o", "source_type": "APP"})

    assert received(drained(sent, hostname=b"h")) == [sent]


def test_a_gauge_of_several_metrics_arrives_as_several() -> None:
    sent = envelope(gauge={"metrics": {"a": {"value": 1}, "b": {"value": 2, "unit": "s"}}}, tags={"k": "v"})

    first, second = received(drained(sent))

    assert first == envelope(gauge={"metrics": {"a": {"value": 1}}}, tags={"k": "v"})
    assert second == envelope(gauge={"metrics": {"b": {"value": 2, "unit": "s"}}}, tags={"k": "v"})


@pytest.mark.parametrize(
    "structured",
    [
        b'[gauge@47450 name="cpu" value="much" unit=""]',
        b'[gauge@47450 name="cpu"]',
        b'[counter@47450 name="c" total="18446744073709551616" delta="0"]',
        b'[timer@47450 name="c" start="x" stop="0"]',
        b'[event@47450 title="x"]',
        b'[tags@47450 a="b"][gauge@47450 name="cpu" value="1" unit=""]',
        b'[tags@47450 a="b"][meta sequenceId="1"]',
        b'[span@47450 a="b"]',
    ],
)
def test_what_no_drain_writes_is_a_log_like_any_other(structured: bytes) -> None:
    (arrived,) = received(HEAD + b" host app [0] - " + structured + b" text\n")

    assert (arrived.instance_id, arrived.log.payload) == ("[0]", b"text")
    assert (arrived.tags["hostname"], arrived.tags["facility"], arrived.tags["severity"]) == ("host", "user", "info")
