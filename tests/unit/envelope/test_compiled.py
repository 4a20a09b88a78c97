"""The compiled kernel does what the reference does, on every shape of envelope a client or a forger may send."""

import random
from itertools import islice

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import reference
from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.websocket_frames import frame as websocket_frame
from tests.kernel_batches import DEFAULTS, EVERY_NAME, all_batches, clean_batches, int64s, log
from tests.kernel_results import (
    one_by_one,
    outcome,
    protobufs_json,
    rows_of,
    same_envelopes,
    same_frames,
    same_json,
    same_rows,
    same_v1,
)
from tests.strategies import (
    batch_of,
    batches,
    counter_envelopes,
    gauge_envelopes,
    timer_envelopes,
)

compiled = pytest.importorskip("envelope._compiled")


def test_it_has_every_function_of_the_reference() -> None:
    assert set(reference.__all__) <= set(dir(compiled))


@given(all_batches)
def test_admit(batch: bytes) -> None:
    assert outcome(compiled.admit, batch) == outcome(reference.admit, batch)


@given(batches())
def test_admit_returns_a_clean_batch_itself(batch: bytes) -> None:
    assert compiled.admit(batch)[0] is batch


@given(clean_batches, st.integers(0, int(Kind.ALL)))
def test_select(batch: bytes, kinds: int) -> None:
    assert compiled.select(batch, kinds) == reference.select(batch, kinds)


@given(clean_batches, st.data())
def test_split(batch: bytes, data: st.DataObject) -> None:
    present = sorted({source for _, _, _, source, _ in reference.spans(batch)})
    sources = data.draw(st.sets(st.sampled_from([*present, b"nobody"])))

    assert compiled.split(batch, sources) == reference.split(batch, sources)


def test_split_deals_out_more_envelopes_than_it_first_has_room_for() -> None:
    batch = batch_of(*(log(source_id=f"app-{number % 300}", timestamp=number) for number in range(1000)))
    sources = {f"app-{number}".encode() for number in range(0, 300, 2)}

    assert compiled.split(batch, sources) == reference.split(batch, sources)


@given(clean_batches)
def test_deal(batch: bytes) -> None:
    assert compiled.deal(batch) == reference.deal(batch)


@given(clean_batches, st.randoms())
def test_deal_of_many_batches_joined(batch: bytes, chance: random.Random) -> None:
    envelopes = one_by_one(batch) * 40
    chance.shuffle(envelopes)
    joined = b"".join(envelopes)

    assert compiled.deal(joined) == reference.deal(joined)


@given(clean_batches)
def test_samples(batch: bytes) -> None:
    assert compiled.samples(batch, EVERY_NAME) == reference.samples(batch, EVERY_NAME)


@given(batches(counter_envelopes | gauge_envelopes | timer_envelopes), st.data())
def test_samples_of_some_names(batch: bytes, data: st.DataObject) -> None:
    names = sorted({name for name, _, _ in reference.samples(batch, EVERY_NAME)})
    wanted = {name: data.draw(st.booleans()) for name in names}

    assert compiled.samples(batch, wanted) == reference.samples(batch, wanted)


@given(clean_batches, st.randoms())
def test_samples_of_many_batches_joined(batch: bytes, chance: random.Random) -> None:
    envelopes = one_by_one(batch) * 40
    chance.shuffle(envelopes)
    joined = b"".join(envelopes)

    assert compiled.samples(joined, EVERY_NAME) == reference.samples(joined, EVERY_NAME)


@given(clean_batches)
def test_columns(batch: bytes) -> None:
    for one in one_by_one(batch):
        assert same_rows(compiled.columns(one)) == same_rows(reference.columns(one))


@given(clean_batches, st.randoms())
def test_columns_of_many_batches_joined(batch: bytes, chance: random.Random) -> None:
    envelopes = one_by_one(batch) * 40
    chance.shuffle(envelopes)
    joined = b"".join(envelopes)
    ours = compiled.columns(joined)

    assert same_rows(ours) == same_rows(reference.columns(joined))
    times = [row[0] for one in envelopes for row in rows_of(reference.columns(one))]
    assert [row[0] for row in rows_of(ours)] == times


@given(clean_batches, st.integers(0, 3))
def test_columns_for_some_tags_only(batch: bytes, most_tags: int) -> None:
    ours = compiled.columns(batch, most_tags)

    assert len(ours.tags) <= most_tags
    assert same_rows(ours) == same_rows(reference.columns(batch, most_tags))


@given(clean_batches)
def test_spans(batch: bytes) -> None:
    assert compiled.spans(batch) == reference.spans(batch)
    assert compiled.count(batch) == reference.count(batch) == len(reference.spans(batch))


