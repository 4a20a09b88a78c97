# To series of numbers: which series every number belongs to is noted first, then each series is made in one piece.

cdef struct SeriesHead:  # goes before tags, instance_id and name in the key of a series
    Py_ssize_t tags
    Py_ssize_t instance_id

cdef struct Sample:
    Py_ssize_t line
    int64_t time
    uint64_t bits  # of its value, a double

cdef struct Line:  # one series; it has the number of its key
    Py_ssize_t count
    Py_ssize_t latest  # which sample is its latest
    unsigned char *times
    unsigned char *values


cdef class Lines:
    """The numbers of a batch and the series they belong to."""

    cdef object wanted
    cdef Keys names, series
    cdef list is_wanted  # by the number of a name
    cdef Sample *sample
    cdef Line *line
    cdef Py_ssize_t samples, lines, room_for_samples, room_for_lines
    cdef Span envelope  # the one at hand
    cdef Shape *shape  # of it, if it is ordinary
    cdef Py_ssize_t first  # the first sample of it
    cdef Writer key  # of the series at hand
    cdef Py_ssize_t head  # how much of `key` all series of the envelope have in common; 0: not written yet

    def __cinit__(self, wanted):
        self.wanted = wanted
        self.names = Keys.__new__(Keys)
        self.series = Keys.__new__(Keys)
        self.is_wanted = []
        open_writer(&self.key, 1024)

    def __dealloc__(self):
        PyMem_Free(self.sample)
        PyMem_Free(self.line)
        PyMem_Free(self.key.start)

    cdef void begin(self, Span envelope, Shape *shape) noexcept:
        """Take another envelope in hand."""
        self.envelope = envelope
        self.shape = shape
        self.first = self.samples
        self.head = 0

    cdef bint take(self) except -1:
        """Note the numbers of an ordinary envelope; False if the reference should, which may say some of them again."""
        cdef Slot slots[3]
        cdef Span message = self.shape.message
        cdef int kind = self.shape.kind
        if kind == GAUGE:
            return self.take_metrics(message)
        if kind != COUNTER and kind != TIMER:
            return True
        if not read_fields(message, LAYOUT_COUNTER if kind == COUNTER else LAYOUT_TIMER, slots):
            return False
        self.add_wanted(text_of(&slots[0], message.at), bits_of(kind, slots))
        return True

    cdef bint take_metrics(self, Span message) except -1:
        cdef Slot slots[3]
        cdef Slot data[3]
        cdef Span entry
        cdef At p = message.at
        cdef At end = p + message.size
        while p < end:
            if p[0] != 0x0A:
                return False
            p = read_span(p + 1, end, &entry)
            if p == NULL or not read_fields(entry, LAYOUT_ENTRY, slots):
                return False
            data[1].present = False
            if slots[1].present and not read_fields(slots[1].span, LAYOUT_GAUGE_VALUE, data):
                return False
            self.add_wanted(text_of(&slots[0], entry.at), data[1].number if data[1].present else 0)
        return True

    cdef int add_wanted(self, Span name, uint64_t bits) except -1:
        """Add a number of an ordinary envelope if its name is wanted."""
        cdef Py_ssize_t number = self.names.number_of(name)
        if number == len(self.is_wanted):
            self.is_wanted.append(bool(self.wanted[self.names.keys[number]]))
        if self.is_wanted[number] is False:
            return 0
        if self.head == 0:
            self.make_head(put_tags_of(self.key_for(self.envelope.size), self.envelope), self.shape.instance_id)
        return self.add(name, self.shape.timestamp, bits)

    cdef int add_foreign(self, tuple key, tuple sample) except -1:
        """Add one of the reference's series, of one number."""
        cdef Span name = span_of(key[0]), instance_id = span_of(key[1]), tags = span_of(key[2])
        cdef int64_t time
        cdef uint64_t bits
        memcpy(&time, span_of(sample[0]).at, 8)
        memcpy(&bits, span_of(sample[1]).at, 8)
        self.make_head(put_raw(self.key_for(tags.size + instance_id.size + name.size), tags.at, tags.size), instance_id)
        return self.add(name, time, bits)

    cdef unsigned char *key_for(self, Py_ssize_t size) except NULL:
        """Begin a key whose texts take `size` bytes at most; the tags are to be written there first."""
        self.key.out = self.key.start
        reserve(&self.key, sizeof(SeriesHead) + size)
        return self.key.start + sizeof(SeriesHead)

    cdef void make_head(self, unsigned char *out, Span instance_id) noexcept:
        """Write the head and the instance_id, now that the tags end at `out`."""
        cdef SeriesHead head = SeriesHead(out - self.key.start - sizeof(SeriesHead), instance_id.size)
        memcpy(self.key.start, &head, sizeof(SeriesHead))
        self.head = put_raw(out, instance_id.at, instance_id.size) - self.key.start

    cdef int add(self, Span name, int64_t time, uint64_t bits) except -1:
        """Add a number under the head and this name; one that this envelope has said before is said anew."""
        cdef Span key
        cdef Py_ssize_t number
        cdef Line *line
        key.at = self.key.start
        key.size = put_raw(self.key.start + self.head, name.at, name.size) - self.key.start
        number = self.series.number_of(key)
        if number == self.lines:
            if self.lines == self.room_for_lines:
                self.line = <Line *>grown(self.line, &self.room_for_lines, sizeof(Line))
            self.line[self.lines] = Line(0, -1, NULL, NULL)
            self.lines += 1
        line = &self.line[number]
        if line.latest >= self.first:
            self.sample[line.latest].bits = bits
            return 0
        if self.samples == self.room_for_samples:
            self.sample = <Sample *>grown(self.sample, &self.room_for_samples, sizeof(Sample))
        self.sample[self.samples] = Sample(number, time, bits)
        line.latest = self.samples
        line.count += 1
        self.samples += 1
        return 0

    cdef dict drawn(self):
        """Make the series: (name, instance_id, tags) -> (times, values)."""
        cdef dict result = {}
        cdef Py_ssize_t number, i
        cdef bytes times, values
        cdef Line *line
        for number in range(self.lines):
            line = &self.line[number]
            times = PyBytes_FromStringAndSize(NULL, 8 * line.count)
            values = PyBytes_FromStringAndSize(NULL, 8 * line.count)
            line.times = <unsigned char *>PyBytes_AS_STRING(times)
            line.values = <unsigned char *>PyBytes_AS_STRING(values)
            result[series_of(self.series.keys[number])] = times, values
        for i in range(self.samples):
            line = &self.line[self.sample[i].line]
            line.times = put_raw(line.times, <At>&self.sample[i].time, 8)
            line.values = put_raw(line.values, <At>&self.sample[i].bits, 8)
        return result


