# From v2 to v1 (loggregator.md 2.6), each v1 envelope straight into its WebSocket frame.
#
# A `put_` function of a v1 message returns NULL, one of frames -1, for what the reference should convert: whatever is
# rare (deprecated tags, v1 Errors, numbers and UUIDs written in unusual ways) is better said once, and plainly, there.

cdef enum EventType:  # of a v1 envelope
    HTTP_START_STOP = 4
    LOG_MESSAGE = 5
    VALUE_METRIC = 6
    COUNTER_EVENT = 7
    CONTAINER_METRIC = 9

cdef enum:  # Known: the tags that some v1 field is made of
    OTHER = 0
    ORIGIN
    DEPLOYMENT
    JOB
    INDEX
    IP
    V1_TYPE
    SOURCE_TYPE
    REQUEST_ID
    PEER_TYPE
    METHOD
    URI
    REMOTE_ADDRESS
    USER_AGENT
    STATUS_CODE
    CONTENT_LENGTH
    ROUTING_INSTANCE_ID
    FORWARDED
    KNOWN_TAGS

cdef enum Dropped:  # sets of tags that a v1 envelope does not carry, as bits 1 << Known
    DROPPED_ALWAYS = 0x7E  # origin to __v1_type
    DROPPED_FROM_LOG = 0xFE  # and source_type
    DROPPED_FROM_TIMER = 0x3FF7E  # and request_id to forwarded

cdef enum:  # the metrics a container gauge must have
    CPU
    MEMORY
    DISK
    MEMORY_QUOTA
    DISK_QUOTA
    CONTAINER_METRICS

cdef enum:
    OWN_BYTES = 128  # as in envelope/v1_bounds.py

cdef struct Metric:
    Span name
    Span unit
    uint64_t bits  # of its value, a double

cdef struct V1:
    unsigned char known_as[MOST_TAGS]  # which Known each tag of the envelope is
    Span known[KNOWN_TAGS]  # the values; one that is absent has no bytes
    Metric metric[MOST_TAGS]
    Py_ssize_t metrics
    Py_ssize_t left  # how many bytes of v1 may still be made of the batch
    Py_ssize_t most  # and of the envelope at hand

cdef dict METHODS = {name.encode(): number for name, number in dropsonde_pb2.Method.items()}
cdef dict PEER_TYPES = {name.encode(): number for name, number in dropsonde_pb2.PeerType.items()}


cdef inline bint is_name(Span key, const char *name) noexcept nogil:
    return memcmp(key.at, name, key.size) == 0


cdef int known_tag(Span key) noexcept nogil:
    """Tell which known tag a key is; its length leaves few candidates."""
    if key.size == 2:
        return IP if is_name(key, b"ip") else OTHER
    if key.size == 3:
        return JOB if is_name(key, b"job") else URI if is_name(key, b"uri") else OTHER
    if key.size == 5:
        return INDEX if is_name(key, b"index") else OTHER
    if key.size == 6:
        return ORIGIN if is_name(key, b"origin") else METHOD if is_name(key, b"method") else OTHER
    if key.size == 9:
        if is_name(key, b"__v1_type"):
            return V1_TYPE
        if is_name(key, b"peer_type"):
            return PEER_TYPE
        return FORWARDED if is_name(key, b"forwarded") else OTHER
    if key.size == 10:
        if is_name(key, b"deployment"):
            return DEPLOYMENT
        return REQUEST_ID if is_name(key, b"request_id") else USER_AGENT if is_name(key, b"user_agent") else OTHER
    if key.size == 11:
        if is_name(key, b"source_type"):
            return SOURCE_TYPE
        return STATUS_CODE if is_name(key, b"status_code") else OTHER
    if key.size == 14:
        if is_name(key, b"remote_address"):
            return REMOTE_ADDRESS
        return CONTENT_LENGTH if is_name(key, b"content_length") else OTHER
    if key.size == 19:
        return ROUTING_INSTANCE_ID if is_name(key, b"routing_instance_id") else OTHER
    return OTHER


cdef bint sort_tags(Shape *shape, V1 *v1) noexcept nogil:
    """Find the known tags of an envelope; the last of equal keys wins, as in any protobuf map."""
    cdef Py_ssize_t i
    cdef Span key, value
    if shape.deprecated_tags or shape.tags > MOST_TAGS:
        return False
    for i in range(KNOWN_TAGS):
        v1.known[i].at = shape.source_id.at
        v1.known[i].size = 0
    for i in range(shape.tags):
        if not read_tag(shape.tag[i], &key, &value):
            return False
        v1.known_as[i] = known_tag(key)
        v1.known[v1.known_as[i]] = value
    return True


