# Reading: from the bytes of a batch to where everything is in it.
#
# A reader returns where it stopped, or NULL (a predicate: False) for "not ordinary", and never looks at or past `end`.

cdef enum Kind:  # as in envelope/kinds.py
    LOG = 1
    COUNTER = 2
    GAUGE = 4
    TIMER = 8
    EVENT = 16
    BARE = 32

cdef enum Keep:  # likewise
    KEEP_LOGS = 1
    KEEP_METRICS = 2
    KEEP_APP = 4

cdef enum Key:  # field number << 3 | wire type, of the one-byte keys of a v2 Envelope
    KEY_TIMESTAMP = 0x08
    KEY_SOURCE_ID = 0x12
    KEY_DEPRECATED_TAG = 0x1A
    KEY_LOG = 0x22
    KEY_COUNTER = 0x2A
    KEY_GAUGE = 0x32
    KEY_TIMER = 0x3A
    KEY_INSTANCE_ID = 0x42
    KEY_TAG = 0x4A
    KEY_EVENT = 0x52

cdef enum Seen:  # which singular fields an envelope has shown so far
    SEEN_TIMESTAMP = 1
    SEEN_SOURCE_ID = 2
    SEEN_INSTANCE_ID = 4

cdef enum Expect:  # what a field of a small message holds; a layout packs one for each of fields 1, 2, 3
    NOTHING = 0
    VARINT = 1
    BYTES = 2
    STRING = 3
    DOUBLE = 4

cdef enum Layout:
    LAYOUT_LOG = BYTES | VARINT << 4
    LAYOUT_COUNTER = STRING | VARINT << 4 | VARINT << 8
    LAYOUT_TIMER = STRING | VARINT << 4 | VARINT << 8
    LAYOUT_EVENT = STRING | STRING << 4
    LAYOUT_TAG = STRING | STRING << 4
    LAYOUT_ENTRY = STRING | BYTES << 4  # a map entry whose value is a message
    LAYOUT_GAUGE_VALUE = STRING | DOUBLE << 4
    LAYOUT_VALUE = STRING | VARINT << 4 | DOUBLE << 8

cdef enum:
    MOST_TAGS = 64  # for the conversion to v1, an envelope with more tags, or a gauge with more metrics, is not ordinary

ctypedef const unsigned char *At

cdef struct Span:
    At at  # NULL when the field is absent
    Py_ssize_t size

cdef struct Slot:
    bint present
    Span span  # of BYTES and STRING
    uint64_t number  # of VARINT; the bits of DOUBLE

cdef struct Shape:
    int kind
    int seen
    int64_t timestamp
    Span source_id
    Span instance_id
    Span message
    Py_ssize_t deprecated_tags
    Py_ssize_t tags
    Span tag[MOST_TAGS]


cdef At read_long_varint(At p, At end, uint64_t *value) noexcept nogil:
    """Read a varint of two to ten bytes; the tenth may only be 1, as every encoder writes it."""
    cdef uint64_t result = 0
    cdef int shift = 0
    while p < end and shift < 64:
        result |= <uint64_t>(p[0] & 0x7F) << shift
        if p[0] < 0x80:
            value[0] = result
            return p + 1 if shift < 63 or p[0] == 1 else NULL
        p += 1
        shift += 7
    return NULL


cdef inline At read_varint(At p, At end, uint64_t *value) noexcept nogil:
    if p < end and p[0] < 0x80:
        value[0] = p[0]
        return p + 1
    return read_long_varint(p, end, value)


cdef inline At read_span(At p, At end, Span *span) noexcept nogil:
    """Read a length, of at most five bytes, and step over as many bytes; they become `span`."""
    cdef uint64_t size
    span.at = read_varint(p, end, &size)
    if span.at == NULL or span.at - p > 5 or size > <uint64_t>(end - span.at) or size > 0x7FFFFFFF:
        return NULL
    span.size = <Py_ssize_t>size
    return span.at + size


cdef bint is_wide_utf8(At p, At end) noexcept nogil:
    """Whether these bytes are UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF."""
    cdef unsigned char first, second, low, high
    cdef int more
    while p < end:
        first = p[0]
        p += 1
        if first < 0x80:
            continue
        if first < 0xC2 or first > 0xF4:
            return False
        more = 1 if first < 0xE0 else 2 if first < 0xF0 else 3
        if end - p < more:
            return False
        low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
        high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
        second = p[0]
        if second < low or second > high:
            return False
        if more > 1 and p[1] & 0xC0 != 0x80:
            return False
        if more > 2 and p[2] & 0xC0 != 0x80:
            return False
        p += more
    return True


