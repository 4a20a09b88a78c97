"""Marks: the same for the same envelope wherever it stands, another for any other, and alike from both kernels."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel, reference
from envelope.framing import frame
from envelope.marks import MARK_BYTES, mark_of
from tests.kernel_results import admitted
from tests.strategies import batches, odd_batches

CHANCE = random.Random(1)
KNOWN = ["410e8d59264932ed", "3173db69acdea489", "4d0a582009d134e1", "e12f83f55c512e72"]


def marks_of(*envelopes: bytes) -> list[bytes]:
    marks = kernel.marks(b"".join(map(frame, envelopes)))
    return [marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES)]


def test_a_mark_is_the_same_for_ever() -> None:
    assert [mark_of(bytes(size)).hex() for size in (0, 1, 16, 17)] == KNOWN
    assert [mark.hex() for mark in marks_of(*(bytes(size) for size in (0, 1, 16, 17)))] == KNOWN


@given((batches() | odd_batches).map(admitted))
def test_the_kernels_mark_alike(batch: bytes) -> None:
    assert kernel.marks(batch) == reference.marks(batch)
    assert len(kernel.marks(batch)) == MARK_BYTES * kernel.count(batch)


@given(st.lists(st.binary(max_size=70), max_size=5))
def test_any_bytes_are_marked_alike_wherever_they_stand(envelopes: list[bytes]) -> None:
    assert marks_of(*envelopes) == [mark_of(envelope) for envelope in envelopes]


def test_each_bit_changes_about_half_of_a_mark() -> None:
    for size in (1, 8, 15, 16, 17, 100):
        envelope = CHANCE.randbytes(size)
        changed = []
        for bit in range(8 * size):
            other = bytearray(envelope)
            other[bit // 8] ^= 1 << bit % 8
            changed.append((int.from_bytes(mark_of(envelope)) ^ int.from_bytes(mark_of(bytes(other)))).bit_count())
        assert min(changed) >= 8, size
        assert abs(sum(changed) / len(changed) - 32) < 6, size


def test_envelopes_that_are_almost_alike_have_marks_that_are_spread() -> None:
    count = 200_000
    marks = kernel.marks(b"".join(frame(b"%d" % number + bytes(number % 40)) for number in range(count)))
    numbers = list(memoryview(marks).cast("Q"))

    assert len(set(numbers)) == count
    for shift in (0, 16, 32, 56):
        found = [0] * 256
        for number in numbers:
            found[number >> shift & 255] += 1
        assert all(0.8 < 256 * one / count < 1.2 for one in found)
