# To JSON (loggregator.md 2.1, 3.2), each envelope from its bytes to protojson in one go.
#
# Every string is checked to be UTF-8 as it is read, so what is written is JSON whatever the bytes were. A function that
# returns NULL says that the reference should do it: what is not ordinary, or has more than MOST_TAGS of anything.

cdef extern from "Python.h":
    char *PyOS_double_to_string(double value, char format, int precision, int flags, int *kind)
    const int Py_DTSF_ADD_DOT_0

cdef enum:
    JSON_GROWTH = 6  # a byte becomes six at most, as \u0000 does
    JSON_MARGIN = 128 * MOST_TAGS  # names and punctuation: 512 bytes, and 40 around each entry of three maps

cdef uint64_t NEGATIVE_ZERO = <uint64_t>1 << 63  # the bits of a double

cdef enum:
    QUOTE = 0x22
    COMMA = 0x2C
    OPENING_BRACE = 0x7B

cdef struct Entries:
    Py_ssize_t count
    Span key[MOST_TAGS]
    Span value[MOST_TAGS]

cdef unsigned char[256] ESCAPES  # what a byte is written as after a backslash; 0 for itself, 1 for "look closer"


cdef void fill_escapes() noexcept:
    cdef int byte
    for byte in range(256):
        ESCAPES[byte] = b"u" if byte < 0x20 else 0
    ESCAPES[8], ESCAPES[9], ESCAPES[10], ESCAPES[12], ESCAPES[13] = b"b", b"t", b"n", b"f", b"r"
    ESCAPES[0x22], ESCAPES[0x5C] = b'"', b"\\"
    ESCAPES[0xC2] = ESCAPES[0xE2] = 1  # the first bytes of U+0085 and of U+2028 and U+2029


fill_escapes()


cdef inline unsigned char *put_text(unsigned char *out, const char *text) noexcept nogil:
    """Write a literal, whose length the C compiler knows."""
    return put_raw(out, <At>text, strlen(text))


cdef inline unsigned char *put_comma(unsigned char *out) noexcept nogil:
    """Separate what comes from what went before, if anything did since the opening brace."""
    if (out - 1)[0] == OPENING_BRACE:
        return out
    out[0] = COMMA
    return out + 1


cdef inline uint64_t any_zero(uint64_t eight) noexcept nogil:
    return (eight - <uint64_t>0x0101010101010101) & ~eight & <uint64_t>0x8080808080808080


cdef inline bint is_plain(uint64_t eight) noexcept nogil:
    """Whether none of eight bytes has an entry in ESCAPES."""
    return (
        (eight - <uint64_t>0x2020202020202020) & ~eight & <uint64_t>0x8080808080808080
        | any_zero(eight ^ <uint64_t>0x2222222222222222)
        | any_zero(eight ^ <uint64_t>0x5C5C5C5C5C5C5C5C)
        | any_zero((eight | <uint64_t>0x2020202020202020) ^ <uint64_t>0xE2E2E2E2E2E2E2E2)  # 0xC2 or 0xE2
    ) == 0


cdef unsigned char *put_string(unsigned char *out, Span text) noexcept nogil:
    """Write UTF-8 as a JSON string, eight bytes at a time where none needs an escape."""
    cdef At p = text.at
    cdef At end = p + text.size
    cdef At stop
    cdef uint64_t eight
    out[0] = QUOTE
    out += 1
    while p < end:
        stop = end
        if end - p >= 8:
            memcpy(&eight, p, 8)
            if is_plain(eight):
                memcpy(out, &eight, 8)
                p += 8
                out += 8
                continue
            stop = p + 8
        while p < stop:
            if ESCAPES[p[0]] == 0:
                out[0] = p[0]
                out += 1
                p += 1
            else:
                p = put_escape(&out, p)
    out[0] = QUOTE
    return out + 1


