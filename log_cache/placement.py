"""Which node of a cluster holds a source (loggregator.md 4.2). No I/O, no clock."""

from __future__ import annotations

from xxhash import xxh64_intdigest

from envelope import kernel

_MULTIPLIER = 2862933555777941757
_WRAP = (1 << 64) - 1
_MOST_REMEMBERED = 100_000


def jump_hash(key: int, buckets: int) -> int:
    """Choose one of `buckets` for a key of 64 bits; with one bucket more, few keys move (Lamping and Veach, 2014)."""
    bucket, after = -1, 0
    while after < buckets:
        bucket = after
        key = (key * _MULTIPLIER + 1) & _WRAP
        after = int((bucket + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return bucket


class _Everything:
    """Contains whatever is asked for."""

    def __contains__(self, _: object) -> bool:
        return True


_ALL = _Everything()


class Placement:
    """The nodes by number: every node of a cluster comes to the same answer."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._remembered: dict[int, int] = {}  # by hash: a source_id may be long

    def node_of(self, source_id: bytes) -> int:
        """Return which node holds a source."""
        key = xxh64_intdigest(source_id)
        node = self._remembered.get(key)
        if node is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            node = self._remembered[key] = jump_hash(key, self._nodes)
        return node

    def deal(self, batch: bytes) -> dict[int, tuple[bytes, int]]:
        """Deal an admitted batch out by node: (part, count), each source's envelopes in their order."""
        parts: dict[int, list[bytes]] = {}
        counts: dict[int, int] = {}
        for source_id, (part, count, _) in kernel.split(batch, _ALL).items():
            node = self.node_of(source_id)
            parts.setdefault(node, []).append(part)
            counts[node] = counts.get(node, 0) + count
        return {node: (b"".join(part), counts[node]) for node, part in parts.items()}