cdef bint read_metrics(Span gauge, V1 *v1) noexcept nogil:
    """List the metrics of a gauge; the last of equal names wins, in the place of the first."""
    cdef Slot slots[3]
    cdef Slot data[3]
    cdef At p = gauge.at
    cdef At end = p + gauge.size
    cdef Span entry, name
    cdef Metric *metric
    cdef Py_ssize_t i
    v1.metrics = 0
    while p < end:
        if p[0] != 0x0A:
            return False
        p = read_span(p + 1, end, &entry)
        if p == NULL or not read_fields(entry, LAYOUT_ENTRY, slots):
            return False
        data[0].present = data[1].present = False
        if slots[1].present and not read_fields(slots[1].span, LAYOUT_GAUGE_VALUE, data):
            return False
        name = text_of(&slots[0], entry.at)
        for i in range(v1.metrics):
            if same(v1.metric[i].name, name):
                break
        else:
            i = v1.metrics
            if i == MOST_TAGS:
                return False
            v1.metrics += 1
        metric = &v1.metric[i]
        metric.name = name
        metric.unit = text_of(&data[0], entry.at)
        metric.bits = data[1].number if data[1].present else 0
    return True


cdef int read_decimal(Span text) noexcept nogil:
    """Read up to nine plain digits as a number, nothing as 0; -1 for all else."""
    cdef int value = 0
    cdef Py_ssize_t i
    if text.size > 9:
        return -1
    for i in range(text.size):
        if text.at[i] < 48 or text.at[i] > 57:
            return -1
        value = 10 * value + text.at[i] - 48
    return value


