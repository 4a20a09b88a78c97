from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import assume, given
from hypothesis import strategies as st

from envelope import reference
from envelope.errors import DecodeError
from envelope.kinds import Keep, Kind
from envelope.pb.loggregator_v2_pb2 import (
    Counter,
    Envelope,
    Event,
    Log,
    SendResponse,
    Value,
)
from tests.strategies import (
    batch_of,
    batches,
    broken_fields,
    canonical,
    envelopes,
    framed,
    odd_batches,
    odd_envelopes,
    parsed,
    unknown_fields,
)

KINDS = {
    "log": Kind.LOG,
    "counter": Kind.COUNTER,
    "gauge": Kind.GAUGE,
    "timer": Kind.TIMER,
    "event": Kind.EVENT,
    None: Kind.BARE,
}
DEFAULTS = Envelope(tags={"job": "j", "origin": "agent"}).SerializeToString()

LOG = Envelope(source_id="a", log=Log(payload=b"x"))
COUNTER = Envelope(source_id="b", counter=Counter(name="n", delta=1))
EVENT = Envelope(source_id="a", event=Event(title="t"))


def kind_of(envelope: Envelope) -> Kind:
    return KINDS[envelope.WhichOneof("message")]


def kinds_of(several: list[Envelope]) -> int:
    kinds = 0
    for envelope in several:
        kinds |= kind_of(envelope)
    return kinds


def protobuf_takes(envelope: bytes) -> bool:
    try:
        Envelope.FromString(envelope)
    except ProtobufDecodeError:
        return False
    return True


def admitted(batch: bytes) -> bytes:
    """Return what of a batch is let through; nothing when it is refused."""
    try:
        return reference.admit(batch)[0]
    except DecodeError:
        return b""


# --- admit ------------------------------------------------------------------------------------------------------------


@given(st.lists(envelopes, max_size=6))
def test_a_good_batch_is_let_through_as_the_same_object(several: list[Envelope]) -> None:
    batch = batch_of(*several)

    clean, count, kinds, malformed = reference.admit(batch)

    assert clean is batch
    assert (count, kinds, malformed) == (len(several), kinds_of(several), 0)


@given(st.lists(odd_envelopes, max_size=5))
def test_admits_the_envelopes_that_protobuf_takes(bodies: list[bytes]) -> None:
    good = [body for body in bodies if protobuf_takes(body)]

    clean, count, kinds, malformed = reference.admit(framed(*bodies))

    assert clean == framed(*good)
    assert (count, malformed) == (len(good), len(bodies) - len(good))
    assert kinds == kinds_of([Envelope.FromString(body) for body in good])


@given(odd_batches | st.binary(max_size=20))
def test_refuses_a_batch_that_protobuf_cannot_take_apart(batch: bytes) -> None:
    try:
        SendResponse.FromString(batch)  # has no fields: all it looks at is where they begin and end
    except ProtobufDecodeError:
        with pytest.raises(DecodeError, match=r"^malformed field at byte \d+: "):
            reference.admit(batch)
    else:
        reference.admit(batch)


@given(odd_batches)
def test_what_was_admitted_is_admitted_as_it_is(batch: bytes) -> None:
    clean = admitted(batch)

    again, _, _, malformed = reference.admit(clean)

    assert again is clean
    assert malformed == 0


@given(batches(), unknown_fields, batches())
def test_what_is_no_envelope_is_cut_out_silently(before: bytes, other: bytes, after: bytes) -> None:
    assume(reference.admit(other)[1:] == (0, 0, 0))

    assert reference.admit(before + other + after)[0] == before + after
    assert reference.admit(before + other + after)[3] == 0


@given(batches(), broken_fields)
def test_a_broken_batch_is_refused_where_it_breaks(before: bytes, broken: bytes) -> None:
    with pytest.raises(DecodeError, match=f"^malformed field at byte {len(before)}: "):
        reference.admit(before + broken)


def test_an_envelope_of_several_messages_is_of_the_last_ones_kind() -> None:
    body = LOG.SerializeToString() + COUNTER.SerializeToString()

    assert reference.admit(framed(body))[2] == Kind.COUNTER


def test_two_batches_join() -> None:
    one, other = batch_of(LOG, COUNTER), batch_of(EVENT)

    assert list(parsed(one + other)) == [LOG, COUNTER, EVENT]


