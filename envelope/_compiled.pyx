# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The wire kernel, compiled: the functions of `envelope.reference`, twenty to a hundred times faster.

It walks the bytes of a batch in place and builds no message objects. It knows one shape of envelope, the ordinary
one: every singular field at most once, one message, one-byte keys, no field it has not heard of. Whatever else
comes (groups, repeated singular fields, unknown fields, anything malformed) is handed, that one envelope alone, to
the reference. So the two agree by construction, and this file holds only what is worth being quick at.

All but `admit` trust a batch as `admit` leaves it and look inside its envelopes only as far as they must. The GIL is
held throughout, but in `word_filter`: a batch takes microseconds, and getting the lock back from a busy thread would
take milliseconds.

Benchmark: `benchmarks/kernel.py`. Why Cython: `docs/decisions/0002-cython-for-the-kernel.md`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove, strlen

from envelope import reference
from envelope import severities as guessing
from envelope import columns as in_columns
from envelope import line_fields as in_lines
from envelope import marks as marking
from envelope.columns import MOST_TAGS as MOST_TAG_COLUMNS
from envelope.columns import Coded, Columns
from envelope.errors import DecodeError
from envelope.line_fields import LineFields, Numbers
from envelope.pb import dropsonde_pb2
from envelope.v1_bounds import V1_BYTES

include "_reading.pxi"
include "_writing.pxi"
include "_to_v1.pxi"
include "_to_json.pxi"
include "_keys.pxi"
include "_to_parts.pxi"
include "_to_series.pxi"
include "_to_syslog.pxi"
include "_to_columns.pxi"
include "_to_severities.pxi"
include "_to_pairs.pxi"
include "_to_words.pxi"
include "_to_fields.pxi"
include "_to_marks.pxi"


def admit(bytes batch not None):
    """Validate a batch from outside: (the well-formed part, its count, its kinds, how many were malformed)."""
    cdef Span whole = span_of(batch)
    cdef At start = whole.at, at = start, run = start
    cdef At end = start + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef Py_ssize_t count = 0, malformed = 0
    cdef int kinds = 0
    cdef list pieces = None
    if not is_framed(whole):
        return reference.admit(batch)
    while at < end:
        after = next_envelope(at, end, &envelope)
        if check(envelope, &shape):
            count += 1
            kinds |= shape.kind
        else:
            _, kept, its_kind, cut = reference.admit(bytes_of(at, after))
            count += kept
            kinds |= its_kind
            malformed += cut
            if not kept:
                pieces = [] if pieces is None else pieces
                pieces.append(bytes_of(run, at))
                run = after
        at = after
    if pieces is None:
        return batch, count, kinds, malformed
    pieces.append(bytes_of(run, end))
    return b"".join(pieces), count, kinds, malformed


cdef object on_its_own(function, bytes batch, bytes envelope, At after, tuple arguments=()):
    """What a function makes of one envelope, which ends at `after`; a refusal names the offset in the whole batch."""
    try:
        return function(envelope, *arguments)
    except DecodeError:
        reference.spans(bytes_of(span_of(batch).at, after))  # refuses the first malformed envelope, if there is one
        raise


