"""A datagram of dropsonde becomes one v2 envelope as the original makes it, or is refused and says why."""

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from envelope.framing import varint
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_to_v2 import to_v2
from metron.sources.counts import DoorCounts
from metron.sources.dropsonde import DropsondeParser
from metron.sources.udp import Parsed
from tests.strategies import canonical, odd_messages, parsed, v1_envelopes

NOW = 1_700_000_000_000_000_000
AGENT = {"deployment": "cf", "job": "cell", "index": "7", "ip": "10.0.0.1", "colour": "red"}
HTTP = {
    "startTimestamp": 1,
    "stopTimestamp": 2,
    "requestId": {"low": 1, "high": 2},
    "uri": "/",
    "remoteAddress": "",
    "userAgent": "",
    "statusCode": 200,
    "contentLength": 3,
}


def parser(max_counters: int = 100) -> DropsondeParser:
    return DropsondeParser(AGENT, max_counters, DoorCounts())


def parse(datagram: bytes) -> Parsed:
    return parser()(datagram, NOW)


def taken(envelope: v1.Envelope, by: DropsondeParser | None = None) -> v2.Envelope:
    result = (by or parser())(envelope.SerializePartialToString(), NOW)
    assert (result.envelopes, result.malformed) == (1, 0)
    return parsed(result.batch)[0]


def log(**fields: object) -> v1.Envelope:
    message = v1.LogMessage(message=b"x", message_type="ERR", timestamp=5)
    return v1.Envelope(**{"origin": "rep", "eventType": "LogMessage", "logMessage": message, **fields})


def counter(delta: int, total: int | None = None, **fields: object) -> v1.Envelope:
    event = v1.CounterEvent(name="requests", delta=delta, total=total)
    return v1.Envelope(**{"origin": "router", "eventType": "CounterEvent", "counterEvent": event, **fields})


def http_with_enums(peer_type: int, method: int) -> bytes:
    """An HttpStartStop as Go writes it, whose enums hold any number."""
    inner = v1.HttpStartStop(**HTTP).SerializePartialToString()
    inner += b"\x20" + varint(peer_type) + b"\x28" + varint(method)
    return v1.Envelope(origin="gorouter", eventType="HttpStartStop").SerializeToString() + (
        b"\x3a" + varint(len(inner)) + inner
    )


@given(envelope=v1_envelopes)
def test_every_valid_envelope_is_taken_once(envelope: v1.Envelope) -> None:
    result = parse(envelope.SerializeToString())

    assert (result.envelopes, result.malformed, result.fault) == (1, 0, "")
    assert len(parsed(result.batch)) == 1


@given(envelope=v1_envelopes)
def test_a_complete_envelope_is_what_the_conversion_makes_of_it(envelope: v1.Envelope) -> None:
    for name in ("deployment", "job", "index", "ip"):
        setattr(envelope, name, "own")
    envelope.tags["source_id"] = "source"
    if envelope.eventType == v1.Envelope.CounterEvent:
        envelope.counterEvent.total = 9

    assert canonical(taken(envelope)) == canonical(to_v2(envelope))


def test_without_a_source_id_it_is_named_after_its_origin() -> None:
    assert taken(log()).source_id == "rep"
    assert taken(log(tags={"source_id": ""})).source_id == "rep"
    assert taken(log(tags={"source_id": "app"})).source_id == "app"


def test_the_agent_says_where_it_comes_from_unless_the_envelope_does() -> None:
    tags = taken(log(job="own", ip="")).tags

    assert {name: tags[name] for name in ("deployment", "job", "index", "ip")} == {
        "deployment": "cf",
        "job": "own",
        "index": "7",
        "ip": "",  # set, though empty: what is there stays
    }
    assert "colour" not in tags  # the agent's other tags come later, to every envelope alike


def test_a_counter_gets_a_running_total_of_its_own() -> None:
    parse = parser()

    totals = [taken(counter(delta), parse).counter.total for delta in (2, 3)]
    other = [
        taken(counter(10, origin="other"), parse).counter.total,
        taken(counter(20, tags={"route": "a"}), parse).counter.total,
        taken(counter(30, tags={"instance_id": "1"}), parse).counter.total,
        taken(counter(40, tags={"instance_id": "2"}), parse).counter.total,
    ]

    assert totals == [2, 5]
    assert other == [10, 20, 30, 40]


def test_a_total_that_is_sent_replaces_what_was_remembered() -> None:
    parse = parser()

    totals = [taken(each, parse).counter.total for each in (counter(1), counter(1, 50), counter(1), counter(0))]

    assert totals == [1, 50, 51, 51]


def test_a_total_wraps_around_as_64_bits_do() -> None:
    parse = parser()
    taken(counter(2**64 - 1), parse)

    assert taken(counter(3), parse).counter.total == 2


def test_a_counter_that_was_forgotten_begins_anew() -> None:
    counts = DoorCounts()
    parse = DropsondeParser({}, 1, counts)

    totals = [taken(counter(1, origin=origin), parse).counter.total for origin in ("a", "a", "b", "a")]

    assert totals == [1, 2, 1, 1]
    assert counts.names_forgotten == 2


