"""Cut a batch that is too large for one message."""

from __future__ import annotations

from collections.abc import Iterator

from envelope import kernel


def pieces(batch: bytes, max_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Give `batch` in batches of at most `max_bytes`, each with its count; an envelope larger than that comes alone."""
    begin = end = count = 0
    for _, envelope_end, *_ in kernel.spans(batch):
        if count and envelope_end - begin > max_bytes:
            yield batch[begin:end], count
            begin, count = end, 0
        end, count = envelope_end, count + 1
    if count:
        yield batch[begin:end], count
