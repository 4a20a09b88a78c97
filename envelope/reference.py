"""The kernel in plain Python on protobuf's own parser: what every function of `envelope.kernel` means.

The compiled kernel does the same to the byte where map order does not matter, and is tested against this one. Every
function takes arbitrary bytes and raises nothing but DecodeError; all but `admit` expect a batch that `admit` let
through, and raise where it holds an envelope that does not parse. What is no envelope in a batch is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope import deprecated_tags, json_form
from envelope.columns import MOST_TAGS, Columns, columns_of
from envelope.errors import DecodeError
from envelope.framing import BATCH_TAG, frame, varint
from envelope.kinds import Keep, Kind
from envelope.line_fields import LineFields, Read, fields_of_lines
from envelope.marks import mark_of
from envelope.pairs import pairs_of
from envelope.pb.dropsonde_pb2 import HttpStartStop
from envelope.pb.loggregator_v2_pb2 import Envelope
from envelope.series import numbers, raw_tags
from envelope.severities import severities_of
from envelope.syslog import Unformattable, messages, most_bytes
from envelope.v1_bounds import V1_BYTES, most_v1_bytes
from envelope.v2_to_v1 import V1Envelope, V1Type, v1_forms
from envelope.websocket_frames import frame as websocket_frame
from envelope.websocket_frames import ws_payloads
from envelope.wire import fields
from envelope.words import may_have, word_filter_of

__all__ = [
    "admit",
    "columns",
    "converge",
    "count",
    "deal",
    "filter_has",
    "json_batch",
    "json_envelopes",
    "line_fields",
    "log_batch",
    "marks",
    "pairs",
    "samples",
    "select",
    "severities",
    "spans",
    "split",
    "syslog",
    "tag",
    "v1_frames",
    "v1_messages",
    "word_filter",
    "ws_payloads",
]

if TYPE_CHECKING:
    from typing_extensions import Buffer

_UINT64 = 0xFFFFFFFFFFFFFFFF
_MOST_END = 0xFFFFFFFF
_INDEX_RECORD = struct.Struct("<qIB")
_KINDS = {
    "log": int(Kind.LOG),
    "counter": int(Kind.COUNTER),
    "gauge": int(Kind.GAUGE),
    "timer": int(Kind.TIMER),
    "event": int(Kind.EVENT),
    None: int(Kind.BARE),
}


class _Item(NamedTuple):
    """An envelope and where it stands: `batch[start:end]` frames it, `body` is all of it but tag and length."""

    start: int
    end: int
    kind: int
    body: bytes
    envelope: Envelope


def admit(batch: bytes) -> tuple[bytes, int, int, int]:
    """Check a batch from outside: (clean, count, kinds, malformed).

    An envelope that does not parse is cut out and counted as malformed; a field that is no envelope is cut out
    silently. `clean` is the very same object when nothing had to go, `kinds` the bits of the envelopes that stay.
    DecodeError names the offset of the first field that cannot be told from the rest.
    """
    kept: list[bytes] = []
    kinds = malformed = cut = 0
    for field in fields(batch):
        if field.tag != BATCH_TAG:
            cut += 1
            continue
        try:
            envelope = Envelope.FromString(batch[field.body : field.end])
        except ProtobufDecodeError:
            malformed += 1
            continue
        kept.append(batch[field.start : field.end])
        kinds |= _kind_of(envelope)
    clean = b"".join(kept) if malformed or cut else batch
    return clean, len(kept), kinds, malformed


def marks(batch: bytes) -> bytes:
    """Make 8 bytes of each envelope, one behind the other, by which `envelope.marks` knows it again."""
    return b"".join(mark_of(item.body) for item in _items(batch))


def count(batch: bytes) -> int:
    """Say how many envelopes a batch holds, well-formed ones or not."""
    return sum(field.tag == BATCH_TAG for field in fields(batch))


def select(batch: bytes, kinds: int) -> tuple[bytes, int]:
    """Keep only the envelopes whose kind is among `kinds`, in order: (batch, count)."""
    kept = [batch[item.start : item.end] for item in _items(batch) if item.kind & kinds]
    return b"".join(kept), len(kept)


def split(batch: bytes, sources: Container[bytes]) -> dict[bytes, tuple[bytes, int, int]]:
    """Give each source_id that is among `sources` its envelopes, in order: (part, count, kinds)."""
    parts: dict[bytes, list[bytes]] = {}
    kinds: dict[bytes, int] = {}
    for item in _items(batch):
        source = item.envelope.source_id.encode()
        if source in sources:
            parts.setdefault(source, []).append(batch[item.start : item.end])
            kinds[source] = kinds.get(source, 0) | item.kind
    return {source: (b"".join(part), len(part), kinds[source]) for source, part in parts.items()}


def deal(batch: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    """Deal a batch out to its sources: source_id -> (part, index).

    `part` is a batch of the source's envelopes, in order. `index` has 13 bytes for each of them, packed little-endian:
    its timestamp (int64), where its frame ends in `part` (uint32), its kind (uint8). OverflowError says that a part
    has 4 GiB or more, beyond what an index can tell.
    """
    parts: dict[bytes, list[bytes]] = {}
    ends: dict[bytes, int] = {}
    records: dict[bytes, list[bytes]] = {}
    for item in _items(batch):
        source = item.envelope.source_id.encode()
        end = ends[source] = ends.get(source, 0) + item.end - item.start
        if end > _MOST_END:
            raise OverflowError("the envelopes of one source take more than 4 GiB")
        parts.setdefault(source, []).append(batch[item.start : item.end])
        records.setdefault(source, []).append(_INDEX_RECORD.pack(item.envelope.timestamp, end, item.kind))
    return {source: (b"".join(part), b"".join(records[source])) for source, part in parts.items()}


def columns(batch: bytes, most_tags: int = MOST_TAGS) -> Columns:
    """Turn a batch into columns: one row for each envelope, or for each metric of a gauge, in order.

    Each of the first `most_tags` tags has a column of its own. Of which tags these are, and of the order of a gauge's
    metrics, nothing is promised. OverflowError says that the texts of all rows take more than 2 GiB, or that rows times
    tags are more than `MOST_CELLS`.
    """
    return columns_of([item.envelope for item in _items(batch)], most_tags)


def severities(texts: bytes, ends: bytes) -> bytes:
    """Guess the severity of each text, as `Columns` has them: an `envelope.severities.Severity` for each, as uint8.

    ValueError says that an offset does not lie within the texts, or behind the one before it.
    """
    return severities_of(texts, ends)


def pairs(line: bytes, most: int) -> list[tuple[bytes, bytes, int]]:
    """Find the first `most` pairs of a line, any line: (key, value, `PairKind`), as `envelope.pairs` says."""
    return pairs_of(line, most)


def line_fields(texts: bytes, ends: bytes, kinds: bytes, most: int, read: Read) -> LineFields:
    """Find the fields of each text of `Columns` that is of a log, column by column, as `read` finds them in one line.

    The first `most` names, those of texts and those of numbers each for itself, have columns of their own. `read` is
    `event_store.fields.fields_of`: what is plain the compiled kernel reads by itself, to the same effect. ValueError
    says that the offsets are none of these texts, OverflowError that rows times columns are more than `MOST_CELLS`.
    """
    return fields_of_lines(texts, ends, kinds, most, read)


def word_filter(texts: Buffer, ends: Buffer, first: int, rows: int, validity: Buffer | None) -> bytes:
    """Make a filter of the words of some rows of Arrow's buffers of texts, as `envelope.words` says."""
    return word_filter_of(texts, ends, first, rows, validity)


