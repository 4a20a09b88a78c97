# To syslog messages (loggregator.md 5.5), as `envelope.syslog` writes them.
#
# A function that returns NULL (a predicate: False) says that the reference should do it: what is not ordinary, what
# has no form, which is for the reference to say, and what has more than MOST_TAGS of anything.

cdef enum:
    MOST_HOST = 255
    MOST_HOST_PART = 63
    MOST_APP_NAME = 48
    MOST_PROCID = 126  # without its brackets
    SYSLOG_MARGIN = 1024  # of one message: its header, names and punctuation
    LIKELY_COUNT = 3  # digits of the length of a message

cdef struct Syslog:  # how the messages of a batch are to be written
    Span hostname
    bint metadata
    bint octets
    int64_t second  # the one that `date` says
    unsigned char date[19]

cdef struct Told:  # what the tags of one envelope say
    Entries tags  # sorted by key
    Span host[3]  # organization_name, space_name, app_name; `at` is NULL where there is none
    Span source_type

cdef unsigned char[256] IN_NAME  # whether a byte may be part of the name of a tag
cdef unsigned char[256] IN_HOST


cdef void fill_syslog_tables() noexcept:
    cdef int byte
    for byte in range(33, 127):
        IN_NAME[byte] = byte not in b'="]'
        IN_HOST[byte] = chr(byte).isalnum() or byte == 0x2D


fill_syslog_tables()


cdef inline bint is_text(Span span, const char *text, Py_ssize_t size) noexcept nogil:
    return span.size == size and memcmp(span.at, text, size) == 0


cdef inline bint is_before(Span a, Span b) noexcept nogil:
    cdef int order = memcmp(a.at, b.at, a.size if a.size < b.size else b.size)
    return order < 0 or order == 0 and a.size < b.size


cdef bint read_tags(Shape *shape, Told *told) noexcept nogil:
    """Sort the tags of an envelope by key, and note those that its header is made of; no key may come twice."""
    cdef Py_ssize_t i, at
    cdef Span key, value
    told.host[0].at = told.host[1].at = told.host[2].at = told.source_type.at = NULL
    told.tags.count = shape.tags
    if shape.tags > MOST_TAGS:
        return False
    for i in range(shape.tags):
        if not read_tag(shape.tag[i], &key, &value):
            return False
        at = i
        while at > 0 and not is_before(told.tags.key[at - 1], key):
            if same(told.tags.key[at - 1], key):
                return False
            told.tags.key[at] = told.tags.key[at - 1]
            told.tags.value[at] = told.tags.value[at - 1]
            at -= 1
        told.tags.key[at] = key
        told.tags.value[at] = value
        if is_text(key, b"source_type", 11):
            told.source_type = value
        elif is_text(key, b"organization_name", 17):
            told.host[0] = value
        elif is_text(key, b"space_name", 10):
            told.host[1] = value
        elif is_text(key, b"app_name", 8):
            told.host[2] = value
    return True


cdef inline unsigned char *put_two(unsigned char *out, int value) noexcept nogil:
    out[0] = c"0" + value // 10
    out[1] = c"0" + value % 10
    return out + 2


