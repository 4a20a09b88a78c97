"""An envelope as syslog messages of RFC 5424, to the byte as the original's agent writes them (loggregator.md 5.5).

What would break the form is not sent: a header field or the name of a tag that is not printable ASCII makes the whole
envelope `Unformattable`. Tags are those in `tags`; what is in deprecated_tags does not show.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from envelope.numbers_as_text import general
from envelope.pb.loggregator_v2_pb2 import Envelope, Log

_MOST_HOST = 255
_MOST_HOST_PART = 63
_MOST_APP_NAME = 48
_MOST_PROCID = 128 - len(b"[]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOST_TAGS = ("organization_name", "space_name", "app_name")
_SPACES = re.compile(r"[\t\n\f\r ]+")
_NOT_IN_HOSTS = re.compile(r"[^-a-zA-Z0-9]+")
_HEADER = re.compile(rb"[!-~]*")
_NAME = re.compile(r"[!#-<>-\\^-~]*")  # printable, but for the space and ="]
_ESCAPED = re.compile(r'[\\"\]]')

_Pairs = Sequence[tuple[str, str]]


class Unformattable(ValueError):
    """No message of RFC 5424 says this."""


def most_bytes(size: int) -> int:
    """Say how much the messages of an envelope of `size` bytes may take together: a gauge repeats its tags."""
    return 32 * (size + 512)


def messages(envelope: Envelope, hostname: bytes, metadata: bool, room: int) -> list[bytes]:
    """Write an envelope: as one message, a gauge as one for each metric (by name), a bare envelope as none.

    `hostname` is HOST unless tags say more; `metadata` shows the tags. Raises `Unformattable`, also when the messages
    would take more than `room` bytes.
    """
    bodies = list(_bodies(envelope))
    if not bodies:
        return []
    written: list[bytes] = []
    head = _head(envelope, hostname)
    tags = _element("tags", sorted(envelope.tags.items())) if metadata and envelope.tags else b""
    for element, text in bodies:
        message = b"%s %s %s" % (head, element + tags or b"-", text)
        room -= len(message)
        if room < 0:
            raise Unformattable("too many metrics with too many tags")
        written.append(message)
    return written


def _bodies(envelope: Envelope) -> Iterator[tuple[bytes, bytes]]:
    """Yield the element of structured data, if there is one, and the text of each message."""
    match envelope.WhichOneof("message"):
        case "log":
            text = envelope.log.payload.replace(b"\0", b"")
            yield b"", text if text.endswith(b"\n") else text + b"\n"
        case "counter":
            counter = envelope.counter
            pairs = [("name", counter.name), ("total", str(counter.total)), ("delta", str(counter.delta))]
            yield _element("counter", pairs), b"\n"
        case "gauge":
            for name, metric in sorted(envelope.gauge.metrics.items()):
                pairs = [("name", name), ("value", general(metric.value)), ("unit", metric.unit)]
                yield _element("gauge", pairs), b"\n"
        case "timer":
            timer = envelope.timer
            pairs = [("name", timer.name), ("start", str(timer.start)), ("stop", str(timer.stop))]
            yield _element("timer", pairs), b"\n"
        case "event":
            yield _element("event", [("title", envelope.event.title), ("body", envelope.event.body)]), b"\n"


def _head(envelope: Envelope, hostname: bytes) -> bytes:
    """Write everything before the structured data."""
    is_log = envelope.HasField("log")
    priority = 11 if is_log and envelope.log.type == Log.ERR else 14
    fields = (
        (_host(envelope.tags) or hostname)[:_MOST_HOST],
        envelope.source_id.encode()[:_MOST_APP_NAME],
        b"[%s]" % _process(envelope, is_log)[:_MOST_PROCID],
    )
    if not all(map(_HEADER.fullmatch, fields)):
        raise Unformattable("a field of the header is not printable ASCII")
    named = b" ".join(field or b"-" for field in fields)
    return b"<%d>1 %s %s -" % (priority, _time(envelope.timestamp), named)


def _time(timestamp: int) -> bytes:
    time = _EPOCH + timedelta(microseconds=timestamp // 1000)
    fraction = f".{time.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{time:%Y-%m-%dT%H:%M:%S}{fraction}+00:00".encode()


def _host(tags: Mapping[str, str]) -> bytes:
    """Return what the tags say of the host, nothing if none of them does."""
    if not any(name in tags for name in _HOST_TAGS):
        return b""
    parts = (_NOT_IN_HOSTS.sub("", _SPACES.sub("-", tags.get(name, ""))).rstrip("-") for name in _HOST_TAGS)
    return ".".join(part[:_MOST_HOST_PART] for part in parts).encode()


def _process(envelope: Envelope, is_log: bool) -> bytes:
    instance_id = envelope.instance_id.encode()
    if not is_log:
        return instance_id
    source_type = envelope.tags.get("source_type", "").encode().upper().replace(b" ", b"-")
    return b"%s/%s" % (source_type, instance_id) if instance_id else source_type


def _element(name: str, pairs: _Pairs) -> bytes:
    """Write an element of structured data."""
    if not all(_NAME.fullmatch(key) for key, _ in pairs):
        raise Unformattable("the name of a tag is not printable ASCII, or has one of = ] and quotes in it")
    written = "".join(f' {key}="{_ESCAPED.sub(_escape, value)}"' for key, value in pairs)
    return f"[{name}@47450{written}]".encode()


def _escape(match: re.Match[str]) -> str:
    return f"\\{match[0]}"