def filter_has(filter_: Buffer, word: bytes) -> bool:
    """Whether a word may be among those of a filter, as `envelope.words` says; False only if it surely is not."""
    return may_have(filter_, word)


def samples(batch: bytes, wanted: Mapping[bytes, bool]) -> dict[tuple[bytes, bytes, bytes], tuple[bytes, bytes]]:
    """Take the numbers that `envelope.series` names out of a batch: series -> (times, values).

    `wanted` says of a name whether it is asked for. A series is (name, instance_id, tags); `tags` are the entries of
    that map as they stood on the wire, to be read by `Envelope.FromString`, so equal maps in another order make several
    series. The timestamps (int64) and values (float64) of one are in the order of the batch, packed little-endian.
    """
    series: dict[tuple[bytes, bytes, bytes], tuple[list[int], list[float]]] = {}
    for item in _items(batch):
        for text, value in numbers(item.envelope):
            name = text.encode()
            if wanted[name]:
                key = name, item.envelope.instance_id.encode(), raw_tags(item.body)
                times, values = series.setdefault(key, ([], []))
                times.append(item.envelope.timestamp)
                values.append(value)
    return {
        key: (struct.pack(f"<{len(times)}q", *times), struct.pack(f"<{len(values)}d", *values))
        for key, (times, values) in series.items()
    }


