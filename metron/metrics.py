"""Every metric an agent exposes (its own names; loggregator.md 1.1 lists the original's)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from metron.agent import Agent
from metron.sources import SourceCounts
from plumbing.metrics import Metrics

_OF_DOORS = {
    "datagrams": "Datagrams read.",
    "malformed": "Envelopes and lines in datagrams that were none.",
    "overflowed": "Datagrams that the kernel dropped because its buffer was full.",
    "names_forgotten": "Counters and gauges that begin anew because there were too many of them.",
}

_OF_SYSLOG = {
    "messages": "Syslog messages read, over TLS, TCP and UDP.",
    "plain": "Syslog messages without a header, taken as text.",
    "malformed": "Syslog messages of nothing at all, and those whose end never came.",
    "truncated": "Syslog messages cut off at the limit.",
    "params_left_out": "Parameters of structured data that were too many or too long to become tags.",
}


def expose(metrics: Metrics, agent: Agent, sources: SourceCounts) -> None:
    """Register them; each is read when scraped."""
    metrics.counter("metron_envelopes_received_total", "Envelopes taken in.", lambda: agent.account().received)
    metrics.counter("metron_envelopes_delivered_total", "Envelopes sent on.", lambda: agent.account().delivered)
    metrics.counter(
        "metron_envelopes_dropped_total",
        "Envelopes dropped, by reason.",
        lambda: {(reason,): float(count) for reason, count in agent.account().dropped.items()},
        labels=("reason",),
    )
    metrics.gauge("metron_envelopes_held", "Envelopes waiting for a Doppler.", lambda: agent.diode.held)
    metrics.gauge("metron_envelopes_in_flight", "Envelopes sent and not confirmed.", lambda: agent.account().in_flight)
    metrics.counter(
        "metron_envelopes_returned_total",
        "Envelopes taken back from broken streams and sent again.",
        lambda: agent.returned,
    )
    metrics.counter(
        "metron_origin_mappings_total",
        "Envelopes named after their origin tag, for want of a source_id.",
        lambda: agent.origin_mappings,
    )
    metrics.gauge(
        "metron_doppler_connections", "Open links to Dopplers.", lambda: sum(link.connected for link in agent.links)
    )
    metrics.counter(
        "metron_ingress_streams_broken_total",
        "Streams whose client vanished or sent a message over the limit.",
        lambda: agent.doors.broken_streams,
    )
    metrics.gauge("metron_ingress_streams", "Open ingress streams.", lambda: agent.doors.streams)
    metrics.counter("metron_lines_read_total", "Lines of files and standard input read.", lambda: sources.lines_read)
    metrics.counter("metron_gauges_read_total", "Gauges of this machine read.", lambda: sources.gauges_read)
    metrics.gauge("metron_files_open", "Followed files open now.", lambda: sources.files_open)
    metrics.counter("metron_file_rotations_total", "New files in a followed path.", lambda: sources.rotations)
    metrics.counter("metron_file_truncations_total", "Followed files cut short.", lambda: sources.truncations)
    metrics.counter("metron_long_lines_total", "Lines sent in pieces.", lambda: sources.long_lines)
    metrics.gauge("metron_scrape_targets", "Prometheus targets there are now.", lambda: sources.scrape_targets)
    metrics.counter(
        "metron_failed_scrapes_total",
        "Scrapes that failed, by the source_id of the target.",
        lambda: {(name,): float(count) for name, count in sources.failed_scrapes.items()},
        labels=("scrape_target_source_id",),
    )
    metrics.counter("metron_samples_read_total", "Samples of scrapes sent on.", lambda: sources.samples_read)
    metrics.counter(
        "metron_samples_skipped_total",
        "Samples whose numbers make no envelope: not finite, negative counters.",
        lambda: sources.samples_skipped,
    )
    for name, meaning in _OF_DOORS.items():
        metrics.counter(f"metron_udp_{name}_total", meaning, partial(_by_door, sources, name), labels=("door",))
    for name, meaning in _OF_SYSLOG.items():
        metrics.counter(f"metron_syslog_{name}_total", meaning, partial(getattr, sources.syslog, name))
    metrics.gauge("metron_syslog_connections", "Open connections of syslog.", lambda: sources.syslog.connections)
    metrics.counter(
        "metron_syslog_connections_closed_total",
        "Connections of syslog that broke or were closed on their peers, by reason.",
        lambda: {(reason,): float(count) for reason, count in sources.syslog.closed.items()},
        labels=("reason",),
    )
    metrics.counter(
        "metron_source_errors_total",
        "Files and readings that could not be read, by reason.",
        lambda: {(reason,): float(count) for reason, count in sources.errors.items()},
        labels=("reason",),
    )


def _by_door(sources: SourceCounts, name: str) -> Mapping[tuple[str, ...], float]:
    return {(door,): float(getattr(counts, name)) for door, counts in sources.doors.items()}