cdef At put_escape(unsigned char **at, At p) noexcept nogil:
    """Write the one character at `p`, which may need an escape; return where the next one starts."""
    cdef unsigned char *out = at[0]
    cdef unsigned char escape = ESCAPES[p[0]]
    cdef unsigned char low
    if escape == 1:  # the character is whole: this is UTF-8
        if p[0] == 0xC2 and p[1] == 0x85:
            at[0] = put_text(out, b"\\u0085")
            return p + 2
        if p[0] == 0xE2 and p[1] == 0x80 and p[2] | 1 == 0xA9:
            at[0] = put_text(out, b"\\u2028" if p[2] == 0xA8 else b"\\u2029")
            return p + 3
        out[0] = p[0]
        at[0] = out + 1
    elif escape == c"u":
        out = put_text(out, b"\\u00")
        low = p[0] & 15
        out[0] = c"0" + (p[0] >> 4)
        out[1] = c"0" + low if low < 10 else c"a" + low - 10
        at[0] = out + 2
    else:
        out[0] = c"\\"
        out[1] = escape
        at[0] = out + 2
    return p + 1


cdef unsigned char *put_digits(unsigned char *out, uint64_t value) noexcept nogil:
    cdef unsigned char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = c"0" + value % 10
        value //= 10
        if value == 0:
            return put_raw(out, &digits[at], 20 - at)


cdef unsigned char *put_whole(unsigned char *out, int64_t value) noexcept nogil:
    if value >= 0:
        return put_digits(out, <uint64_t>value)
    out[0] = c"-"
    return put_digits(out + 1, 0 - <uint64_t>value)


cdef unsigned char *put_unsigned(unsigned char *out, uint64_t value) noexcept nogil:
    """Write an integer of 64 bits: text in protojson."""
    out[0] = QUOTE
    out = put_digits(out + 1, value)
    out[0] = QUOTE
    return out + 1


cdef unsigned char *put_signed(unsigned char *out, uint64_t bits) noexcept nogil:
    out[0] = QUOTE
    out = put_whole(out + 1, <int64_t>bits)
    out[0] = QUOTE
    return out + 1


cdef unsigned char *put_double(unsigned char *out, uint64_t bits) except NULL:
    """Write a double as the shortest number that reads back as the same one; what JSON has no number for, as text."""
    cdef double value
    cdef char *text
    memcpy(&value, &bits, 8)
    if value != value:
        return put_text(out, b'"NaN"')
    if value - value != 0:
        return put_text(out, b'"Infinity"' if value > 0 else b'"-Infinity"')
    if -1e15 < value < 1e15 and value == <double><int64_t>value and bits != NEGATIVE_ZERO:
        return put_whole(out, <int64_t>value)
    text = PyOS_double_to_string(value, c"r", 0, Py_DTSF_ADD_DOT_0, NULL)
    if text == NULL:
        raise MemoryError
    out = put_text(out, text)
    PyMem_Free(text)
    return out


cdef unsigned char *put_base64(unsigned char *out, Span payload) noexcept nogil:
    cdef const char *digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef At p = payload.at
    cdef At end = p + payload.size
    cdef uint32_t three
    while end - p >= 3:
        three = <uint32_t>p[0] << 16 | <uint32_t>p[1] << 8 | p[2]
        out[0] = digits[three >> 18]
        out[1] = digits[three >> 12 & 63]
        out[2] = digits[three >> 6 & 63]
        out[3] = digits[three & 63]
        p += 3
        out += 4
    if p == end:
        return out
    three = <uint32_t>p[0] << 16 | (<uint32_t>p[1] << 8 if end - p == 2 else 0)
    out[0] = digits[three >> 18]
    out[1] = digits[three >> 12 & 63]
    out[2] = digits[three >> 6 & 63] if end - p == 2 else c"="
    out[3] = c"="
    return out + 4


cdef bint list_tags(Shape *shape, Entries *entries) noexcept nogil:
    cdef Py_ssize_t i
    entries.count = shape.tags
    for i in range(shape.tags):
        if not read_tag(shape.tag[i], &entries.key[i], &entries.value[i]):
            return False
    return True