def spans(batch: bytes) -> list[tuple[int, int, int, bytes, int]]:
    """Index a batch: (start, end, kind, source_id, timestamp) of each; `batch[start:end]` is a batch of one."""
    return [
        (item.start, item.end, item.kind, item.envelope.source_id.encode(), item.envelope.timestamp)
        for item in _items(batch)
    ]


def tag(batch: bytes, defaults: bytes, rewrite: Callable[[bytes], bytes]) -> bytes:
    """Tag every envelope as an agent does.

    `defaults` are serialised entries of `tags`, put before an envelope's own fields: the last entry of a map wins, so
    an envelope's own tags win. One that needs thought goes bare through `rewrite`, which returns all of it, defaults
    included: a counter (of several messages on the wire the last one counts), one whose source_id is empty or missing,
    and one with any entry in deprecated_tags.
    """
    tagged = (rewrite(item.body) if _needs_thought(item) else defaults + item.body for item in _items(batch))
    return b"".join(map(frame, tagged))


def converge(batch: bytes, preferred: bool) -> bytes:
    """Leave each envelope one map of tags: `tags` when preferred, else `deprecated_tags` as text (loggregator.md 1.9).

    The very same object comes back when no envelope had anything in the other map.
    """
    converged: list[bytes] = []
    changed = False
    for item in _items(batch):
        if deprecated_tags.converge(item.envelope, preferred):
            changed = True
            converged.append(frame(item.envelope.SerializeToString()))
        else:
            converged.append(batch[item.start : item.end])
    return b"".join(converged) if changed else batch


def v1_frames(batch: bytes, keep: int, limit: int = V1_BYTES) -> tuple[bytes, int, int]:
    """Convert to v1 and frame each v1 envelope for WebSocket: (frames, frame count, v2 envelopes without a frame).

    No more than `limit` bytes are made: an envelope that may bring them beyond it, by the bounds of
    `envelope.v1_bounds` for it and for those that have frames already, is one without a frame.
    """
    frames, count, skipped, _ = v1_frames_within(batch, keep, limit)
    return frames, count, skipped


def v1_frames_within(batch: bytes, keep: int, limit: int) -> tuple[bytes, int, int, int]:
    """Do what `v1_frames` does, and say last how many bytes of `limit` are taken."""
    frames: list[bytes] = []
    skipped = taken = 0
    for made, most in _converted(batch, limit, lambda envelope: _frames_of(envelope, keep)):
        frames += made
        skipped += not made
        taken += most
    return b"".join(frames), len(frames), skipped, taken


def v1_messages(batch: bytes, limit: int = V1_BYTES) -> list[bytes]:
    """Convert to serialised v1 envelopes, keeping everything that has a v1 form, within `limit` as `v1_frames` is."""
    return [message for made, _ in _converted(batch, limit, _messages_of) for message in made]


def json_batch(batch: bytes) -> bytes:
    """Write a batch as the JSON of an EnvelopeBatch, compact and on one line; the form is in `envelope.json_form`.

    No envelope is trusted, admitted or not: one with text that is not UTF-8 is malformed like any other that does not
    parse, so no bytes make broken JSON. DecodeError names the offset of the first.
    """
    return b'{"batch":[' + b",".join(json_envelopes(batch)) + b"]}"