# --- select, split, spans ---------------------------------------------------------------------------------------------


@given(st.lists(envelopes, max_size=6), st.integers(0, Kind.ALL))
def test_select_keeps_the_kinds_asked_for_in_order(several: list[Envelope], kinds: int) -> None:
    chosen = [envelope for envelope in several if kind_of(envelope) & kinds]

    part, count = reference.select(batch_of(*several), kinds)

    assert list(map(canonical, parsed(part))) == list(map(canonical, chosen))
    assert count == len(chosen)


@given(odd_batches, st.integers(0, Kind.ALL))
def test_a_selection_and_its_rest_are_the_whole(batch: bytes, kinds: int) -> None:
    clean = admitted(batch)

    part, count = reference.select(clean, kinds)
    rest, others = reference.select(clean, Kind.ALL & ~kinds)

    assert count + others == len(reference.spans(clean))
    assert sorted(pieces(part) + pieces(rest)) == sorted(pieces(clean))


def pieces(batch: bytes) -> list[bytes]:
    return [batch[start:end] for start, end, *_ in reference.spans(batch)]


@given(st.lists(envelopes, max_size=8), st.data())
def test_split_gives_each_source_its_own_in_order(several: list[Envelope], data: st.DataObject) -> None:
    known = sorted({envelope.source_id.encode() for envelope in several} | {b"other"})
    sources = data.draw(st.sets(st.sampled_from(known)), label="sources")

    parts = reference.split(batch_of(*several), sources)

    assert set(parts) == {envelope.source_id.encode() for envelope in several} & sources
    for source, (part, count, kinds) in parts.items():
        own = [envelope for envelope in several if envelope.source_id.encode() == source]
        assert list(map(canonical, parsed(part))) == list(map(canonical, own))
        assert (count, kinds) == (len(own), kinds_of(own))


@given(odd_batches)
def test_split_by_every_source_loses_and_invents_nothing(batch: bytes) -> None:
    clean = admitted(batch)
    spans = reference.spans(clean)

    parts = reference.split(clean, {source for _, _, _, source, _ in spans})

    assert sorted(piece for part, _, _ in parts.values() for piece in pieces(part)) == sorted(pieces(clean))
    assert sum(count for _, count, _ in parts.values()) == len(spans)


@given(st.lists(envelopes, max_size=6))
def test_spans_tell_what_routing_asks(several: list[Envelope]) -> None:
    assert [span[2:] for span in reference.spans(batch_of(*several))] == [
        (kind_of(envelope), envelope.source_id.encode(), envelope.timestamp) for envelope in several
    ]


@given(odd_batches)
def test_spans_cover_an_admitted_batch_piece_by_piece(batch: bytes) -> None:
    clean = admitted(batch)
    spans = reference.spans(clean)

    assert [0, *(end for _, end, *_ in spans)] == [*(start for start, *_ in spans), len(clean)]
    assert all(len(parsed(clean[start:end])) == 1 for start, end, *_ in spans)


# --- tag, converge ----------------------------------------------------------------------------------------------------


@given(st.lists(envelopes, max_size=6))
def test_tag_puts_defaults_before_what_needs_no_thought_and_asks_about_the_rest(several: list[Envelope]) -> None:
    asked: list[bytes] = []

    def rewrite(body: bytes) -> bytes:
        asked.append(body)
        return LOG.SerializeToString()

    tagged = parsed(reference.tag(batch_of(*several), DEFAULTS, rewrite))

    thoughtful = [needs_thought(envelope) for envelope in several]
    assert [canonical(Envelope.FromString(body)) for body in asked] == [
        canonical(envelope) for envelope in several if needs_thought(envelope)
    ]
    assert [canonical(after) for after in tagged] == [
        canonical(LOG if asked_about else with_defaults(before))
        for before, asked_about in zip(several, thoughtful, strict=True)
    ]


def needs_thought(envelope: Envelope) -> bool:
    return envelope.HasField("counter") or not envelope.source_id or bool(envelope.deprecated_tags)


