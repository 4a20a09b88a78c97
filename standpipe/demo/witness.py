"""Bear witness to what comes out of a firehose: what of it to show, and whether it was all there. No I/O, no clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envelope.errors import DecodeError
from standpipe.reading.show import to_record

SHOWN_AT_FIRST = 10
SHOWN_EVERY_S = 3.0
"""Later, so often an envelope of each source."""

_NUMBERED = re.compile(r"line (\d+) ")


class Witness:
    """Counts envelopes by source, remembers the numbered lines of one of them, and picks a few to be shown."""

    def __init__(self, numbered_source: str) -> None:
        self.by_source: Counter[str] = Counter()
        self.undecodable = 0
        self._numbered_source = numbered_source
        self._numbers: Counter[int] = Counter()
        self._shown = 0
        self._show_next_at: dict[str, float] = {}

    @property
    def total(self) -> int:
        """Every envelope that came."""
        return self.by_source.total() + self.undecodable

    def see(self, messages: Iterable[bytes], now: float) -> Iterator[Mapping[str, Any]]:
        """Take messages as they arrive; yields the few that are to be shown: the first ones, then a sample."""
        for message in messages:
            try:
                record = to_record(message)
            except DecodeError:
                self.undecodable += 1
                continue
            self._note(record)
            if self._shown < SHOWN_AT_FIRST or now >= self._show_next_at.get(record["source_id"], 0.0):
                self._shown += 1
                self._show_next_at[record["source_id"]] = now + SHOWN_EVERY_S
                yield record

    def has_seen(self, written: int) -> bool:
        """Whether the numbered lines 1 to `written` have all come."""
        return all(self._numbers[number] for number in range(1, written + 1))

    def complaints(self, written: int) -> list[str]:
        """Say what is wrong with the numbered lines, of which there should be 1 to `written`, each once."""
        missing = [number for number in range(1, written + 1) if not self._numbers[number]]
        repeated = [number for number, times in self._numbers.items() if times > 1]
        complaints = []
        if missing:
            complaints.append(f"{len(missing)} of the {written} lines of the demo itself did not come: {missing[:5]}")
        if repeated:
            complaints.append(f"{len(repeated)} of the lines of the demo itself came more than once: {repeated[:5]}")
        if self.undecodable:
            complaints.append(f"{self.undecodable} messages were no envelopes")
        return complaints

    def _note(self, record: Mapping[str, Any]) -> None:
        self.by_source[record["source_id"]] += 1
        if record["source_id"] == self._numbered_source and (match := _NUMBERED.match(record.get("message", ""))):
            self._numbers[int(match[1])] += 1