@given(clean_batches, st.sampled_from([DEFAULTS, b"", DEFAULTS * 20]))
def test_tag(batch: bytes, defaults: bytes) -> None:
    asked: list[bytes] = []

    def rewrite(envelope: bytes) -> bytes:
        asked.append(envelope)
        return b"\x12\x03new" + envelope

    ours, ours_asked = compiled.tag(batch, defaults, rewrite), asked.copy()
    asked.clear()

    assert ours == reference.tag(batch, defaults, rewrite)
    assert ours_asked == asked


@given(clean_batches, st.booleans())
def test_converge(batch: bytes, preferred: bool) -> None:
    ours, theirs = compiled.converge(batch, preferred), reference.converge(batch, preferred)

    assert (ours is batch) == (theirs is batch)
    assert same_envelopes(ours) == same_envelopes(theirs)


@given(clean_batches, st.integers(0, 7))
def test_v1_frames(batch: bytes, keep: int) -> None:
    for one in one_by_one(batch):
        assert same_frames(compiled.v1_frames(one, keep)) == same_frames(reference.v1_frames(one, keep))


@given(clean_batches, st.integers(0, 7))
def test_the_frames_of_a_batch_are_those_of_its_envelopes_in_order(batch: bytes, keep: int) -> None:
    frames, count, skipped = compiled.v1_frames(batch, keep)
    payloads = iter(reference.ws_payloads(frames)[0])
    expected = [reference.v1_frames(one, keep) for one in one_by_one(batch)]

    for of_one in expected:
        assert same_v1(list(islice(payloads, of_one[1]))) == same_frames(of_one)[0]
    assert (count, skipped) == (sum(made for _, made, _ in expected), sum(missed for _, _, missed in expected))


@given(clean_batches)
def test_v1_messages(batch: bytes) -> None:
    for one in one_by_one(batch):
        assert same_v1(compiled.v1_messages(one)) == same_v1(reference.v1_messages(one))


@given(clean_batches, st.integers(0, int(Kind.ALL)), st.booleans(), st.booleans())
def test_syslog(batch: bytes, kinds: int, metadata: bool, octets: bool) -> None:
    arguments = (batch, b"host", kinds, metadata, octets)

    assert compiled.syslog(*arguments) == reference.syslog(*arguments)


@given(all_batches)
def test_json_batch(batch: bytes) -> None:
    assert same_json(outcome(compiled.json_batch, batch)) == same_json(outcome(reference.json_batch, batch))


@given(all_batches)
def test_json_envelopes(batch: bytes) -> None:
    assert same_json(outcome(compiled.json_envelopes, batch)) == same_json(outcome(reference.json_envelopes, batch))


@given(clean_batches)
def test_json_batch_is_what_protobuf_says(batch: bytes) -> None:
    assert same_json(outcome(compiled.json_batch, batch)) == ("returned", protobufs_json(batch))


@given(
    st.lists(
        st.sampled_from(["\0", "\n", "\x1f", '"', "\\", "\x7f", "\u0085", "\u00a0", "\u2028", "‖", "â", "a", "😀"])
    )
)
def test_every_escape_at_every_place_of_a_text(characters: list[str]) -> None:
    batch = batch_of(v2.Envelope(source_id="".join(characters)))

    text = compiled.json_batch(batch)

    assert same_json(("returned", text)) == ("returned", protobufs_json(batch))
    assert text.decode().splitlines() == [text.decode()]


@given(st.floats() | st.integers(-(2**70), 2**70).map(float) | st.sampled_from([-0.0, 1e15, 1e15 - 1, 5e-324]))
def test_every_double_reads_back_as_it_was(value: float) -> None:
    batch = batch_of(v2.Envelope(gauge={"metrics": {"m": {"value": value}}}))

    (envelope,) = orjson.loads(compiled.json_batch(batch))["batch"]

    assert repr(float(envelope["gauge"]["metrics"]["m"]["value"])) == repr(value)


@given(st.lists(st.binary(max_size=200)), st.sampled_from([b"", b"\x12\x03app"]), int64s, st.booleans())
def test_log_batch(lines: list[bytes], head: bytes, timestamp: int, err: bool) -> None:
    expected = reference.log_batch(lines, head, timestamp, err)

    assert compiled.log_batch(lines, head, timestamp, err) == expected
    assert compiled.log_batch(tuple(lines), head, timestamp, err) == expected


@given(st.lists(st.binary(max_size=300).map(websocket_frame)), st.binary(max_size=4))
def test_ws_payloads(frames: list[bytes], rest: bytes) -> None:
    buffer = b"".join(frames) + rest

    assert compiled.ws_payloads(buffer) == reference.ws_payloads(buffer)