def with_defaults(envelope: Envelope) -> Envelope:
    result = Envelope(tags={"job": "j", "origin": "agent"})
    result.MergeFrom(envelope)
    return result


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        pytest.param(LOG.SerializeToString(), False, id="plain log"),
        pytest.param(COUNTER.SerializeToString(), True, id="counter"),
        pytest.param(LOG.SerializeToString() + COUNTER.SerializeToString(), True, id="log, then counter"),
        pytest.param(COUNTER.SerializeToString() + LOG.SerializeToString(), False, id="counter, then log"),
        pytest.param(b"\x22\x00", True, id="no source_id"),
        pytest.param(b"\x12\x00\x22\x00", True, id="empty source_id"),
        pytest.param(b"\x12\x01s\x12\x00\x22\x00", True, id="source_id emptied again"),
        pytest.param(b"\x12\x01s\x1a\x00", True, id="deprecated tag without name or value"),
        pytest.param(b"\x12\x01s\x18\x05", False, id="a number where deprecated tags would be"),
        pytest.param(b"\x12\x01s\x28\x05", False, id="a number where a counter would be"),
    ],
)
def test_what_needs_thought(body: bytes, asks: bool) -> None:
    asked: list[bytes] = []

    def rewrite(envelope: bytes) -> bytes:
        asked.append(envelope)
        return envelope

    reference.tag(framed(body), DEFAULTS, rewrite)

    assert asked == [body] * asks


def test_an_envelopes_own_tags_win() -> None:
    own = Envelope(source_id="s", tags={"job": "own", "a": "b"}, log=Log())

    (tagged,) = parsed(reference.tag(batch_of(own), DEFAULTS, bytes))

    assert tagged.tags == {"job": "own", "origin": "agent", "a": "b"}


@given(st.lists(envelopes, max_size=5), st.booleans())
def test_converge_leaves_one_map_of_tags(several: list[Envelope], preferred: bool) -> None:
    converged = parsed(reference.converge(batch_of(*several), preferred))

    assert not any(envelope.deprecated_tags if preferred else envelope.tags for envelope in converged)
    assert [(e.timestamp, e.source_id, e.instance_id, e.WhichOneof("message")) for e in converged] == [
        (e.timestamp, e.source_id, e.instance_id, e.WhichOneof("message")) for e in several
    ]


@given(st.lists(envelopes, max_size=5), st.booleans())
def test_converge_gives_back_what_need_not_change(several: list[Envelope], preferred: bool) -> None:
    for envelope in several:
        envelope.ClearField("deprecated_tags" if preferred else "tags")
    batch = batch_of(*several)

    assert reference.converge(batch, preferred) is batch


def test_converge_touches_only_what_must_change() -> None:
    body = b"\x12\x81\x00s\x22\x00"  # an encoding that would not be written again
    changing = Envelope(deprecated_tags={"a": Value(decimal=1e6)}, log=Log())

    converged = reference.converge(framed(body) + batch_of(changing), preferred=True)

    assert converged.startswith(framed(body))
    assert parsed(converged)[1].tags == {"a": "1e+06"}


# --- any bytes --------------------------------------------------------------------------------------------------------


FUNCTIONS: dict[str, Callable[[bytes], object]] = {
    "admit": reference.admit,
    "select": lambda batch: reference.select(batch, Kind.ALL),
    "split": lambda batch: reference.split(batch, {b"", b"a"}),
    "deal": reference.deal,
    "samples": lambda batch: reference.samples(batch, defaultdict(lambda: True)),
    "count": reference.count,
    "spans": reference.spans,
    "tag": lambda batch: reference.tag(batch, DEFAULTS, bytes),
    "converge": lambda batch: reference.converge(batch, preferred=True),
    "converge to deprecated tags": lambda batch: reference.converge(batch, preferred=False),
    "v1_frames": lambda batch: reference.v1_frames(batch, Keep.ALL),
    "v1_messages": reference.v1_messages,
    "json_batch": reference.json_batch,
    "ws_payloads": reference.ws_payloads,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(batch=odd_batches | st.binary(max_size=40))
def test_any_bytes_are_done_with_or_refused(name: str, batch: bytes) -> None:
    with suppress(DecodeError):
        FUNCTIONS[name](batch)


def test_a_malformed_envelope_that_was_not_cut_out_is_refused() -> None:
    for function in (reference.spans, reference.json_batch):
        with pytest.raises(DecodeError, match=r"^malformed envelope at byte 2: "):
            function(framed(b"", b"\x12\x05s"))