cdef inline bint is_utf8(Span text) noexcept nogil:
    """Whether `text` is UTF-8; plain ASCII is told eight bytes at a time."""
    cdef At p = text.at
    cdef At end = text.at + text.size
    cdef uint64_t eight, bits = 0
    cdef uint32_t four, tail
    if text.size >= 8:
        while end - p > 8:
            memcpy(&eight, p, 8)
            bits |= eight
            p += 8
        memcpy(&eight, end - 8, 8)  # overlaps what was read before: cheaper than a loop over the rest
        bits |= eight
    elif text.size >= 4:
        memcpy(&four, p, 4)
        memcpy(&tail, end - 4, 4)
        bits = four | tail
    else:
        while p < end:
            bits |= p[0]
            p += 1
    return bits & <uint64_t>0x8080808080808080 == 0 or is_wide_utf8(text.at, end)


cdef inline bint read_fields(Span message, int layout, Slot *slots) noexcept nogil:
    """Read a small message, whose fields 1 to 3 hold what `layout` says, each at most once, into `slots`."""
    cdef At p = message.at
    cdef At end = message.at + message.size
    cdef Slot *slot
    cdef int field, expect, wire
    slots[0].present = slots[1].present = slots[2].present = False
    while p < end:
        field = (p[0] >> 3) - 1
        wire = p[0] & 7
        p += 1
        if field < 0 or field > 2 or slots[field].present:
            return False
        expect = layout >> 4 * field & 15
        slot = &slots[field]
        slot.present = True
        if expect == BYTES or expect == STRING:
            if wire != 2:
                return False
            p = read_span(p, end, &slot.span)
            if p == NULL or expect == STRING and not is_utf8(slot.span):
                return False
        elif expect == VARINT:
            if wire != 0:
                return False
            p = read_varint(p, end, &slot.number)
            if p == NULL:
                return False
        elif expect == DOUBLE:
            if wire != 1 or end - p < 8:
                return False
            memcpy(&slot.number, p, 8)
            p += 8
        else:
            return False
    return True


cdef inline bint read_tag(Span entry, Span *key, Span *value) noexcept nogil:
    """Read one entry of `tags`; an absent key or value is the empty string."""
    cdef Slot slots[3]
    cdef At p = entry.at
    if entry.size >= 4 and p[0] == 0x0A and p[1] < 0x80 and p[1] <= entry.size - 4:  # almost every tag there is
        key.at = p + 2
        key.size = p[1]
        p += 2 + key.size
        if p[0] == 0x12 and p[1] < 0x80 and p + 2 + p[1] == entry.at + entry.size:
            value.at = p + 2
            value.size = p[1]
            return is_utf8(key[0]) and is_utf8(value[0])
    if not read_fields(entry, LAYOUT_TAG, slots):
        return False
    key[0] = text_of(&slots[0], entry.at)
    value[0] = text_of(&slots[1], entry.at)
    return True


cdef inline Span text_of(Slot *slot, At empty) noexcept nogil:
    """The span of a slot, or an empty one at `empty` (never NULL: NULL means absent)."""
    cdef Span none
    none.at = empty
    none.size = 0
    return slot.span if slot.present else none


cdef bint is_ordinary_value(Span entry) noexcept nogil:
    """Whether this entry of `deprecated_tags` has at most one of each field and of text, integer, decimal."""
    cdef Slot slots[3]
    cdef Slot data[3]
    if not read_fields(entry, LAYOUT_ENTRY, slots):
        return False
    if not slots[1].present:
        return True
    return read_fields(slots[1].span, LAYOUT_VALUE, data) and data[0].present + data[1].present + data[2].present <= 1


cdef bint is_ordinary_gauge(Span message) noexcept nogil:
    cdef Slot slots[3]
    cdef Slot data[3]
    cdef Span entry
    cdef At p = message.at
    cdef At end = message.at + message.size
    while p < end:
        if p[0] != 0x0A:
            return False
        p = read_span(p + 1, end, &entry)
        if p == NULL or not read_fields(entry, LAYOUT_ENTRY, slots):
            return False
        if slots[1].present and not read_fields(slots[1].span, LAYOUT_GAUGE_VALUE, data):
            return False
    return True