cdef inline int hex_digit(unsigned char c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 0x20
    return c - 87 if 97 <= c <= 102 else -1


cdef bint read_uuid(Span text, uint64_t *low, uint64_t *high) noexcept nogil:
    """Read a UUID of the usual form (8-4-4-4-12) into the two little-endian halves of the v1 message."""
    cdef uint64_t halves[2]
    cdef Py_ssize_t i = 0
    cdef int byte, digits = 0
    halves[0] = halves[1] = 0
    if text.size != 36:
        return False
    while i < 36:
        if i == 8 or i == 13 or i == 18 or i == 23:
            if text.at[i] != 45:
                return False
            i += 1
            continue
        byte = 16 * hex_digit(text.at[i]) | hex_digit(text.at[i + 1])
        if byte < 0:
            return False
        halves[digits >> 3] |= <uint64_t>byte << 8 * (digits & 7)
        digits += 1
        i += 2
    low[0] = halves[0]
    high[0] = halves[1]
    return True


cdef inline Py_ssize_t most_bytes(Span envelope) noexcept nogil:
    """Bound the size of one v1 envelope in its frame: nothing grows to more than twice its bytes in v2.

    That is what becomes of source_id, instance_id and the newlines of `forwarded`; 512 is for what v1 always has.
    """
    return 3 * envelope.size + 512


cdef inline bint is_affordable(V1 *v1, Py_ssize_t forms, Py_ssize_t beside, Py_ssize_t metrics) noexcept nogil:
    """Whether what is left allows for an envelope, by the bound of `v1_bounds.most_v1_bytes`."""
    v1.most = forms * (2 * beside + OWN_BYTES) + 2 * metrics
    return v1.most <= v1.left


cdef unsigned char *put_base(unsigned char *out, Shape *shape, V1 *v1, int event_type, int dropped) noexcept nogil:
    """Write what every v1 envelope has: origin, type, time, place, and the tags not in `dropped`."""
    cdef Py_ssize_t i
    cdef Span tag
    out = put_span(out, 0x0A, v1.known[ORIGIN])
    out = put_number(out, 0x10, event_type)
    out = put_number(out, 0x30, <uint64_t>shape.timestamp)
    out = put_span(out, 0x6A, v1.known[DEPLOYMENT])
    out = put_span(out, 0x72, v1.known[JOB])
    out = put_span(out, 0x7A, v1.known[INDEX])
    out[0] = 0x82  # field 16: the first with a two-byte key
    out = put_span(out + 1, 0x01, v1.known[IP])
    for i in range(shape.tags):
        if not dropped >> v1.known_as[i] & 1:
            tag = shape.tag[i]  # an entry of a v1 tag map has the very bytes of a v2 one
            out[0] = 0x8A
            out = put_span(out + 1, 0x01, tag)
    if shape.source_id.size:
        out = put_tag(out, b"source_id", 9, shape.source_id)
    return out


cdef inline unsigned char *put_tag(unsigned char *out, const char *key, Py_ssize_t size, Span value) noexcept nogil:
    """Write one more entry of the v1 tags, which wins over any earlier one of its name."""
    out[0] = 0x8A
    out = put_number(out + 1, 0x01, span_size(size) + span_size(value.size))
    out = put_number(out, 0x0A, size)
    out = put_raw(out, <At>key, size)
    return put_span(out, 0x12, value)


cdef inline unsigned char *put_instance(unsigned char *out, Shape *shape) noexcept nogil:
    """Write the tag `instance_id` that counters and value metrics carry when there is one."""
    return put_tag(out, b"instance_id", 11, shape.instance_id) if shape.instance_id.size else out


cdef inline unsigned char *close_message(unsigned char *start, unsigned char *out) noexcept nogil:
    """Put the length, of at most three bytes, before a message written at `start` + 3, and close the gap."""
    cdef Py_ssize_t size = out - start - 3
    cdef unsigned char *body
    if size >= 1 << 21:
        return NULL
    body = put_varint(start, size)
    memmove(body, start + 3, size)
    return body + size


cdef bint is_error(V1 *v1) noexcept nogil:
    """Whether a log was a v1 Error once, and becomes one again."""
    return v1.known[V1_TYPE].size == 5 and is_name(v1.known[V1_TYPE], b"Error")


cdef unsigned char *put_log(unsigned char *out, Shape *shape, V1 *v1) noexcept nogil:
    cdef Slot slots[3]
    cdef uint64_t stamp = <uint64_t>shape.timestamp
    cdef Span payload, source_type = v1.known[SOURCE_TYPE]
    cdef Py_ssize_t size
    if not read_fields(shape.message, LAYOUT_LOG, slots):
        return NULL
    payload = text_of(&slots[0], shape.message.at)
    size = (
        span_size(payload.size) + 2 + 1 + varint_size(stamp)
        + span_size(shape.source_id.size) + span_size(source_type.size) + span_size(shape.instance_id.size)
    )
    out = put_base(out, shape, v1, LOG_MESSAGE, DROPPED_FROM_LOG)
    out = put_number(out, 0x42, size)
    out = put_span(out, 0x0A, payload)
    out = put_number(out, 0x10, 2 if slots[1].present and <uint32_t>slots[1].number else 1)
    out = put_number(out, 0x18, stamp)
    out = put_span(out, 0x22, shape.source_id)
    out = put_span(out, 0x2A, source_type)
    return put_span(out, 0x32, shape.instance_id)


cdef unsigned char *put_counter(unsigned char *out, Shape *shape, V1 *v1) noexcept nogil:
    cdef Slot slots[3]
    cdef Span name
    cdef uint64_t delta, total
    if not read_fields(shape.message, LAYOUT_COUNTER, slots):
        return NULL
    name = text_of(&slots[0], shape.message.at)
    delta = slots[1].number if slots[1].present else 0
    total = slots[2].number if slots[2].present else 0
    out = put_instance(put_base(out, shape, v1, COUNTER_EVENT, DROPPED_ALWAYS), shape)
    out = put_number(out, 0x52, span_size(name.size) + 2 + varint_size(delta) + varint_size(total))
    out = put_span(out, 0x0A, name)
    out = put_number(out, 0x10, delta)
    return put_number(out, 0x18, total)


cdef unsigned char *put_value_metric(unsigned char *out, Shape *shape, V1 *v1, Metric *metric) noexcept nogil:
    out = put_instance(put_base(out, shape, v1, VALUE_METRIC, DROPPED_ALWAYS), shape)
    out = put_number(out, 0x4A, span_size(metric.name.size) + 9 + span_size(metric.unit.size))
    out = put_span(out, 0x0A, metric.name)
    out[0] = 0x11
    out = put_raw(out + 1, <At>&metric.bits, 8)
    return put_span(out, 0x1A, metric.unit)


cdef int container_metrics(V1 *v1, Metric **of) noexcept nogil:
    """Find the five metrics of a container: 1 if all are there, 0 if not, -1 if the reference should look."""
    cdef Metric *metric
    cdef Py_ssize_t i
    cdef double value
    for i in range(CONTAINER_METRICS):
        of[i] = NULL
    for i in range(v1.metrics):
        metric = &v1.metric[i]
        if metric.name.size == 3 and is_name(metric.name, b"cpu"):
            of[CPU] = metric
        elif metric.name.size == 4 and is_name(metric.name, b"disk"):
            of[DISK] = metric
        elif metric.name.size == 6 and is_name(metric.name, b"memory"):
            of[MEMORY] = metric
        elif metric.name.size == 10 and is_name(metric.name, b"disk_quota"):
            of[DISK_QUOTA] = metric
        elif metric.name.size == 12 and is_name(metric.name, b"memory_quota"):
            of[MEMORY_QUOTA] = metric
        elif metric.name.size == 14 and is_name(metric.name, b"instance_index"):
            return -1
    for i in range(CONTAINER_METRICS):
        if of[i] == NULL:
            return 0
        memcpy(&value, &of[i].bits, 8)
        if value == 0 and of[i].unit.size == 0:
            return 0
        if i != CPU and not 0 <= value < 9e18:
            return -1
    return 1


cdef uint64_t whole_bytes(Metric *metric) noexcept nogil:
    cdef double value
    memcpy(&value, &metric.bits, 8)
    return <uint64_t>value


cdef unsigned char *put_container(unsigned char *out, Shape *shape, V1 *v1, Metric **of) noexcept nogil:
    cdef int i, index = read_decimal(shape.instance_id)
    cdef unsigned char *start
    if index < 0:
        return NULL
    out = put_base(out, shape, v1, CONTAINER_METRIC, DROPPED_ALWAYS)
    out[0] = 0x62
    start = out + 1
    out = put_span(start + 3, 0x0A, shape.source_id)
    out = put_number(out, 0x10, index)
    out[0] = 0x19
    out = put_raw(out + 1, <At>&of[CPU].bits, 8)
    for i in range(MEMORY, CONTAINER_METRICS):
        out = put_number(out, 0x18 + 8 * i, whole_bytes(of[i]))
    return close_message(start, out)


cdef unsigned char *put_uuid(unsigned char *out, unsigned char key, uint64_t low, uint64_t high) noexcept nogil:
    out = put_number(out, key, 2 + varint_size(low) + varint_size(high))
    out = put_number(out, 0x08, low)
    return put_number(out, 0x10, high)


cdef unsigned char *put_forwarded(unsigned char *out, Span forwarded) noexcept nogil:
    """Write the lines of the tag `forwarded`, one field each; an empty tag is one empty line."""
    cdef Span line
    cdef At end = forwarded.at + forwarded.size
    cdef At stop
    line.at = forwarded.at
    while True:
        stop = <At>memchr(line.at, 10, end - line.at)
        line.size = (end if stop == NULL else stop) - line.at
        out = put_span(out, 0x7A, line)
        if stop == NULL:
            return out
        line.at = stop + 1


cdef uint64_t number_named(dict numbers, Span name) except? 0:
    return numbers.get(bytes_of(name.at, name.at + name.size), 0)


cdef unsigned char *put_timer(unsigned char *out, Shape *shape, V1 *v1) except? NULL:
    cdef Slot slots[3]
    cdef uint64_t low = 0, high = 0
    cdef unsigned char *start
    cdef Span *known = v1.known
    cdef int status = read_decimal(known[STATUS_CODE])
    cdef int length = read_decimal(known[CONTENT_LENGTH])
    cdef int index = read_decimal(shape.instance_id)
    if status < 0 or length < 0 or index < 0 or not read_uuid(known[REQUEST_ID], &low, &high):
        return NULL
    if not read_fields(shape.message, LAYOUT_TIMER, slots):
        return NULL
    out = put_base(out, shape, v1, HTTP_START_STOP, DROPPED_FROM_TIMER)
    out[0] = 0x3A
    start = out + 1
    out = put_number(start + 3, 0x08, slots[1].number if slots[1].present else 0)
    out = put_number(out, 0x10, slots[2].number if slots[2].present else 0)
    out = put_uuid(out, 0x1A, low, high)
    out = put_number(out, 0x20, number_named(PEER_TYPES, known[PEER_TYPE]))
    out = put_number(out, 0x28, number_named(METHODS, known[METHOD]))
    out = put_span(out, 0x32, known[URI])
    out = put_span(out, 0x3A, known[REMOTE_ADDRESS])
    out = put_span(out, 0x42, known[USER_AGENT])
    out = put_number(out, 0x48, status)
    out = put_number(out, 0x50, length)
    if read_uuid(shape.source_id, &low, &high):
        out = put_uuid(out, 0x62, low, high)
    elif shape.source_id.size == 36:
        return NULL
    out = put_number(out, 0x68, index)
    out = put_span(out, 0x72, known[ROUTING_INSTANCE_ID])
    out = put_forwarded(out, known[FORWARDED])
    return close_message(start, out)


cdef unsigned char *close_frame(unsigned char *start, unsigned char *out) noexcept nogil:
    """Put the WebSocket header before a payload written at `start` + LIKELY_HEADER, which may have to move."""
    cdef Py_ssize_t size = out - start - LIKELY_HEADER
    cdef Py_ssize_t header = 2 if size < 126 else 4 if size < 65536 else 10
    cdef Py_ssize_t i
    if header != LIKELY_HEADER:
        memmove(start + header, start + LIKELY_HEADER, size)
    start[0] = 0x82  # final, binary
    start[1] = size if header == 2 else 126 if header == 4 else 127
    for i in range(2, header):
        start[i] = size >> 8 * (header - 1 - i) & 0xFF
    return start + header + size


cdef bint is_kept(int event_type, int keep) noexcept nogil:
    """Whether a reader who said `keep` wants v1 envelopes of this type (of a timer, if it names an app)."""
    if keep & KEEP_APP:
        return event_type != COUNTER_EVENT and event_type != VALUE_METRIC
    return keep & (KEEP_LOGS if event_type == LOG_MESSAGE else KEEP_METRICS) != 0


cdef inline Py_ssize_t put_frame(Writer *w, unsigned char *out) noexcept nogil:
    """Close the frame whose payload ends at `out`; NULL says that the reference should do it."""
    if out == NULL:
        return -1
    w.out = close_frame(w.out, out)
    return 1


cdef Py_ssize_t put_timer_frame(Writer *w, Shape *shape, V1 *v1, int keep) except -2:
    if v1.known[REQUEST_ID].size != 36:
        return 0  # v1 demands a request id
    if keep & KEEP_APP and shape.source_id.size != 36:
        return 0  # names no app
    return put_frame(w, put_timer(w.out + LIKELY_HEADER, shape, v1))


cdef Py_ssize_t put_gauge_frames(Writer *w, Span envelope, Shape *shape, V1 *v1, int keep) except -2:
    cdef Metric *of[CONTAINER_METRICS]
    cdef Py_ssize_t i
    cdef int container
    container = container_metrics(v1, of) if read_metrics(shape.message, v1) else -1
    if container < 0:
        return -1
    if not is_kept(CONTAINER_METRIC if container else VALUE_METRIC, keep):
        return 0
    if container:
        if not is_affordable(v1, 1, envelope.size, 0):
            return 0
        return put_frame(w, put_container(w.out + LIKELY_HEADER, shape, v1, of))
    if not is_affordable(v1, v1.metrics, envelope.size - shape.message.size, shape.message.size):
        return 0
    for i in range(v1.metrics):
        reserve(w, most_bytes(envelope))
        put_frame(w, put_value_metric(w.out + LIKELY_HEADER, shape, v1, &v1.metric[i]))
    return v1.metrics


cdef Py_ssize_t put_frames(Writer *w, Span envelope, Shape *shape, V1 *v1, int keep) except -2:
    """Write the frames of one ordinary envelope: their number, or -1 when the reference should do it."""
    if shape.kind == BARE or shape.kind == EVENT:
        return 0
    if shape.kind != GAUGE and not is_affordable(v1, 1, envelope.size, 0):
        return 0
    if shape.kind == COUNTER and not is_kept(COUNTER_EVENT, keep):
        return 0
    if shape.kind == TIMER and not is_kept(HTTP_START_STOP, keep):
        return 0
    if not sort_tags(shape, v1):
        return -1
    reserve(w, most_bytes(envelope))
    if shape.kind == GAUGE:
        return put_gauge_frames(w, envelope, shape, v1, keep)
    if shape.kind == TIMER:
        return put_timer_frame(w, shape, v1, keep)
    if shape.kind == COUNTER:
        return put_frame(w, put_counter(w.out + LIKELY_HEADER, shape, v1))
    if is_error(v1):
        return -1
    return put_frame(w, put_log(w.out + LIKELY_HEADER, shape, v1)) if is_kept(LOG_MESSAGE, keep) else 0
