"""Take dropsonde: one v1 envelope per datagram becomes one v2 envelope (loggregator.md 1.1, v1 pipeline; 2.4, 2.5).

What does not parse, lacks what v1 requires, or has no message of its type is malformed. A number that its enum does
not know is a value like any other (`envelope.v1_required`); of the event type alone it makes an envelope malformed.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.framing import frame
from envelope.pb import dropsonde_pb2 as v1
from envelope.v1_required import missing_fields
from envelope.v1_to_v2 import to_v2
from metron.sources.counts import DoorCounts
from metron.sources.remembered import Remembered
from metron.sources.udp import Parsed

_UINT64 = 0xFFFFFFFFFFFFFFFF
_HOME = ("deployment", "job", "index", "ip")
_MESSAGES: Mapping[int, str] = {
    v1.Envelope.HttpStartStop: "httpStartStop",
    v1.Envelope.LogMessage: "logMessage",
    v1.Envelope.ValueMetric: "valueMetric",
    v1.Envelope.CounterEvent: "counterEvent",
    v1.Envelope.Error: "error",
    v1.Envelope.ContainerMetric: "containerMetric",
}


class DropsondeParser:
    """Makes v2 batches of v1 datagrams; keeps the running totals of counters, `max_counters` of them.

    `tags` are those of the agent: an envelope that does not name its deployment, job, index or ip gets these.
    """

    def __init__(self, tags: Mapping[str, str], max_counters: int, counts: DoorCounts) -> None:
        home = v1.Envelope()
        for name in _HOME:
            setattr(home, name, tags.get(name, ""))
        self._home = home.SerializePartialToString()
        self._totals = Remembered(max_counters, 0, counts)

    def __call__(self, datagram: bytes, now_ns: int) -> Parsed:  # noqa: ARG002 - a v1 envelope has a time of its own
        """Return a batch of one, or what is wrong with the datagram."""
        try:
            envelope = v1.Envelope.FromString(self._home + datagram)  # of two values the last one wins: its own
        except ProtobufDecodeError:
            return Parsed.refused("no protobuf message")
        fault = _fault_of(envelope)
        if fault:
            return Parsed.refused(fault)
        self._complete(envelope)
        return Parsed(frame(to_v2(envelope).SerializeToString()), envelopes=1)

    def _complete(self, envelope: v1.Envelope) -> None:
        """Fill in what the original fills in, beside where it comes from: the source_id, and a counter's total."""
        if not envelope.tags["source_id"]:  # asking for it makes it, empty
            envelope.tags["source_id"] = _text(envelope.origin)
        if envelope.eventType == v1.Envelope.CounterEvent:
            self._count(envelope)

    def _count(self, envelope: v1.Envelope) -> None:
        """Know the counter's total, or go by what its sender says it is.

        The agent's own totals (`envelope.tags`) take one that is there as it is, so nothing is counted twice. They
        would not tell instances apart, whose tag `instance_id` is gone in v2.
        """
        counter: v1.CounterEvent = envelope.counterEvent
        name = _identity(envelope, counter)
        if not counter.total:
            counter.total = (self._totals.get(name) + counter.delta) & _UINT64
        self._totals.set(name, counter.total)


def _identity(envelope: v1.Envelope, counter: v1.CounterEvent) -> bytes:
    """Give what a counter is known by: origin, name and tags (but for those whose very names are not UTF-8)."""
    tags = sorted((key, envelope.tags[key]) for key in envelope.tags if isinstance(key, str))
    return repr((envelope.origin, counter.name, tags)).encode()


def _fault_of(envelope: v1.Envelope) -> str:
    """Say what makes an envelope invalid; nothing for a good one."""
    if not envelope.HasField("eventType"):
        return "no event type that v1 knows"
    message = _MESSAGES[envelope.eventType]
    if not envelope.HasField(message):
        return f"no {message}"
    missing = missing_fields(envelope)
    return f"no {missing[0]}" if missing else ""


def _text(value: str | bytes) -> str:
    """Return text as text: protobuf's classes give v1 strings that are not UTF-8 as bytes."""
    return value if isinstance(value, str) else value.decode(errors="replace")
