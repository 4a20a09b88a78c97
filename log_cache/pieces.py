"""Cut what is large into pieces: whoever works on one keeps the other threads of the process waiting no longer."""

from __future__ import annotations

from collections.abc import Iterator

from envelope.wire import fields


def pieces(batch: bytes, most_bytes: int, most_envelopes: int) -> Iterator[tuple[bytes, int]]:
    """Cut an admitted batch: (piece, count), in order; an envelope that is larger by itself is a piece of its own."""
    start = end = count = 0
    for field in fields(batch):
        if count and (field.end - start > most_bytes or count == most_envelopes):
            yield batch[start:end], count
            start, count = end, 0
        end = field.end
        count += 1
    if count:
        yield batch[start:end], count
