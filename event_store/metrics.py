"""Every metric an event store exposes."""

from __future__ import annotations

from dataclasses import dataclass

from event_store.books import account
from event_store.upkeep import Upkeep
from event_store.writer import Writer
from plumbing.egress_client import Dopplers
from plumbing.gathering.gathering import Gathering
from plumbing.gathering.intake import Intake
from plumbing.ledger import Account
from plumbing.metrics import Metrics

_ROOM = "event_store"


@dataclass(frozen=True, slots=True)
class Parts:
    """What is counted in."""

    intake: Intake
    connections: Dopplers
    gathering: Gathering
    writer: Writer
    upkeep: Upkeep

    @property
    def account(self) -> Account:
        """The books of what is written."""
        return account(self.gathering.received, self.writer.counts)

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why the store cannot do its work, each reason once."""
        return tuple(dict.fromkeys(filter(None, (self.writer.trouble, self.upkeep.trouble))))


def expose(metrics: Metrics, parts: Parts) -> None:
    """Register those of what comes in, and of what is written."""
    counts, written, dopplers = parts.intake.counts, parts.writer.counts, parts.connections
    metrics.counter(f"{_ROOM}_envelopes_received_total", "Envelopes from the Dopplers.", lambda: counts.fed)
    metrics.counter(
        f"{_ROOM}_envelopes_repeated_total",
        "Those that had come before, and are in the store.",
        lambda: counts.repeated,
    )
    metrics.counter(f"{_ROOM}_envelopes_stored_total", "Envelopes that are on disk.", lambda: written.stored)
    metrics.counter(
        f"{_ROOM}_envelopes_dropped_total",
        "Envelopes that did not get into the store, by reason.",
        lambda: {("malformed",): float(counts.fed_malformed), ("unfit",): float(written.unfit)},
        labels=("reason",),
    )
    metrics.gauge(f"{_ROOM}_envelopes_held", "Envelopes that wait to be written.", lambda: parts.account.held)
    metrics.counter(
        f"{_ROOM}_events_stored_total",
        "Events that they became: one for each metric of a gauge.",
        lambda: written.events,
    )
    metrics.counter(f"{_ROOM}_appends_total", "Times that the disk was forced.", lambda: written.appends)
    metrics.counter(f"{_ROOM}_append_seconds_total", "How long it took, from bytes to disk.", lambda: written.append_s)
    metrics.counter(
        f"{_ROOM}_appends_refused_total", "Tries that found no room on disk, or no memory.", lambda: written.full
    )
    metrics.gauge(
        f"{_ROOM}_full", "1 while there is no room on disk, or no memory, else 0.", lambda: float(bool(parts.troubles))
    )
    metrics.counter(f"{_ROOM}_doppler_connects_total", "Streams opened at Dopplers.", lambda: dopplers.connects)
    metrics.counter(f"{_ROOM}_doppler_disconnects_total", "Streams at Dopplers ended.", lambda: dopplers.disconnects)
    _expose_disk(metrics, parts.upkeep)


def _expose_disk(metrics: Metrics, upkeep: Upkeep) -> None:
    """Register those of what is kept, as of the last look at it."""
    metrics.gauge(f"{_ROOM}_events", "Events in the store.", lambda: upkeep.seen.events)
    metrics.gauge(f"{_ROOM}_hot_events", "Of them, those in memory and in the log.", lambda: upkeep.seen.hot_events)
    metrics.gauge(f"{_ROOM}_hot_bytes", "Memory that those take.", lambda: upkeep.seen.hot_bytes)
    metrics.gauge(f"{_ROOM}_wal_bytes", "Bytes of the log on disk.", lambda: upkeep.seen.wal_bytes)
    metrics.gauge(f"{_ROOM}_segments", "Segments on disk.", lambda: upkeep.seen.segments)
    metrics.gauge(f"{_ROOM}_segment_bytes", "Their bytes.", lambda: upkeep.seen.segment_bytes)
    metrics.gauge(f"{_ROOM}_index_bytes", "Bytes of the indexes beside them.", lambda: upkeep.seen.index_bytes)
    metrics.gauge(f"{_ROOM}_set_aside", "Damaged things that were set aside.", lambda: upkeep.seen.set_aside)
    metrics.gauge(f"{_ROOM}_recovery_s", "How long opening the store took.", lambda: upkeep.seen.recovery_s)
    metrics.counter(f"{_ROOM}_flushes_total", "Times that memory became segments.", lambda: upkeep.flushes)
    metrics.counter(f"{_ROOM}_flush_seconds_total", "How long those took.", lambda: upkeep.flush_s)
    metrics.counter(f"{_ROOM}_compacted_total", "Segments that were joined with others.", lambda: upkeep.compacted)
    metrics.counter(f"{_ROOM}_compact_seconds_total", "How long that took.", lambda: upkeep.compact_s)
    metrics.counter(
        f"{_ROOM}_verified_bytes_total",
        "Bytes on disk that were read again, to find what is damaged.",
        lambda: upkeep.verified_bytes,
    )
    metrics.counter(f"{_ROOM}_verify_seconds_total", "Time of a processor that this took.", lambda: upkeep.verify_s)
    metrics.counter(
        f"{_ROOM}_events_expired_total",
        "Events that were kept no longer, since the store began.",
        lambda: upkeep.seen.gone.events,
    )
    metrics.counter(
        f"{_ROOM}_segments_expired_total",
        "Segments that went as a whole, since the store began.",
        lambda: upkeep.seen.gone.segments,
    )
