"""Make envelopes of syslog messages. No I/O, no clock.

A message that a drain wrote becomes the envelope it was made of (`drains`). Of any other, APP-NAME becomes the
source_id and PROCID the instance_id; severity 3 and worse is ERR; tags are hostname, facility, severity, msgid, and
each parameter of structured data as `SD-ID.name`. What names no time gets that of its arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from envelope import kernel
from envelope.framing import frame, varint
from envelope.pb.loggregator_v2_pb2 import Envelope
from metron.sources.counts import SyslogCounts
from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.drains import drained, is_by_drain
from metron.sources.syslog.parse import NO_HEADER, Header, Message, parse
from metron.sources.syslog.structured import Element, elements_of
from metron.sources.udp import Parsed

_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))),
)
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_WORST_OF_OUT = 4
_USUAL_PRIORITY = 13  # RFC 3164 4.3.3: of a message that has none
_UINT64 = 0xFFFFFFFFFFFFFFFF
_BOM = b"\xef\xbb\xbf"
_BLANK = b"\r\n\0"
_REMEMBERED = 1024
_MOST_REMEMBERED_BYTES = 1024  # of structured data
_MOST_SD_ID = 64  # twice what the RFC allows; it stands in every tag
_SD_TAGS = b"[tags@47450 "


class _Head(NamedTuple):
    """What an envelope has but for its time and the text of a log."""

    fields: bytes
    is_log: bool
    err: bool
    by_drain: bool
    params_left_out: int


class SyslogParser:
    """Makes batches of messages, and counts what it sees. Hot path: `of_messages`, 7 µs for a log, 20 for a metric.

    What messages of one application have in common is made once: that of the last 1,024 is remembered.
    """

    def __init__(self, config: SyslogReceiver, counts: SyslogCounts) -> None:
        self._config = config
        self._counts = counts
        self._zone = ZoneInfo(config.timezone) if config.timezone else None
        self._remembered_head = lru_cache(maxsize=_REMEMBERED)(self._head)

    def __call__(self, datagram: bytes, now_ns: int) -> Parsed:
        """Make an envelope of a datagram."""
        if len(datagram) > self._config.max_message_bytes:
            self._counts.truncated += 1
            datagram = datagram[: self._config.max_message_bytes]
        return self.of_messages([datagram], now_ns)

    def of_messages(self, messages: Sequence[bytes], now_ns: int) -> Parsed:
        """Make an envelope of each message; one of no bytes but a trailer is malformed."""
        made: list[bytes] = []
        for message in messages:
            parsed = parse(message, now_ns + len(made), self._zone)
            if parsed.header is NO_HEADER:
                if not parsed.text:
                    continue
                self._counts.plain += 1
            made.append(self._envelope(parsed, now_ns + len(made)))
        malformed = len(messages) - len(made)
        self._counts.messages += len(messages)
        self._counts.malformed += malformed
        return Parsed(b"".join(made), len(made), malformed, "an empty message" if malformed else "")

    def _envelope(self, message: Message, now_ns: int) -> bytes:
        header, timestamp, text = message
        if timestamp is None:
            timestamp = now_ns
        structured = header.structured
        is_usual = not structured or (structured.startswith(_SD_TAGS) and len(structured) <= _MOST_REMEMBERED_BYTES)
        head = self._remembered_head(header) if is_usual else self._head(header)
        self._counts.params_left_out += head.params_left_out
        if not head.is_log:
            return frame(head.fields + b"\x08" + varint(timestamp & _UINT64))
        text = text.removesuffix(b"\n") if head.by_drain else text.removeprefix(_BOM).rstrip(_BLANK)
        return kernel.log_batch([text], head.fields, timestamp, head.err)

    def _head(self, header: Header) -> _Head:
        priority = _USUAL_PRIORITY if header.priority is None else header.priority
        elements, left_out = elements_of(header.structured, self._config.max_params)
        envelope = drained(header, elements) if is_by_drain(header) else None
        by_drain = envelope is not None
        if envelope is None:
            tags, too_long = self._params(elements)
            left_out += too_long
            envelope = self._foreign(header, tags)
        is_log = envelope.WhichOneof("message") is None
        return _Head(envelope.SerializeToString(), is_log, priority % 8 < _WORST_OF_OUT, by_drain, left_out)

    def _foreign(self, header: Header, params: dict[str, str]) -> Envelope:
        source_id = header.app_name.decode(errors="replace") or self._config.default_source_id
        tags = {"hostname": header.hostname.decode(errors="replace"), "msgid": header.msgid.decode(errors="replace")}
        if header.priority is not None:
            facility, severity = divmod(header.priority, 8)
            tags |= {"facility": _FACILITIES[facility], "severity": _SEVERITIES[severity]}
        return Envelope(
            source_id=self._config.source_id_prefix + source_id,
            instance_id=header.procid.decode(errors="replace"),
            tags={key: value for key, value in tags.items() if value} | params,
        )

    def _params(self, elements: Sequence[Element]) -> tuple[dict[str, str], int]:
        """Make tags of parameters; those that are too long are counted."""
        tags: dict[str, str] = {}
        too_long = 0
        for name, params in elements:
            for key, value in params or [("", "")]:
                if len(name) > _MOST_SD_ID or len(key) + len(value) > self._config.max_param_bytes:
                    too_long += 1
                else:
                    tags[f"{name}.{key}" if key else name] = value
        return tags, too_long