cdef void write_date(unsigned char *out, int64_t second) noexcept nogil:
    """Write the date and the time of day of a second since 1970, which an int64 of nanoseconds can say."""
    cdef int64_t day = second // 86400
    cdef int64_t of_day = second % 86400
    cdef int64_t era, of_era, year, of_year, month
    if of_day < 0:
        of_day += 86400
        day -= 1
    day += 719468  # from here on by H. Hinnant's civil_from_days: years begin in March
    era = day // 146097  # days after the year 0 only
    of_era = day - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + (1 if month <= 2 else 0)
    out = put_two(put_two(out, <int>(year // 100)), <int>(year % 100))
    out[0] = c"-"
    out = put_two(out + 1, <int>month)
    out[0] = c"-"
    out = put_two(out + 1, <int>day)
    out[0] = c"T"
    out = put_two(out + 1, <int>(of_day // 3600))
    out[0] = c":"
    out = put_two(out + 1, <int>(of_day // 60 % 60))
    out[0] = c":"
    put_two(out + 1, <int>(of_day % 60))


cdef unsigned char *put_time(unsigned char *out, Syslog *form, int64_t timestamp) noexcept nogil:
    """Write a time to the microsecond, without the zeros at its end."""
    cdef int64_t second = timestamp // 1000000000
    cdef int64_t rest = timestamp % 1000000000
    cdef int i
    if rest < 0:
        rest += 1000000000
        second -= 1
    if second != form.second:
        write_date(form.date, second)
        form.second = second
    out = put_raw(out, form.date, 19)
    rest //= 1000
    if rest:
        out[0] = c"."
        for i in range(6, 0, -1):
            out[i] = c"0" + rest % 10
            rest //= 10
        out += 7
        while (out - 1)[0] == c"0":
            out -= 1
    return put_text(out, b"+00:00")


cdef unsigned char *put_field(unsigned char *out, Span field, Py_ssize_t most) noexcept nogil:
    """Write the beginning of a field of the header; only printable ASCII may stand there."""
    cdef Py_ssize_t i, size = field.size if field.size < most else most
    for i in range(size):
        if field.at[i] < 33 or field.at[i] > 126:
            return NULL
        out[i] = field.at[i]
    return out + size


cdef unsigned char *put_host_part(unsigned char *out, Span name) noexcept nogil:
    """Write what a host's name may have of `name`: spaces become dashes, and none is last."""
    cdef unsigned char *start = out
    cdef unsigned char *kept = out  # behind the last that is no dash
    cdef unsigned char byte
    cdef bint spaces = False
    cdef Py_ssize_t i
    if name.at == NULL:
        return out
    for i in range(name.size):
        byte = name.at[i]
        if byte == 32 or 9 <= byte <= 13 and byte != 11:
            if spaces:
                continue
            spaces = True
            byte = c"-"
        else:
            spaces = False
            if not IN_HOST[byte]:
                continue
        if out - start < MOST_HOST_PART:
            out[0] = byte
            out += 1
        elif byte != c"-":
            return out  # there is more, so the dashes before the cut are not last
        if byte != c"-":
            kept = out
    return kept


cdef unsigned char *put_host(unsigned char *out, Syslog *form, Told *told) noexcept nogil:
    cdef unsigned char *start = out
    if told.host[0].at == NULL and told.host[1].at == NULL and told.host[2].at == NULL:
        out = put_field(out, form.hostname, MOST_HOST)
        if out == start:
            out[0] = c"-"
            out += 1
        return out
    out = put_host_part(out, told.host[0])
    out[0] = c"."
    out = put_host_part(out + 1, told.host[1])
    out[0] = c"."
    return put_host_part(out + 1, told.host[2])


cdef unsigned char *put_process(unsigned char *out, Shape *shape, Told *told) noexcept nogil:
    """Write PROCID: `[TYPE/INSTANCE]` of a log, `[INSTANCE]` of anything else."""
    cdef Py_ssize_t i, left = MOST_PROCID
    cdef unsigned char byte
    out[0] = c"["
    out += 1
    if shape.kind == LOG:
        if told.source_type.at != NULL:
            for i in range(told.source_type.size if told.source_type.size < left else left):
                byte = told.source_type.at[i]
                if byte < 32 or byte > 126:
                    return NULL
                out[i] = c"-" if byte == 32 else byte - 32 if c"a" <= byte <= c"z" else byte
            i = told.source_type.size if told.source_type.size < left else left
            out += i
            left -= i
        if shape.instance_id.size and left:
            out[0] = c"/"
            out += 1
            left -= 1
    if shape.instance_id.size:
        out = put_field(out, shape.instance_id, left)
        if out == NULL:
            return NULL
    out[0] = c"]"
    return out + 1


cdef unsigned char *put_head(unsigned char *out, Shape *shape, Syslog *form, Told *told, bint is_err) noexcept nogil:
    """Write everything before the structured data, and a space."""
    cdef unsigned char *start
    out = put_time(put_text(out, b"<11>1 " if is_err else b"<14>1 "), form, shape.timestamp)
    out[0] = c" "
    out = put_host(out + 1, form, told)
    if out == NULL:
        return NULL
    out[0] = c" "
    start = out + 1
    out = put_field(start, shape.source_id, MOST_APP_NAME)
    if out == NULL:
        return NULL
    if out == start:
        out[0] = c"-"
        out += 1
    out[0] = c" "
    out = put_process(out + 1, shape, told)
    return NULL if out == NULL else put_text(out, b" - ")


cdef inline bint needs_escape(uint64_t eight) noexcept nogil:
    return (
        any_zero(eight ^ <uint64_t>0x2222222222222222)
        | any_zero(eight ^ <uint64_t>0x5C5C5C5C5C5C5C5C)
        | any_zero(eight ^ <uint64_t>0x5D5D5D5D5D5D5D5D)
    ) != 0


cdef inline unsigned char *put_value(unsigned char *out, Span value) noexcept nogil:
    """Write the value of a parameter, escaped, eight bytes at a time where none needs it."""
    cdef At p = value.at
    cdef At end = p + value.size
    cdef At stop
    cdef uint64_t eight
    while p < end:
        stop = end
        if end - p >= 8:
            memcpy(&eight, p, 8)
            if not needs_escape(eight):
                memcpy(out, &eight, 8)
                p += 8
                out += 8
                continue
            stop = p + 8
        while p < stop:
            if p[0] == 0x22 or p[0] == 0x5C or p[0] == 0x5D:
                out[0] = 0x5C
                out += 1
            out[0] = p[0]
            out += 1
            p += 1
    return out


cdef unsigned char *put_tags_element(unsigned char *out, Told *told) noexcept nogil:
    cdef Py_ssize_t i, j
    out = put_text(out, b"[tags@47450")
    for i in range(told.tags.count):
        out[0] = c" "
        out += 1
        for j in range(told.tags.key[i].size):
            if not IN_NAME[told.tags.key[i].at[j]]:
                return NULL
            out[j] = told.tags.key[i].at[j]
        out = put_value(put_text(out + told.tags.key[i].size, b'="'), told.tags.value[i])
        out[0] = c'"'
        out += 1
    out[0] = c"]"
    return out + 1


cdef unsigned char *put_payload(unsigned char *out, Span text) noexcept nogil:
    """Write what a log says without NULs, and end the line."""
    cdef unsigned char *start = out
    cdef At p = text.at
    cdef At end = p + text.size
    cdef At null
    while p < end:
        null = <At>memchr(p, 0, end - p)
        if null == NULL:
            null = end
        out = put_raw(out, p, null - p)
        p = null + 1
    if out == start or (out - 1)[0] != c"\n":
        out[0] = c"\n"
        out += 1
    return out


cdef unsigned char *put_general(unsigned char *out, uint64_t bits) except NULL:
    """Write a double with as few digits as identify it, below 1e-4 and from a million with an exponent: Go's `%v`."""
    cdef double value
    cdef char *text
    cdef unsigned char digits[40]
    cdef unsigned char *end
    cdef Py_ssize_t i, whole = 0
    memcpy(&value, &bits, 8)
    if value != value:
        return put_text(out, b"NaN")
    if value - value != 0:
        return put_text(out, b"+Inf" if value > 0 else b"-Inf")
    text = PyOS_double_to_string(value, c"r", 0, 0, NULL)
    if text == NULL:
        raise MemoryError
    if -1e6 < value < 1e6 or not -1e16 < value < 1e16:
        out = put_text(out, text)  # repr has the same form
        PyMem_Free(text)
        return out
    i = 0
    if text[0] == c"-":
        out[0] = c"-"
        out += 1
        i = 1
    end = digits
    while text[i]:
        if text[i] == c".":
            whole = end - digits
        else:
            end[0] = text[i]
            end += 1
        i += 1
    PyMem_Free(text)
    whole = (whole if whole else end - digits) - 1
    while end - digits > 1 and (end - 1)[0] == c"0":
        end -= 1
    out[0] = digits[0]
    out += 1
    if end - digits > 1:
        out[0] = c"."
        out = put_raw(out + 1, &digits[1], end - digits - 1)
    return put_two(put_text(out, b"e+"), <int>whole)


cdef unsigned char *put_metric_element(unsigned char *out, Metric *metric) except NULL:
    out = put_value(put_text(out, b'[gauge@47450 name="'), metric.name)
    out = put_general(put_text(out, b'" value="'), metric.bits)
    out = put_value(put_text(out, b'" unit="'), metric.unit)
    return put_text(out, b'"]')


cdef unsigned char *put_message_element(unsigned char *out, Shape *shape) noexcept nogil:
    """Write the element of a counter, a timer or an event."""
    cdef Slot slots[3]
    cdef At empty = shape.message.at
    cdef uint64_t second, third
    if shape.kind == EVENT:
        if not read_fields(shape.message, LAYOUT_EVENT, slots):
            return NULL
        out = put_value(put_text(out, b'[event@47450 title="'), text_of(&slots[0], empty))
        out = put_value(put_text(out, b'" body="'), text_of(&slots[1], empty))
        return put_text(out, b'"]')
    if not read_fields(shape.message, LAYOUT_COUNTER, slots):  # a timer has the same
        return NULL
    second = slots[1].number if slots[1].present else 0
    third = slots[2].number if slots[2].present else 0
    if shape.kind == COUNTER:
        out = put_value(put_text(out, b'[counter@47450 name="'), text_of(&slots[0], empty))
        out = put_digits(put_text(out, b'" total="'), third)
        out = put_digits(put_text(out, b'" delta="'), second)
    else:
        out = put_value(put_text(out, b'[timer@47450 name="'), text_of(&slots[0], empty))
        out = put_whole(put_text(out, b'" start="'), <int64_t>second)
        out = put_whole(put_text(out, b'" stop="'), <int64_t>third)
    return put_text(out, b'"]')


cdef void put_count(Writer *w, unsigned char *message, unsigned char *end) noexcept nogil:
    """Put the count of its bytes before a message that stands where it would if the count had LIKELY_COUNT digits."""
    cdef unsigned char *out = w.out
    cdef Py_ssize_t size = end - message
    cdef unsigned char digits[20]
    cdef Py_ssize_t count = put_digits(digits, size) - digits
    if count != LIKELY_COUNT:
        memmove(out + count + 1, message, size)
    memcpy(out, digits, count)
    out[count] = c" "
    w.out = out + count + 1 + size


cdef int put_message(Writer *w, Span envelope, Shape *shape, Syslog *form, Told *told, Metric *metric) except -1:
    """Write a message: of a gauge, the one of `metric`. Return its size without the count, 0 for the reference."""
    cdef Slot slots[3]
    cdef bint is_err = False
    cdef unsigned char *start
    cdef unsigned char *out
    reserve(w, 2 * envelope.size + SYSLOG_MARGIN)
    start = w.out + (LIKELY_COUNT + 1 if form.octets else 0)
    if shape.kind == LOG:
        if not read_fields(shape.message, LAYOUT_LOG, slots):
            return 0
        is_err = slots[1].present and <int32_t>slots[1].number == 1
    out = put_head(start, shape, form, told, is_err)
    if out == NULL:
        return 0
    if metric != NULL:
        out = put_metric_element(out, metric)
    elif shape.kind != LOG:
        out = put_message_element(out, shape)
    if out != NULL and form.metadata and told.tags.count:
        out = put_tags_element(out, told)
    elif shape.kind == LOG:
        out = put_text(out, b"-")
    if out == NULL:
        return 0
    out = put_text(out, b" ")
    out = put_payload(out, text_of(&slots[0], shape.message.at)) if shape.kind == LOG else put_text(out, b"\n")
    if form.octets:
        put_count(w, start, out)
    else:
        w.out = out
    return out - start


cdef void sort_metrics(V1 *v1) noexcept nogil:
    """Sort the metrics of a gauge by name; no two have the same."""
    cdef Py_ssize_t i, at
    cdef Metric metric
    for i in range(1, v1.metrics):
        metric = v1.metric[i]
        at = i
        while at > 0 and is_before(metric.name, v1.metric[at - 1].name):
            v1.metric[at] = v1.metric[at - 1]
            at -= 1
        v1.metric[at] = metric


cdef int put_messages(Writer *w, Span envelope, Shape *shape, Syslog *form, Told *told, V1 *v1) except -2:
    """Write an envelope and say how many messages it is; -1 when it is for the reference, and nothing was written."""
    cdef Py_ssize_t i, size, room = 32 * (envelope.size + 512)  # as envelope.syslog.most_bytes says
    cdef Py_ssize_t before = w.out - w.start
    if not read_tags(shape, told):
        return -1
    if shape.kind != GAUGE:
        return 1 if put_message(w, envelope, shape, form, told, NULL) else -1
    if not read_metrics(shape.message, v1):
        return -1
    sort_metrics(v1)
    for i in range(v1.metrics):
        size = put_message(w, envelope, shape, form, told, &v1.metric[i])
        room -= size
        if size == 0 or room < 0:
            w.out = w.start + before
            return -1
    return v1.metrics


def syslog(bytes batch not None, bytes hostname not None, int kinds, bint metadata, bint octets):
    """Write a batch as syslog messages: (messages, where those of each envelope end, formatted, skipped, malformed)."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef Syslog form
    cdef Told told
    cdef V1 v1
    cdef int made
    cdef Py_ssize_t formatted = 0, skipped = 0, malformed = 0
    cdef list ends = []
    cdef Writer w
    if not is_framed(whole):
        return reference.syslog(batch, hostname, kinds, metadata, octets)
    form.hostname, form.metadata, form.octets = span_of(hostname), metadata, octets
    form.second = 0
    write_date(form.date, 0)
    open_writer(&w, whole.size + whole.size // 2 + SYSLOG_MARGIN)
    try:
        while at < end:
            after = next_envelope(at, end, &envelope)
            made = -1
            if skim(envelope, &shape):
                made = put_messages(&w, envelope, &shape, &form, &told, &v1) if shape.kind & kinds & ~BARE else 0
            if made < 0:
                arguments = (hostname, kinds, metadata, octets)
                messages, _, made, _, cut = on_its_own(reference.syslog, batch, bytes_of(at, after), after, arguments)
                append(&w, messages)
                malformed += cut
                skipped -= cut
            formatted += made > 0
            skipped += made == 0
            ends.append(w.out - w.start)
            at = after
        return written(&w), ends, formatted, skipped, malformed
    finally:
        PyMem_Free(w.start)
