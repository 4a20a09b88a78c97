"""Take a syslog message apart: RFC 5424, RFC 3164, and what programs send that is neither. No I/O, no clock.

Whatever the bytes, there is an answer, and the time it takes grows with their number alone: no repetition below can
give back what it took, or it is of a bounded length. Taken as well as what the RFCs say: no PRI; ISO timestamps, years
and fractions in BSD form, or no host there; Cisco's sequence numbers and `%FACILITY-SEVERITY-MNEMONIC`; RFC 5424
without structured data, with longer fields, or with `]` in a value. What has no header is all text.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import NamedTuple

from metron.sources.syslog.times import bsd_ns, iso_ns, zone_named

_MOST_PRIORITY = 191
_TRAILER = b"\r\n\0"

_PRIORITY = re.compile(rb"<([0-9]{1,3})>")
_FIELD = rb" ([!-\xff]{1,255}+)"
_RFC5424 = re.compile(rb"[1-9][0-9]{0,2} (-|[0-9]{4}-[!-\xff]{1,60}+)" + _FIELD * 4 + rb"(?: |\Z)")
_NAME = rb'[^\0- =\]"]'
_STRUCTURED = re.compile(
    rb'(-|(?:\[%s++(?: ++%s*+="(?:[^"\\]++|\\.)*+")*+ *+\])++)(?: |\Z|(?=[\r\n\0]))' % (_NAME, _NAME), re.DOTALL
)
_ISO_TIME = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}[0-9.,:Zz+-]{0,20}+)(?: ++|\Z)")
_BSD_TIME = re.compile(
    rb"(?:[0-9]{1,10}: )?(?:([0-9A-Za-z_.-]{1,255}+): )?"  # of Cisco: the sequence number, who it is
    rb"[*.]?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}([0-9]{1,2}) (?:([0-9]{4}) )?"
    rb"([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,12}))?(?: ([A-Z]{3,5})(?=:| [0-9]{4} ))?"
    rb"(?: ([0-9]{4})(?=:? ))?:?(?: ++|\Z)"
)
_HOST = re.compile(rb"([0-9A-Za-z][0-9A-Za-z_.:%-]{0,254}+|\[[0-9A-Fa-f:.]{2,45}+\])(?: ++|\Z)(?:: )?")
_TAG = re.compile(rb"([0-9A-Za-z_/.(][0-9A-Za-z_/.()@+~-]{0,127}+)(?:\[([^\0- \]]{1,128}+)\]:?|:)(?: |\Z|(?=[\r\n\0]))")
_MNEMONIC = re.compile(rb"%([0-9A-Z_]{1,64}+(?:-[0-9A-Z_]{1,64}+){1,8}+):")


class Header(NamedTuple):
    """What a message says beside its time and its text; a field it has not, or leaves out by `-`, is empty."""

    priority: int | None = None
    hostname: bytes = b""
    app_name: bytes = b""
    procid: bytes = b""
    msgid: bytes = b""
    structured: bytes = b""
    """The elements of structured data, as they stand there."""

    is_rfc5424: bool = False


NO_HEADER = Header()


class Message(NamedTuple):
    """What a message says."""

    header: Header
    timestamp: int | None
    """In nanoseconds since 1970."""

    text: bytes


def parse(message: bytes, now_ns: int, zone: tzinfo | None) -> Message:
    """Take a message apart that came at `now_ns`; a time that names no zone is in `zone`, None for the machine's.

    The text of RFC 5424 is as it stands there, with its BOM and its trailer if it has them; others lose the trailer.
    Hot path: 4 µs, most of which the regular expressions take.
    """
    at, priority = 0, None
    match = _PRIORITY.match(message)
    if match and (value := int(match[1])) <= _MOST_PRIORITY:
        at, priority = match.end(), value
        match = _RFC5424.match(message, at)
        if match:
            return _rfc5424(message, priority, match, zone)
    return _rfc3164(message, at, priority, now_ns, zone)


def _rfc5424(message: bytes, priority: int, header: re.Match[bytes], zone: tzinfo | None) -> Message:
    at = header.end()
    structured = b""
    if found := _STRUCTURED.match(message, at):
        structured, at = found[1], found.end()
    hostname, app_name, procid, msgid, structured = map(_unless_nil, (*header.groups()[1:], structured))
    fields = Header(priority, hostname, app_name, procid, msgid, structured, is_rfc5424=True)
    return Message(fields, iso_ns(header[1], zone), message[at:])


def _rfc3164(message: bytes, start: int, priority: int | None, now_ns: int, zone: tzinfo | None) -> Message:
    hostname, at, timestamp = b"", start, None
    if has_time := (found := _BSD_TIME.match(message, at)) is not None:
        origin, month, day, year, time, fraction, zone_name, year_after = found.groups(b"")
        hostname, at, zone = origin, found.end(), zone_named(zone_name, zone)
        year = year or year_after
        timestamp = bsd_ns((month, day), time, year=year, fraction=fraction, zone=zone, now_ns=now_ns)
    elif has_time := (found := _ISO_TIME.match(message, at)) is not None:
        at, timestamp = found.end(), iso_ns(found[1], zone)
    tag = _TAG.match(message, at)
    if has_time and tag is None and (host := _HOST.match(message, at)):
        hostname, at = host[1], host.end()
        tag = _TAG.match(message, at)
    mnemonic = _MNEMONIC.match(message, at)
    if priority is None and not (has_time and (tag or mnemonic)):
        return Message(NO_HEADER, None, message.rstrip(_TRAILER))
    app_name, procid = tag.groups(b"") if tag else (b"", b"")
    text = message[tag.end() if tag else at :].rstrip(_TRAILER)
    return Message(Header(priority, hostname, app_name, procid, mnemonic[1] if mnemonic else b""), timestamp, text)


def _unless_nil(field: bytes) -> bytes:
    return b"" if field == b"-" else field