cdef bint list_deprecated_tags(Span envelope, Entries *entries) noexcept nogil:
    """List the deprecated tags of an ordinary envelope that has no more than MOST_TAGS of them."""
    cdef At p = envelope.at
    cdef At end = p + envelope.size
    cdef At field
    cdef uint64_t number
    cdef Span span
    cdef Slot slots[3]
    entries.count = 0
    while p < end:
        field = p
        if field[0] == KEY_TIMESTAMP:
            p = read_varint(p + 1, end, &number)
        else:
            p = read_span(p + 1, end, &span)
        if p == NULL:
            return False
        if field[0] == KEY_DEPRECATED_TAG:
            if not read_fields(span, LAYOUT_ENTRY, slots):
                return False
            entries.key[entries.count] = text_of(&slots[0], span.at)
            entries.value[entries.count] = text_of(&slots[1], span.at)
            entries.count += 1
    return True


cdef inline bint is_outdone(Entries *entries, Py_ssize_t i) noexcept nogil:
    """Whether a later entry has the same key: it wins, and JSON must not say a key twice."""
    cdef Py_ssize_t later
    for later in range(i + 1, entries.count):
        if same(entries.key[i], entries.key[later]):
            return True
    return False


cdef unsigned char *put_tags(unsigned char *out, Entries *entries) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(entries.count):
        if not is_outdone(entries, i):
            out = put_string(put_comma(out), entries.key[i])
            out[0] = c":"
            out = put_string(out + 1, entries.value[i])
    return out


cdef unsigned char *put_deprecated_tags(unsigned char *out, Entries *entries) except? NULL:
    cdef Py_ssize_t i
    cdef Slot data[3]
    for i in range(entries.count):
        if not read_fields(entries.value[i], LAYOUT_VALUE, data):
            return NULL
        if is_outdone(entries, i):
            continue
        out = put_string(put_comma(out), entries.key[i])
        out = put_text(out, b":{")
        if data[0].present:
            out = put_string(put_text(out, b'"text":'), data[0].span)
        elif data[1].present:
            out = put_signed(put_text(out, b'"integer":'), data[1].number)
        elif data[2].present:
            out = put_double(put_text(out, b'"decimal":'), data[2].number)
        out[0] = c"}"
        out += 1
    return out


cdef unsigned char *put_json_log(unsigned char *out, Slot *slots, At empty) noexcept nogil:
    cdef int32_t log_type = <int32_t>slots[1].number if slots[1].present else 0
    out = put_base64(put_text(out, b',"log":{"payload":"'), text_of(&slots[0], empty))
    out = put_text(out, b'","type":')
    if log_type == 0 or log_type == 1:
        return put_text(out, b'"OUT"}' if log_type == 0 else b'"ERR"}')
    out = put_whole(out, log_type)
    out[0] = c"}"
    return out + 1


cdef unsigned char *put_json_gauge(unsigned char *out, V1 *v1) except NULL:
    cdef Py_ssize_t i
    out = put_text(out, b',"gauge":{"metrics":{')
    for i in range(v1.metrics):
        out = put_string(put_comma(out), v1.metric[i].name)
        out = put_string(put_text(out, b':{"unit":'), v1.metric[i].unit)
        out = put_double(put_text(out, b',"value":'), v1.metric[i].bits)
        out[0] = c"}"
        out += 1
    return put_text(out, b"}}")