cdef inline uint64_t bits_of(int kind, Slot *slots) noexcept nogil:
    """The bits of a counter's total or of how long a timer took, as a double."""
    cdef uint64_t second = slots[1].number if slots[1].present else 0
    cdef uint64_t third = slots[2].number if slots[2].present else 0
    cdef double value = <double>third if kind == COUNTER else <double><int64_t>(third - second)
    cdef uint64_t bits
    memcpy(&bits, &value, 8)
    return bits


cdef unsigned char *put_tags_of(unsigned char *out, Span envelope) noexcept nogil:
    """Write the tags of an ordinary envelope as they stand in it."""
    cdef At p = envelope.at
    cdef At end = p + envelope.size
    cdef At field
    cdef Span span
    cdef uint64_t number
    while p < end:
        field = p
        p = read_varint(p + 1, end, &number) if p[0] == KEY_TIMESTAMP else read_span(p + 1, end, &span)
        if field[0] == KEY_TAG:
            out = put_raw(out, field, p - field)
    return out


cdef tuple series_of(bytes key):
    """Take a key apart: (name, instance_id, tags)."""
    cdef Span whole = span_of(key)
    cdef SeriesHead head
    cdef At tags = whole.at + sizeof(SeriesHead), instance_id, name
    memcpy(&head, whole.at, sizeof(SeriesHead))
    instance_id = tags + head.tags
    name = instance_id + head.instance_id
    return bytes_of(name, whole.at + whole.size), bytes_of(instance_id, name), bytes_of(tags, instance_id)


def samples(bytes batch not None, wanted):
    """Take the wanted numbers out of a batch: (name, instance_id, tags) -> (times, values)."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef Lines lines
    if not is_framed(whole):
        return reference.samples(batch, wanted)
    lines = Lines.__new__(Lines, wanted)
    while at < end:
        after = next_envelope(at, end, &envelope)
        lines.begin(envelope, &shape)
        if not (skim(envelope, &shape) and lines.take()):
            one = on_its_own(reference.samples, batch, bytes_of(at, after), after, (wanted,))
            for series, sample in one.items():
                lines.add_foreign(series, sample)
        at = after
    return lines.drawn()
