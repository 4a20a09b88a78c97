"""What the sources count, and how they speak of a fault once."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DoorCounts:
    """Plain counters of one UDP door."""

    datagrams: int = 0
    """Datagrams read."""

    malformed: int = 0
    """Envelopes or lines that are none."""

    overflowed: int = 0
    """Datagrams that the kernel dropped because nobody had read those before them yet."""

    names_forgotten: int = 0
    """Counters and gauges whose value was forgotten because there were too many of them."""


@dataclass(slots=True)
class SyslogCounts:
    """Plain counters of the syslog receiver, over TCP, TLS and UDP together."""

    messages: int = 0
    """Messages read."""

    plain: int = 0
    """Messages without a header, taken for text as they are."""

    malformed: int = 0
    """Messages of nothing at all, and those whose end never came."""

    truncated: int = 0
    """Messages cut off at the limit."""

    params_left_out: int = 0
    """Parameters of structured data that were too many or too long to become tags."""

    connections: int = 0
    """Connections open now."""

    closed: Counter[str] = field(default_factory=Counter)
    """Connections that were closed on a peer, by reason."""


@dataclass(slots=True)
class SourceCounts:
    """Plain counters of every source of one metron."""

    lines_read: int = 0
    """Log envelopes made of the lines of files and stdin; each piece of a long line is one."""

    gauges_read: int = 0
    """Gauge envelopes made of readings of the host."""

    files_open: int = 0
    """Files open now."""

    truncations: int = 0
    """Times a followed file was cut short or overwritten, and read again from its beginning."""

    rotations: int = 0
    """Times a new file took the path of a followed one."""

    long_lines: int = 0
    """Lines longer than the limit, sent in pieces."""

    scrape_targets: int = 0
    """Prometheus targets there are now."""

    failed_scrapes: dict[str, int] = field(default_factory=dict)
    """Scrapes that failed, by the source_id of the target; of the targets there are now."""

    samples_read: int = 0
    """Gauge and counter envelopes made of scraped samples."""

    samples_skipped: int = 0
    """Scraped samples whose numbers make no envelope: not finite, negative counters."""

    errors: Counter[str] = field(default_factory=Counter)
    """What went wrong, by reason: `sources_errors_total{reason}`."""

    doors: dict[str, DoorCounts] = field(default_factory=lambda: {"dropsonde": DoorCounts(), "statsd": DoorCounts()})
    """What happened at each UDP door, by its name; that of syslog is here once it is open."""

    syslog: SyslogCounts = field(default_factory=SyslogCounts)
    """What happened to syslog messages, however they came."""


class Faults:
    """Counts and logs what is wrong with a path once, until it is well or wrong in another way."""

    def __init__(self, counts: SourceCounts) -> None:
        self._counts = counts
        self._known: dict[str, str] = {}

    def report(self, path: str, reason: str, detail: object = None) -> None:
        """Say that `path` cannot be read because of `reason`, unless that was said before."""
        if self._known.get(path) == reason:
            return
        self._known[path] = reason
        self._counts.errors[reason] += 1
        log.warning("file_skipped", path=printable(path), reason=reason, detail=detail and str(detail))

    def clear(self, path: str) -> None:
        """`path` is well."""
        self._known.pop(path, None)

    def retain(self, paths: Set[str]) -> None:
        """Forget what was said about any path but these."""
        for path in self._known.keys() - paths:
            del self._known[path]


def printable(path: str) -> str:
    """Make valid Unicode of a path of any bytes: those that are no UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
