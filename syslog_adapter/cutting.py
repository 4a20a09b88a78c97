"""Cut a batch in two between envelopes. Pure."""

from __future__ import annotations

from envelope import kernel


def cut(batch: bytes, count: int) -> tuple[bytes, bytes]:
    """Return the first `count` envelopes of an admitted batch, and the rest."""
    if count <= 0:
        return b"", batch
    ends = [end for _, end, *_ in kernel.spans(batch)]
    end = ends[count - 1] if count <= len(ends) else len(batch)
    return batch[:end], batch[end:]