@pytest.mark.parametrize(("number", "name"), [(0, "0"), (1, "GET"), (99, "99"), (2**64 - 1, "-1")])
def test_a_method_that_the_enum_does_not_know_is_taken(number: int, name: str) -> None:
    result = parse(http_with_enums(2, number))

    assert result.envelopes == 1
    assert parsed(result.batch)[0].tags["method"] == name


def test_a_peer_type_of_zero_is_taken() -> None:
    result = parse(http_with_enums(0, 1))

    assert result.envelopes == 1
    assert parsed(result.batch)[0].tags["peer_type"] == "0"


def test_a_log_type_that_the_enum_does_not_know_is_out() -> None:
    body = v1.Envelope(origin="rep", eventType="LogMessage").SerializeToString()

    result = parse(body + b"\x42\x07\x0a\x01x\x10\x07\x18\x01")

    assert parsed(result.batch)[0].log == v2.Log(payload=b"x", type="OUT")


@pytest.mark.parametrize(
    ("datagram", "fault"),
    [
        (b"", "no event type that v1 knows"),
        (b"\xff\xff", "no protobuf message"),
        (b"\x0a\x01a\x10\x03", "no event type that v1 knows"),
        (b"\x0a\x01a\x10\x0a", "no event type that v1 knows"),
        (b"\x0a\x01a\x10\x05", "no logMessage"),
        (log(eventType="Error").SerializeToString(), "no error"),
        (log(origin=None).SerializePartialToString(), "no origin"),
        (log(logMessage=v1.LogMessage(message=b"")).SerializePartialToString(), "no logMessage.message_type"),
        (
            v1.Envelope(
                origin="a", eventType="HttpStartStop", httpStartStop=v1.HttpStartStop(**HTTP)
            ).SerializePartialToString(),
            "no httpStartStop.peerType",
        ),
        (log(error=v1.Error(source="s", code=1)).SerializePartialToString(), "no error.message"),
    ],
)
def test_what_is_invalid_is_refused_and_says_why(datagram: bytes, fault: str) -> None:
    assert parse(datagram) == Parsed(b"", 0, 1, fault)


def test_text_that_is_not_utf8_gets_replacement_characters() -> None:
    result = parse(b"\x0a\x02o\xff\x10\x05\x42\x07\x0a\x01x\x10\x01\x18\x01\x8a\x01\x05\x0a\x01k\x12\x00")

    assert parsed(result.batch)[0].source_id == "o\ufffd"


def fill(message: Message) -> None:
    """Give every field of a message a value, every text `zz`."""
    for field in message.DESCRIPTOR.fields:
        value: object = {field.TYPE_STRING: "zz", field.TYPE_BYTES: b"x"}.get(field.type, 1)
        if field.message_type and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update({"zz": "zz", "other": "zz"})
        elif field.message_type:
            fill(getattr(message, field.name))
        elif field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, field.enum_type.values[0].number if field.enum_type else value)


@pytest.mark.parametrize("event_type", v1.Envelope.EventType.values())
def test_an_envelope_none_of_whose_texts_is_utf8_is_taken(event_type: int) -> None:
    envelope = v1.Envelope()
    fill(envelope)
    envelope.eventType = event_type

    result = parse(envelope.SerializeToString().replace(b"zz", b"z\xff"))

    assert result.envelopes == 1
    assert parsed(result.batch)[0].tags["origin"] == "z\ufffd"


def test_tags_that_are_not_utf8_do_no_harm() -> None:
    start = b"\x0a\x01o\x10\x07\x52\x05\x0a\x01c\x10\x02"
    for tag in (b"\x0a\x01\xff\x12\x01a", b"\x0a\x01a\x12\x01\xff", b"\x0a\x09source_id\x12\x01\xff"):
        result = parse(start + b"\x8a\x01" + varint(len(tag)) + tag)

        assert result.envelopes == 1
        assert parsed(result.batch)[0].counter.total == 2


@given(datagram=st.binary(max_size=200) | odd_messages(st.binary(max_size=40)))
def test_random_bytes_are_taken_or_counted_and_never_raise(datagram: bytes) -> None:
    result = parse(datagram)

    assert result.envelopes + result.malformed == 1
    assert len(parsed(result.batch)) == result.envelopes


@given(envelope=v1_envelopes, at=st.floats(0, 1), noise=st.binary(max_size=4))
def test_broken_envelopes_are_taken_or_counted_and_never_raise(envelope: v1.Envelope, at: float, noise: bytes) -> None:
    whole = envelope.SerializeToString()
    cut = int(at * len(whole))

    for datagram in (whole[:cut], whole[:cut] + noise + whole[cut + len(noise) :]):
        result = parse(datagram)

        assert result.envelopes + result.malformed == 1
        assert len(parsed(result.batch)) == result.envelopes