cdef unsigned char *put_json_message(unsigned char *out, Shape *shape) except? NULL:
    cdef Slot slots[3]
    cdef V1 v1
    cdef At empty = shape.message.at
    cdef uint64_t second, third
    if shape.kind == BARE:
        return out
    if shape.kind == GAUGE:
        return put_json_gauge(out, &v1) if read_metrics(shape.message, &v1) else NULL
    if shape.kind == EVENT:
        if not read_fields(shape.message, LAYOUT_EVENT, slots):
            return NULL
        out = put_string(put_text(out, b',"event":{"title":'), text_of(&slots[0], empty))
        out = put_string(put_text(out, b',"body":'), text_of(&slots[1], empty))
    elif shape.kind == LOG:
        return put_json_log(out, slots, empty) if read_fields(shape.message, LAYOUT_LOG, slots) else NULL
    else:
        if not read_fields(shape.message, LAYOUT_COUNTER, slots):  # a timer has the same
            return NULL
        second = slots[1].number if slots[1].present else 0
        third = slots[2].number if slots[2].present else 0
        if shape.kind == COUNTER:
            out = put_string(put_text(out, b',"counter":{"name":'), text_of(&slots[0], empty))
            out = put_unsigned(put_text(out, b',"delta":'), second)
            out = put_unsigned(put_text(out, b',"total":'), third)
        else:
            out = put_string(put_text(out, b',"timer":{"name":'), text_of(&slots[0], empty))
            out = put_signed(put_text(out, b',"start":'), second)
            out = put_signed(put_text(out, b',"stop":'), third)
    out[0] = c"}"
    return out + 1


cdef unsigned char *put_json(unsigned char *out, Span envelope, Shape *shape) except? NULL:
    """Write one ordinary envelope as a JSON object."""
    cdef Entries entries
    if shape.tags > MOST_TAGS or shape.deprecated_tags > MOST_TAGS:
        return NULL
    if not (is_utf8(shape.source_id) and is_utf8(shape.instance_id)):
        return NULL
    out = put_signed(put_text(out, b'{"timestamp":'), <uint64_t>shape.timestamp)
    out = put_string(put_text(out, b',"source_id":'), shape.source_id)
    out = put_string(put_text(out, b',"instance_id":'), shape.instance_id)
    out = put_text(out, b',"deprecated_tags":{')
    if shape.deprecated_tags:
        out = put_deprecated_tags(out, &entries) if list_deprecated_tags(envelope, &entries) else NULL
        if out == NULL:
            return NULL
    if not list_tags(shape, &entries):
        return NULL
    out = put_tags(put_text(out, b'},"tags":{'), &entries)
    out[0] = c"}"
    out = put_json_message(out + 1, shape)
    if out == NULL:
        return NULL
    out[0] = c"}"
    return out + 1


cdef int append_json(Writer *w, At at, At after, Span envelope) except -1:
    """Write the envelope that `at` to `after` frames, or have the reference do it."""
    cdef Shape shape
    cdef unsigned char *out = NULL
    reserve(w, JSON_GROWTH * envelope.size + JSON_MARGIN)
    if skim(envelope, &shape):
        out = put_json(w.out, envelope, &shape)
    if out == NULL:
        append(w, reference.json_envelopes(bytes_of(at, after))[0])
    else:
        w.out = out
    return 0


def json_batch(bytes batch not None):
    """Write a batch as the JSON of an EnvelopeBatch, on one line."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Writer w
    if not is_framed(whole):
        return reference.json_batch(batch)
    open_writer(&w, 2 * whole.size + 64)
    try:
        w.out = put_text(w.out, b'{"batch":[')
        while at < end:
            after = next_envelope(at, end, &envelope)
            append_json(&w, at, after, envelope)
            at = after
            append(&w, b"," if at < end else b"")
        append(&w, b"]}")
        return written(&w)
    except DecodeError:
        return reference.json_batch(batch)  # which knows the offset
    finally:
        PyMem_Free(w.start)


def json_envelopes(bytes batch not None):
    """Write each envelope of a batch as JSON of its own."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Writer w
    cdef list found = []
    if not is_framed(whole):
        return reference.json_envelopes(batch)
    open_writer(&w, 1024)
    try:
        while at < end:
            after = next_envelope(at, end, &envelope)
            append_json(&w, at, after, envelope)
            found.append(written(&w))
            w.out = w.start
            at = after
        return found
    except DecodeError:
        return reference.json_envelopes(batch)
    finally:
        PyMem_Free(w.start)
