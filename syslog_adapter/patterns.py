"""Which envelopes a drain wants by what their lines say: the options `include` and `exclude` of its URL. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch


@dataclass(frozen=True, slots=True)
class Patterns:
    """RE2 patterns; None for one that is not asked for."""

    include: Any = None
    exclude: Any = None

    @classmethod
    def of(cls, include: str, exclude: str) -> Patterns | None:
        """Compile patterns that were checked before; None when there are none."""
        if not include and not exclude:
            return None
        return cls(_compiled(include), _compiled(exclude))

    def sift(self, batch: bytes) -> tuple[bytes, int]:
        """Keep the lines that match `include` somewhere and `exclude` nowhere, and all that is no line."""
        kept = [
            batch[start:end]
            for start, end, kind, *_ in kernel.spans(batch)
            if kind != Kind.LOG or self._wants(batch[start:end])
        ]
        return b"".join(kept), len(kept)

    def _wants(self, line: bytes) -> bool:
        payload = EnvelopeBatch.FromString(line).batch[0].log.payload
        if self.include is not None and not self.include.search(payload):
            return False
        return self.exclude is None or not self.exclude.search(payload)


def _compiled(pattern: str) -> Any:
    return re2.compile(pattern.encode()) if pattern else None
