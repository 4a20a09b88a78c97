"""Hostile bytes: the compiled kernel never crashes, and accepts, refuses and makes of them what the reference does."""

import random
import struct
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope import reference
from envelope.framing import frame, varint
from envelope.kinds import Keep, Kind
from envelope.tags import TagRewriter
from envelope.v1_bounds import V1_BYTES
from tests.kernel_results import (
    admitted,
    outcome,
    protobufs_json,
    same_envelopes,
    same_frames,
    same_json,
    same_rows,
)
from tests.strategies import CONTAINER_METRICS, TELLING_TAGS, UUID_TEXT

compiled = pytest.importorskip("envelope._compiled")

EVERY_NAME: defaultdict[bytes, bool] = defaultdict(lambda: True)
DEFAULTS = b"\x4a\x08\x0a\x03job\x12\x01x"

# --- bytes that look like protobuf, but were written by nobody's encoder --------------------------------------------

TEXTS = [b"", b"plain", "grün €😀".encode(), b"300", UUID_TEXT.encode(), *(tag.encode() for tag in TELLING_TAGS)]
NO_TEXTS = [b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe0\x80\x80", b"abcdefgh\xff", b"\xe2\x82"]
NUMBERS = [0, 1, 2, 127, 128, 300, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
METRICS = [b"latency", b"", b"instance_index", *(name.encode() for name in CONTAINER_METRICS)]


def padded(value: int, size: int) -> bytes:
    """A varint of at least `size` bytes: a legal way to write a small number that no encoder uses."""
    groups = list(varint(value))
    while len(groups) < size:
        groups[-1] |= 0x80
        groups.append(0)
    return bytes(groups)


class Forger:
    """Writes batches in which most is well-formed, and one thing in `rarity` is not."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rarity = self.chance.choice([4, 20, 100, 1000])

    def now(self) -> bool:
        return self.chance.randrange(self.rarity) == 0

    def varint(self, value: int) -> bytes:
        return padded(value, self.chance.randint(2, 12)) if self.now() else varint(value)

    def number(self) -> bytes:
        return self.varint(self.chance.choice([*NUMBERS, self.chance.getrandbits(64)]))

    def text(self) -> bytes:
        return self.chance.choice(NO_TEXTS if self.now() else TEXTS)

    def sized(self, body: bytes) -> bytes:
        if self.now() and self.now():
            return self.varint(self.chance.choice(NUMBERS)) + body
        return self.varint(len(body)) + body

    def field(self, number: int, wire: int, value: bytes) -> bytes:
        if self.now():
            wire = self.chance.randrange(8)
        return self.varint(number << 3 | wire) + (self.sized(value) if wire == 2 else value)

    def message(self, *fields: bytes) -> bytes:
        """Some of the fields in any order, seldom one of them twice or something strange among them."""
        chosen = [field for field in fields if self.chance.random() < 0.85]
        if self.now():
            chosen.append(self.chance.choice(fields))
        if self.now():
            chosen.append(self.strange())
        self.chance.shuffle(chosen)
        return b"".join(chosen)

    def strange(self) -> bytes:
        number = self.chance.choice([0, 1, 2, 3, 9, 11, 15, 16, 4000, 2**29 - 1, 2**29])
        group = self.varint(number << 3 | 3) + self.field(1, 2, self.text()) + self.varint(number << 3 | 4)
        value = self.varint(number << 3 | self.chance.randrange(8)) + self.text()
        return self.chance.choice(
            [group, value, self.field(number, 2, self.text()), self.field(number, 0, self.number())]
        )

    def tag(self) -> bytes:
        return self.field(9, 2, self.message(self.field(1, 2, self.text()), self.field(2, 2, self.text())))

    def deprecated_tag(self) -> bytes:
        data = [
            self.field(1, 2, self.text()),
            self.field(2, 0, self.number()),
            self.field(3, 1, self.chance.randbytes(8)),
        ]
        value = self.message(*data) if self.now() else self.chance.choice(data)
        return self.field(3, 2, self.message(self.field(1, 2, self.text()), self.field(2, 2, value)))

    def metric(self) -> bytes:
        double = self.chance.choice(
            [struct.pack("<d", self.chance.choice([0.0, -1.5, 1e9, 1e30])), self.chance.randbytes(8)]
        )
        value = self.message(self.field(1, 2, self.text()), self.field(2, 1, double))
        name = self.chance.choice(METRICS)
        return self.field(1, 2, self.message(self.field(1, 2, name), self.field(2, 2, value)))

    def oneof(self) -> bytes:
        text, log_type = self.field(1, 2, self.text()), self.field(2, 0, self.varint(self.chance.randrange(3)))
        numbers = self.field(2, 0, self.number()), self.field(3, 0, self.number())
        number, body = self.chance.choice(
            [
                (4, self.message(text, log_type)),
                (5, self.message(text, *numbers)),
                (6, b"".join(self.metric() for _ in range(self.chance.choice([0, 1, 3, 25])))),
                (7, self.message(text, *numbers)),
                (10, self.message(text, self.field(2, 2, self.text()))),
            ]
        )
        return self.field(number, 2, body)

    def envelope(self) -> bytes:
        strings = self.field(2, 2, self.text()), self.field(8, 2, self.text())
        tags = [self.tag() for _ in range(self.chance.choice([0, 2, 5, 70]))]
        deprecated = [self.deprecated_tag()] if self.chance.randrange(4) == 0 else []
        return self.message(self.field(1, 0, self.number()), *strings, self.oneof(), *tags, *deprecated)

    def batch(self) -> bytes:
        envelopes = [b"\x0a" + self.sized(self.envelope()) for _ in range(self.chance.randrange(5))]
        if self.now():
            envelopes.insert(0, self.strange())
        return b"".join(envelopes)

    def damaged(self) -> bytes:
        """A batch with a few of its bytes changed, taken away or put in."""
        batch = bytearray(self.batch())
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randint(0, len(batch))
            batch[at : at + self.chance.randint(0, 3)] = self.chance.randbytes(self.chance.randint(0, 2))
        return bytes(batch)


forgers = st.integers(0, 2**64).map(Forger)
batches = forgers.map(Forger.batch)
hostile = batches | forgers.map(Forger.damaged) | st.binary(max_size=60)


# --- both kernels, side by side -------------------------------------------------------------------------------------


@settings(max_examples=600)
@given(hostile)
def test_admit_agrees_on_what_to_refuse_and_what_to_cut_out(batch: bytes) -> None:
    assert outcome(compiled.admit, batch) == outcome(reference.admit, batch)


@settings(max_examples=300)
@given(hostile.map(admitted), st.integers(0, 63))
def test_what_was_admitted_is_read_alike(batch: bytes, kinds: int) -> None:
    sources = {span[3] for span in reference.spans(batch)[::2]}

    assert compiled.spans(batch) == reference.spans(batch)
    assert compiled.count(batch) == reference.count(batch)
    assert compiled.select(batch, kinds) == reference.select(batch, kinds)
    assert compiled.split(batch, sources) == reference.split(batch, sources)
    assert compiled.deal(batch) == reference.deal(batch)


@settings(max_examples=600)
@given(hostile.map(admitted), st.sets(st.sampled_from([*METRICS, *TEXTS])))
def test_what_was_admitted_has_the_same_numbers(batch: bytes, wanted: set[bytes]) -> None:
    some = defaultdict(bool, dict.fromkeys(wanted, True))

    assert compiled.samples(batch, EVERY_NAME) == reference.samples(batch, EVERY_NAME)
    assert compiled.samples(batch, some) == reference.samples(batch, some)


@settings(max_examples=300)
@given(hostile.map(admitted))
def test_what_was_admitted_is_tagged_alike(batch: bytes) -> None:
    asked: list[bytes] = []

    def rewrite(envelope: bytes) -> bytes:
        asked.append(envelope)
        return b"\x12\x01y" + envelope

    assert compiled.tag(batch, DEFAULTS, rewrite) == reference.tag(batch, DEFAULTS, rewrite)
    assert asked[: len(asked) // 2] == asked[len(asked) // 2 :]


@settings(max_examples=300)
@given(hostile.map(admitted), st.booleans())
def test_what_was_admitted_converges_alike(batch: bytes, preferred: bool) -> None:
    ours, theirs = compiled.converge(batch, preferred), reference.converge(batch, preferred)

    assert (ours is batch) == (theirs is batch)
    assert same_envelopes(ours) == same_envelopes(theirs)


@settings(max_examples=300)
@given(hostile.map(admitted), st.integers(0, 7), st.just(V1_BYTES) | st.integers(0, 10_000))
def test_what_was_admitted_becomes_the_same_v1(batch: bytes, keep: int, limit: int) -> None:
    theirs = reference.v1_frames(batch, keep, limit)

    assert same_frames(compiled.v1_frames(batch, keep, limit)) == same_frames(theirs)
    assert len(theirs[0]) <= limit


@settings(max_examples=600)
@given(hostile.map(admitted), st.integers(0, 63), st.booleans(), st.sampled_from([b"", b"host", b"not a host"]))
def test_what_was_admitted_becomes_the_same_syslog(batch: bytes, kinds: int, metadata: bool, hostname: bytes) -> None:
    arguments = (batch, hostname, kinds, metadata, True)

    assert compiled.syslog(*arguments) == reference.syslog(*arguments)


@settings(max_examples=600)
@given(hostile.map(admitted), st.just(1000) | st.integers(0, 4))
def test_what_was_admitted_becomes_the_same_columns(batch: bytes, most_tags: int) -> None:
    assert same_rows(compiled.columns(batch, most_tags)) == same_rows(reference.columns(batch, most_tags))


@settings(max_examples=600)
@given(hostile)
def test_bytes_nobody_admitted_become_the_same_json_or_are_refused_alike(batch: bytes) -> None:
    for name in ("json_batch", "json_envelopes"):
        ours, theirs = outcome(getattr(compiled, name), batch), outcome(getattr(reference, name), batch)
        assert same_json(ours) == same_json(theirs)


@settings(max_examples=300)
@given(hostile.map(admitted))
def test_what_was_admitted_becomes_the_json_that_protobuf_writes(batch: bytes) -> None:
    assert same_json(outcome(compiled.json_batch, batch)) == ("returned", protobufs_json(batch))


@settings(max_examples=300)
@given(hostile)
def test_bytes_nobody_admitted_are_refused_at_worst_and_then_in_the_same_words(batch: bytes) -> None:
    for name, *arguments in (
        ("spans",),
        ("count",),
        ("select", int(Kind.LOG)),
        ("split", {b""}),
        ("deal",),
        ("samples", EVERY_NAME),
        ("columns",),
        ("tag", DEFAULTS, TagRewriter({}).rewrite),
        ("converge", True),
        ("converge", False),
        ("v1_frames", int(Keep.ALL)),
        ("v1_messages",),
        ("syslog", b"host", int(Kind.ALL), True, True),
        ("ws_payloads",),
    ):
        ours = outcome(getattr(compiled, name), batch, *arguments)
        if ours[0] == "refused":
            assert ours == outcome(getattr(reference, name), batch, *arguments)


@settings(max_examples=50, deadline=None)
@given(batches)
def test_every_prefix_of_a_batch_is_admitted_or_refused_alike(batch: bytes) -> None:
    for size in range(len(batch)):
        assert outcome(compiled.admit, batch[:size]) == outcome(reference.admit, batch[:size])


@settings(max_examples=50, deadline=None)
@given(forgers.map(Forger.envelope))
def test_every_prefix_of_an_envelope_is_kept_or_cut_out_alike(envelope: bytes) -> None:
    for size in range(len(envelope)):
        batch = frame(envelope[:size])
        assert compiled.admit(batch) == reference.admit(batch)


@given(st.lists(st.sampled_from([b"\x82", b"\x7e", b"\x7f", b"\x00", b"\x01", b"\x05", b"\xff", b"\x02", b"ab"])))
def test_any_buffer_of_frames_is_split_alike(parts: list[bytes]) -> None:
    buffer = b"".join(parts)
    assert compiled.ws_payloads(buffer) == reference.ws_payloads(buffer)