def json_envelopes(batch: bytes) -> list[bytes]:
    """Write each envelope of a batch as JSON of its own, with the promises of `json_batch`."""
    return [json_form.to_json(item.envelope) for item in _items(batch)]


def syslog(
    batch: bytes, hostname: bytes, kinds: int, metadata: bool, octets: bool
) -> tuple[bytes, list[int], int, int, int]:
    """Write a batch as syslog messages: (messages, ends, formatted, skipped, malformed); `envelope.syslog` says how.

    `octets` puts its count of bytes before each message (RFC 6587). `ends` has for every envelope of the batch where
    the messages made of it end, and so of those before it. Skipped are those whose kind is not among `kinds` or that
    make no message, malformed those that no message can say.
    """
    written = bytearray()
    ends: list[int] = []
    formatted = skipped = malformed = 0
    for item in _items(batch):
        try:
            room = most_bytes(len(item.body))
            made = messages(item.envelope, hostname, metadata, room) if item.kind & kinds else []
        except Unformattable:
            made = []
            malformed += 1
        else:
            formatted += bool(made)
            skipped += not made
        for message in made:
            written += b"%d %s" % (len(message), message) if octets else message
        ends.append(len(written))
    return bytes(written), ends, formatted, skipped, malformed


def log_batch(lines: Sequence[bytes], head: bytes, timestamp: int, err: bool) -> bytes:
    """Make one log envelope per line, `timestamp`, `timestamp + 1` and so on; `head` holds their fields in common."""
    log_type = b"\x10\x01" if err else b""
    envelopes: list[bytes] = []
    for at, line in enumerate(lines, timestamp):
        log = b"\x0a" + varint(len(line)) + line + log_type
        envelopes.append(frame(head + b"\x08" + varint(at & _UINT64) + b"\x22" + varint(len(log)) + log))
    return b"".join(envelopes)


def _items(batch: bytes) -> Iterator[_Item]:
    for field in fields(batch):
        if field.tag != BATCH_TAG:
            continue
        body = batch[field.body : field.end]
        try:
            envelope = Envelope.FromString(body)
        except ProtobufDecodeError as error:
            raise DecodeError(f"malformed envelope at byte {field.start}: {error}") from error
        yield _Item(field.start, field.end, _kind_of(envelope), body, envelope)


def _kind_of(envelope: Envelope) -> int:
    return _KINDS[envelope.WhichOneof("message")]


def _needs_thought(item: _Item) -> bool:
    return item.kind == Kind.COUNTER or not item.envelope.source_id or bool(item.envelope.deprecated_tags)


def _converted(
    batch: bytes, limit: int, convert: Callable[[Envelope], list[bytes]]
) -> Iterator[tuple[list[bytes], int]]:
    """Convert the envelopes that may be made within `limit`, one after the other: (what each became, what it took)."""
    for item in _items(batch):
        most = most_v1_bytes(item.envelope, item.body)
        made = convert(item.envelope) if most <= limit else []
        taken = most if made else 0
        limit -= taken
        yield made, taken


def _messages_of(envelope: Envelope) -> list[bytes]:
    return [v1.SerializePartialToString() for v1 in v1_forms(envelope)]


def _frames_of(envelope: Envelope, keep: int) -> list[bytes]:
    return [websocket_frame(v1.SerializePartialToString()) for v1 in v1_forms(envelope) if _is_kept(v1, keep)]


def _is_kept(v1: V1Envelope, keep: int) -> bool:
    if keep & Keep.APP:
        return _names_an_app(v1)
    wanted = Keep.LOGS if v1.eventType == V1Type.LogMessage else Keep.METRICS
    return bool(keep & wanted)


def _names_an_app(v1: V1Envelope) -> bool:
    """Tell what the original files under an app from what it files under "system" (end of loggregator.md 2.6)."""
    if v1.eventType == V1Type.HttpStartStop:
        http: HttpStartStop = v1.httpStartStop
        return http.HasField("applicationId")
    return v1.eventType in (V1Type.LogMessage, V1Type.ContainerMetric)
