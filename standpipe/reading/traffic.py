"""Count who sends how much: envelopes, bytes and errors of every source in an interval. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nsmallest

from google.protobuf.message import DecodeError as ProtobufError

from envelope.pb import dropsonde_pb2 as v1
from standpipe.reading.show import SERVER_ERRORS, missed, source_of, to_record

MAX_SOURCES = 10_000
_FORGOTTEN_AT_ONCE = 10  # one in ten: to look for the quietest at every new source would take too long

_V1Type = v1.Envelope.EventType


@dataclass(slots=True)
class Load:
    """What one source sent, or several."""

    envelopes: int = 0
    bytes: int = 0
    errors: int = 0
    """Logs to ERR, answers of 500 and above, errors."""


@dataclass(slots=True)
class Traffic:
    """What came in one interval, by source."""

    max_sources: int = MAX_SOURCES
    sources: dict[str, Load] = field(default_factory=dict)
    total: Load = field(default_factory=Load)
    """Of all sources, forgotten ones included."""
    forgotten: int = 0
    """Sources of which there were too many; the quietest are forgotten first."""
    dropped: int = 0
    """Envelopes that were dropped for this reader, and so are missing here."""
    undecodable: int = 0

    def add(self, message: bytes) -> None:
        """Count one serialised v1 envelope."""
        try:
            envelope = v1.Envelope.FromString(message)
            source = source_of(envelope)
        except (ProtobufError, UnicodeDecodeError):
            self.undecodable += 1
            return
        load = self.sources.get(source)
        if load is None:
            load = self._new_source(source)
        is_error = _is_error(envelope)
        for each in (load, self.total):
            each.envelopes += 1
            each.bytes += len(message)
            each.errors += is_error
        if source == "doppler" and envelope.eventType == _V1Type.CounterEvent:
            self.dropped += missed(to_record(message))

    def _new_source(self, source: str) -> Load:
        if len(self.sources) >= self.max_sources:
            self._forget_the_quietest()
        load = self.sources[source] = Load()
        return load

    def _forget_the_quietest(self) -> None:
        most = max(1, self.max_sources // _FORGOTTEN_AT_ONCE)
        for source in nsmallest(most, self.sources, key=lambda name: self.sources[name].envelopes):
            del self.sources[source]
            self.forgotten += 1


def _is_error(envelope: v1.Envelope) -> bool:
    log: v1.LogMessage = envelope.logMessage
    http: v1.HttpStartStop = envelope.httpStartStop
    match envelope.eventType:
        case _V1Type.LogMessage:
            return log.message_type == v1.LogMessage.ERR
        case _V1Type.HttpStartStop:
            return http.statusCode >= SERVER_ERRORS
        case kind:
            return kind == _V1Type.Error


def ranked(sources: Mapping[str, Load], by: str) -> list[tuple[str, Load]]:
    """Sort sources, those with the most `by` (envelopes, bytes, errors) first, equal ones by name."""
    return sorted(sources.items(), key=lambda item: (-getattr(item[1], by), item[0]))
