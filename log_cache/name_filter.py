"""Keep the metrics whose names match a pattern (loggregator.md 4.1). RE2 throughout: time is linear in the name."""

from __future__ import annotations

import re2  # type: ignore[import-untyped]  # ships no types

from envelope import kernel
from envelope.framing import frame
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.query import BadRequest

MAX_PATTERN_BYTES = 4096
MAX_NAME_BYTES = 4096
"""What of a name is searched: its beginning, this much of it."""
_MAX_COMPILED_BYTES = 1 << 20
_MAX_REMEMBERED = 10_000

_NAMED = Kind.COUNTER | Kind.GAUGE | Kind.TIMER
_IN_GO = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
    "pattern too large - compile failed": "expression too large",
}
"""What is wrong with a pattern, as RE2 says it and as Go does, whose words clients know."""


class NameFilter:
    """A pattern that is searched for anywhere in a metric's name; may be used by one thread at a time.

    Raises `BadRequest` for one that does not compile, is longer than `MAX_PATTERN_BYTES`, or takes more than 1 MiB
    once compiled.
    """

    def __init__(self, pattern: str) -> None:
        self._matches = _Matches(_compile(pattern))

    def apply(self, batch: bytes) -> tuple[bytes, int]:
        """Return what matches, in order, and its count: counters and timers by name, gauges with what of them matches.

        Logs, events and envelopes without a message have no name, and never match.
        """
        named, count = kernel.select(batch, _NAMED)
        if not count:
            return b"", 0
        kept: list[bytes] = []
        parsed = EnvelopeBatch.FromString(named).batch
        for (start, end, kind, _, _), envelope in zip(kernel.spans(named), parsed, strict=True):
            if kind == Kind.GAUGE:
                matching = self._reduced(envelope, named[start:end])
            else:
                name = envelope.counter.name if kind == Kind.COUNTER else envelope.timer.name
                matching = named[start:end] if self._matches[name] else b""
            if matching:
                kept.append(matching)
        return b"".join(kept), len(kept)

    def _reduced(self, envelope: Envelope, framed: bytes) -> bytes:
        metrics, matches = envelope.gauge.metrics, self._matches
        others = [name for name in metrics if not matches[name]]
        if not others and metrics:
            return framed
        if len(others) == len(metrics):
            return b""
        for name in others:
            del metrics[name]
        return frame(envelope.SerializeToString())


class _Matches(dict[str, bool]):
    """Remembers which names match; forgets them all when they become too many."""

    def __init__(self, expression: re2._Regexp) -> None:
        super().__init__()
        self._search = expression.search

    def __missing__(self, name: str) -> bool:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        matches = self[name] = self._search(name.encode()[:MAX_NAME_BYTES]) is not None
        return matches


def _compile(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.max_mem = _MAX_COMPILED_BYTES
    options.log_errors = False  # RE2 would write to the process's stderr
    options.never_capture = True
    written = pattern.encode("utf-8", "surrogateescape")
    if len(written) > MAX_PATTERN_BYTES:
        raise _bad("expression too large")
    try:
        return re2.compile(written, options)
    except re2.error as error:
        raise _bad(error.args[0].decode("utf-8", "replace")) from None


def _bad(error: str) -> BadRequest:
    """Say what RE2 says as Go does."""
    reason, colon, where = error.partition(": ")
    message = _IN_GO.get(reason, reason) + (f": `{where}`" if colon else "")
    return BadRequest(f"name filter must be a valid regular expression: error parsing regexp: {message}")