cdef bint is_ordinary_message(int kind, Span message) noexcept nogil:
    cdef Slot slots[3]
    if kind == LOG:
        return read_fields(message, LAYOUT_LOG, slots)
    if kind == GAUGE:
        return is_ordinary_gauge(message)
    if kind == TIMER:
        return read_fields(message, LAYOUT_TIMER, slots)
    if kind == COUNTER:
        return read_fields(message, LAYOUT_COUNTER, slots)
    return read_fields(message, LAYOUT_EVENT, slots)


cdef inline int kind_of(unsigned char key) noexcept nogil:
    """The bit of the message that a key announces, 0 when it announces none."""
    if key == KEY_LOG:
        return LOG
    if key == KEY_TIMER:
        return TIMER
    if key == KEY_GAUGE:
        return GAUGE
    if key == KEY_COUNTER:
        return COUNTER
    if key == KEY_EVENT:
        return EVENT
    return 0


cdef inline bint read_envelope(Span envelope, Shape *shape, bint deep) noexcept nogil:
    """Note where everything is; `deep` also checks what is inside, down to the UTF-8 of every string."""
    cdef At p = envelope.at
    cdef At end = envelope.at + envelope.size
    cdef Span span, name, value
    cdef uint64_t number
    cdef unsigned char key
    cdef int seen, kind
    shape.kind = BARE
    shape.seen = 0
    shape.timestamp = 0
    shape.source_id.at = shape.instance_id.at = p
    shape.source_id.size = shape.instance_id.size = 0
    shape.deprecated_tags = shape.tags = 0
    while p < end:
        key = p[0]
        if key == KEY_TIMESTAMP:
            p = read_varint(p + 1, end, &number)
            if p == NULL or shape.seen & SEEN_TIMESTAMP:
                return False
            shape.seen |= SEEN_TIMESTAMP
            shape.timestamp = <int64_t>number
            continue
        p = read_span(p + 1, end, &span)
        if p == NULL:
            return False
        if key == KEY_TAG:
            if deep and not read_tag(span, &name, &value):
                return False
            if shape.tags < MOST_TAGS:
                shape.tag[shape.tags] = span
            shape.tags += 1
        elif key == KEY_SOURCE_ID or key == KEY_INSTANCE_ID:
            seen = SEEN_SOURCE_ID if key == KEY_SOURCE_ID else SEEN_INSTANCE_ID
            if shape.seen & seen or deep and not is_utf8(span):
                return False
            shape.seen |= seen
            if key == KEY_SOURCE_ID:
                shape.source_id = span
            else:
                shape.instance_id = span
        elif key == KEY_DEPRECATED_TAG:
            if not is_ordinary_value(span):  # never skipped: protobuf takes a map entry with unknown fields for none
                return False
            shape.deprecated_tags += 1
        else:
            kind = kind_of(key)
            if kind == 0 or shape.kind != BARE or deep and not is_ordinary_message(kind, span):
                return False
            shape.kind = kind
            shape.message = span
    return True


cdef bint check(Span envelope, Shape *shape) noexcept nogil:
    """Whether an envelope from outside is ordinary and valid to its last byte."""
    return read_envelope(envelope, shape, True)


cdef bint skim(Span envelope, Shape *shape) noexcept nogil:
    """Whether an admitted envelope is ordinary: its own fields only, not what they hold."""
    return read_envelope(envelope, shape, False)


cdef bint is_framed(Span batch) noexcept nogil:
    """Whether a batch is nothing but `0x0a <length> <envelope>`, again and again."""
    cdef At p = batch.at
    cdef At end = p + batch.size
    cdef Span envelope
    while p < end:
        if p[0] != 0x0A:
            return False
        p = read_span(p + 1, end, &envelope)
        if p == NULL:
            return False
    return True


cdef inline At next_envelope(At p, At end, Span *envelope) noexcept nogil:
    """Step over one envelope of a framed batch."""
    envelope.at = p
    envelope.size = 0
    return read_span(p + 1, end, envelope)


cdef inline Span span_of(bytes value) except *:
    cdef Span span
    if value is None:
        raise TypeError("expected bytes, got None")
    span.at = <At>PyBytes_AS_STRING(value)
    span.size = PyBytes_GET_SIZE(value)
    return span


cdef inline bytes bytes_of(At start, At end):
    return PyBytes_FromStringAndSize(<const char *>start, end - start)


cdef inline bint same(Span a, Span b) noexcept nogil:
    return a.size == b.size and memcmp(a.at, b.at, a.size) == 0