def tag(bytes batch not None, bytes defaults not None, rewrite):
    """Put `defaults` before the fields of every envelope; those that need thought go through `rewrite`."""
    cdef Span whole = span_of(batch), preset = span_of(defaults)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef Writer w
    if not is_framed(whole):
        return reference.tag(batch, defaults, rewrite)
    open_writer(&w, whole.size + whole.size // 2 + 64)
    try:
        while at < end:
            after = next_envelope(at, end, &envelope)
            if not skim(envelope, &shape):
                append(&w, on_its_own(reference.tag, batch, bytes_of(at, after), after, (defaults, rewrite)))
            elif shape.kind == COUNTER or shape.source_id.size == 0 or shape.deprecated_tags:
                append_envelope(&w, on_its_own(rewrite, batch, bytes_of(envelope.at, after), after))
            else:
                reserve(&w, preset.size + envelope.size + MOST_HEADER)
                w.out = put_number(w.out, 0x0A, preset.size + envelope.size)
                w.out = put_raw(w.out, preset.at, preset.size)
                w.out = put_raw(w.out, envelope.at, envelope.size)
            at = after
        return written(&w)
    finally:
        PyMem_Free(w.start)


cdef int append_envelope(Writer *w, bytes envelope) except -1:
    cdef Span span = span_of(envelope)
    reserve(w, span.size + MOST_HEADER)
    w.out = put_span(w.out, 0x0A, span)
    return 0


def log_batch(lines, bytes head not None, int64_t timestamp, bint err):
    """Make one log envelope of each line; envelope i is stamped `timestamp + i` and shares `head`."""
    cdef list all_lines = lines if type(lines) is list else list(lines)
    cdef Span shared = span_of(head), payload
    cdef Py_ssize_t total = 0, log
    cdef uint64_t stamp = <uint64_t>timestamp
    cdef bytes line
    cdef unsigned char *out
    cdef Writer w
    for line in all_lines:
        total += len(line) + shared.size + 40  # 40: four keys, three lengths, the time and the type
    open_writer(&w, total)
    try:
        out = w.out
        for line in all_lines:
            payload = span_of(line)
            log = span_size(payload.size) + (2 if err else 0)
            out = put_number(out, 0x0A, shared.size + 1 + varint_size(stamp) + span_size(log))
            out = put_raw(out, shared.at, shared.size)
            out = put_number(out, KEY_TIMESTAMP, stamp)
            out = put_number(out, KEY_LOG, log)
            out = put_span(out, 0x0A, payload)
            if err:
                out = put_number(out, 0x10, 1)
            stamp += 1
        w.out = out
        return written(&w)
    finally:
        PyMem_Free(w.start)


cdef tuple describe(bytes batch, At at, At after):
    """What the reference makes of an envelope that is not ordinary: (kind, source_id, timestamp)."""
    return on_its_own(reference.spans, batch, bytes_of(at, after), after)[0][2:]


def spans(bytes batch not None):
    """List (start, end, kind, source_id, timestamp) of every envelope; batch[start:end] is a batch of one."""
    cdef Span whole = span_of(batch)
    cdef At start = whole.at, at = start
    cdef At end = start + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef list found = []
    if not is_framed(whole):
        return reference.spans(batch)
    while at < end:
        after = next_envelope(at, end, &envelope)
        if skim(envelope, &shape):
            source_id = bytes_of(shape.source_id.at, shape.source_id.at + shape.source_id.size)
            found.append((at - start, after - start, shape.kind, source_id, shape.timestamp))
        else:
            found.append((at - start, after - start, *describe(batch, at, after)))
        at = after
    return found


def count(bytes batch not None):
    """Say how many envelopes a batch holds."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef Span envelope
    cdef Py_ssize_t found = 0
    if not is_framed(whole):
        return reference.count(batch)
    while at < end:
        at = next_envelope(at, end, &envelope)
        found += 1
    return found


def select(bytes batch not None, int kinds):
    """Keep the envelopes whose kind is among `kinds`, in order: (what is left, its count)."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at, run = at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef int kind
    cdef Py_ssize_t count = 0
    cdef Writer w
    if not is_framed(whole):
        return reference.select(batch, kinds)
    open_writer(&w, whole.size + 1)
    try:
        while at < end:
            after = next_envelope(at, end, &envelope)
            kind = shape.kind if skim(envelope, &shape) else describe(batch, at, after)[0]
            if kind & kinds:
                count += 1
            else:
                w.out = put_raw(w.out, run, at - run)
                run = after
            at = after
        if run == whole.at:
            return batch, count
        w.out = put_raw(w.out, run, end - run)
        return written(&w), count
    finally:
        PyMem_Free(w.start)


def converge(bytes batch not None, bint preferred):
    """Move every tag into `tags` (preferred) or, as text, into `deprecated_tags`, by loggregator.md 1.9."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef bint ordinary, changed = False
    cdef Writer w
    if not is_framed(whole):
        return reference.converge(batch, preferred)
    open_writer(&w, whole.size + 64)
    try:
        while at < end:
            after = next_envelope(at, end, &envelope)
            reserve(&w, 4 * envelope.size + 2 * MOST_HEADER)
            ordinary = skim(envelope, &shape)
            if ordinary and (shape.deprecated_tags if preferred else shape.tags) == 0:
                w.out = put_raw(w.out, at, after - at)
            elif ordinary and not preferred and shape.deprecated_tags == 0 and put_as_deprecated(&w, envelope):
                changed = True
            else:
                one = bytes_of(at, after)
                converged = on_its_own(reference.converge, batch, one, after, (preferred,))
                changed |= converged is not one
                append(&w, converged)
            at = after
        return written(&w) if changed else batch
    finally:
        PyMem_Free(w.start)


cdef bint put_as_deprecated(Writer *w, Span envelope) noexcept nogil:
    """Write an envelope with each of its tags as a deprecated one; write nothing, and say so, if one is odd.

    The empty tag grows most, from two bytes to eight.
    """
    cdef At p = envelope.at
    cdef At end = p + envelope.size
    cdef At field
    cdef Span span, key, value
    cdef uint64_t number
    cdef Py_ssize_t text
    cdef unsigned char *body = w.out + MOST_HEADER  # the envelope is moved forward once its size is known
    cdef unsigned char *out = body
    while p < end:
        field = p
        if p[0] == KEY_TIMESTAMP:
            p = read_varint(p + 1, end, &number)
            if p == NULL:
                return False
            out = put_raw(out, field, p - field)
            continue
        p = read_span(p + 1, end, &span)
        if p == NULL:
            return False
        if field[0] != KEY_TAG:
            out = put_raw(out, field, p - field)
            continue
        if not read_tag(span, &key, &value):
            return False
        text = span_size(value.size)
        out = put_number(out, KEY_DEPRECATED_TAG, span_size(key.size) + span_size(text))
        out = put_span(out, 0x0A, key)
        out = put_number(out, 0x12, text)
        out = put_span(out, 0x0A, value)
    w.out = put_number(w.out, 0x0A, out - body)
    memmove(w.out, body, out - body)
    w.out += out - body
    return True


def v1_frames(bytes batch not None, int keep, Py_ssize_t limit=V1_BYTES):
    """Convert to v1, each v1 envelope in one WebSocket frame: (frames, their count, v2 envelopes that made none)."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef V1 v1
    cdef Py_ssize_t made, count = 0, skipped = 0
    cdef Writer w
    if not is_framed(whole):
        return reference.v1_frames(batch, keep, limit)
    v1.left = limit
    open_writer(&w, 2 * whole.size + 64)
    try:
        while at < end:
            after = next_envelope(at, end, &envelope)
            made = put_frames(&w, envelope, &shape, &v1, keep) if skim(envelope, &shape) else -1
            if made < 0:
                frames, made, _, v1.most = on_its_own(
                    reference.v1_frames_within, batch, bytes_of(at, after), after, (keep, v1.left)
                )
                append(&w, frames)
            if made:
                v1.left -= v1.most
            count += made
            skipped += made == 0
            at = after
        return written(&w), count, skipped
    finally:
        PyMem_Free(w.start)


def v1_messages(bytes batch not None, Py_ssize_t limit=V1_BYTES):
    """Convert to v1: one serialised v1 envelope each, nothing filtered."""
    frames, _, _ = v1_frames(batch, KEEP_LOGS | KEEP_METRICS, limit)
    return ws_payloads(frames)[0]


def ws_payloads(bytes buffer not None):
    """Split unmasked final binary frames off the front of a buffer: (their payloads, bytes consumed)."""
    cdef Span whole = span_of(buffer)
    cdef At at = whole.at, payload
    cdef At end = at + whole.size
    cdef uint64_t size
    cdef Py_ssize_t i, header
    cdef list payloads = []
    while end - at >= 2 and at[0] == 0x82 and at[1] < 128:
        header = 2 if at[1] < 126 else 4 if at[1] == 126 else 10
        if end - at < header:
            break
        size = at[1] if header == 2 else 0
        for i in range(2, header):
            size = size << 8 | at[i]
        payload = at + header
        if size > <uint64_t>(end - payload):
            break
        payloads.append(bytes_of(payload, payload + size))
        at = payload + size
    return payloads, at - whole.at
