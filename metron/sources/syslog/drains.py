"""Make again the envelope that a drain made a message of (loggregator.md 5.5): `envelope.syslog`, the other way round.

What a drain does not write cannot come back: a newline at the end of a log and NULs in it, nanoseconds below a
microsecond, the end of a source_id over 48 bytes, of an instance_id that fills the PROCID, that metrics were one gauge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envelope.pb.loggregator_v2_pb2 import Envelope
from metron.sources.syslog.parse import Header
from metron.sources.syslog.structured import Element

_ENTERPRISE = "@47450"
_METRICS = {"counter", "gauge", "timer", "event"}


def is_by_drain(header: Header) -> bool:
    """Whether a drain may have written this: PROCID in brackets, no MSGID, and no structured data but a drain's."""
    return header.procid[:1] == b"[" and header.procid[-1:] == b"]" and header.is_rfc5424 and not header.msgid


def drained(header: Header, elements: Sequence[Element]) -> Envelope | None:
    """Make the envelope, but for its time and the text of a log; None if no drain wrote this after all."""
    metric, tags = _parts(elements)
    if metric is None or tags is None:
        return None
    inside = header.procid[1:-1].decode(errors="replace")
    envelope = Envelope(source_id=header.app_name.decode(errors="replace"), tags=tags)
    if not metric.name:
        envelope.instance_id = _instance_of_log(inside, envelope)
    elif _fill(envelope, metric):
        envelope.instance_id = inside
    else:
        return None
    if not tags and header.hostname:  # of tags, the host is made; without, nothing else says whose this is
        envelope.tags["hostname"] = header.hostname.decode(errors="replace")
    return envelope


def _parts(elements: Sequence[Element]) -> tuple[Element | None, Mapping[str, str] | None]:
    """Return the element of a metric, a nameless one for a log, and the tags; None for what no drain writes."""
    kinds = [element.name.removesuffix(_ENTERPRISE) for element in elements if element.name.endswith(_ENTERPRISE)]
    if len(kinds) != len(elements):
        return None, None
    match kinds:
        case []:
            return Element("", []), {}
        case ["tags"]:
            return Element("", []), dict(elements[0].params)
        case [kind] if kind in _METRICS:
            return Element(kind, elements[0].params), {}
        case [kind, "tags"] if kind in _METRICS:
            return Element(kind, elements[0].params), dict(elements[1].params)
    return None, None


def _instance_of_log(inside: str, envelope: Envelope) -> str:
    """Read `APP/PROC/WEB/0`, where the tag source_type says what is before the instance, or becomes that."""
    if envelope.tags:
        known = dict(envelope.tags).get("source_type", "").upper().replace(" ", "-")
        if inside == known or inside.startswith(f"{known}/"):
            return inside[len(known) + 1 :]
    source_type, _, instance_id = inside.rpartition("/")
    if source_type and "source_type" not in envelope.tags:
        envelope.tags["source_type"] = source_type
    return instance_id


def _fill(envelope: Envelope, metric: Element) -> bool:
    """Put the metric into the envelope; False where a parameter is missing, or is no number of 64 bits."""
    said = dict(metric.params)
    try:
        match metric.name:
            case "counter":
                counter = envelope.counter
                counter.name, counter.total, counter.delta = said["name"], int(said["total"]), int(said["delta"])
            case "gauge":
                value = envelope.gauge.metrics[said["name"]]
                value.unit, value.value = said["unit"], float(said["value"])
            case "timer":
                timer = envelope.timer
                timer.name, timer.start, timer.stop = said["name"], int(said["start"]), int(said["stop"])
            case _:
                envelope.event.title, envelope.event.body = said["title"], said["body"]
    except (KeyError, ValueError):
        return False
    return True
