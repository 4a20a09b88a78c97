"""Cut a batch between envelopes, and hold what of one is in hand. Pure."""

from __future__ import annotations

from envelope import kernel
from envelope.kinds import Kind


def cut(batch: bytes, count: int) -> tuple[bytes, bytes]:
    """Return the first `count` envelopes of an admitted batch, and the rest."""
    if count <= 0:
        return b"", batch
    ends = [end for _, end, *_ in kernel.spans(batch)]
    end = ends[count - 1] if count <= len(ends) else len(batch)
    return batch[:end], batch[end:]


class Hand:
    """What was taken to be sent, and is neither sent nor lost."""

    def __init__(self) -> None:
        self.batch = b""
        self.count = 0

    def take(self, batch: bytes, count: int) -> None:
        """Hold an admitted batch of so many envelopes; there must be nothing in hand."""
        self.batch, self.count = batch, count

    def let_go(self, count: int) -> bytes:
        """Let go of the first `count` envelopes, and return them."""
        gone, self.batch = (self.batch, b"") if count >= self.count else cut(self.batch, count)
        self.count = max(0, self.count - count)
        return gone

    def first_message(self) -> int:
        """Say how many envelopes the first message stands for: bare ones behind it are lines joined to it."""
        kinds = [kind for _, _, kind, *_ in kernel.spans(self.batch)]
        return next((at for at, kind in enumerate(kinds) if at and kind != Kind.BARE), len(kinds))
