# To columns: every row is written to the end of each column as its envelope is read.

cdef enum:
    OF_NO_STREAM = 255

cdef Py_ssize_t MOST_CELLS = in_columns.MOST_CELLS
cdef Py_ssize_t MOST_MORE = in_columns.MOST_MORE

cdef class Codes:
    """A coded column: which text each row has. Rows that came before a text did have none."""

    cdef Keys texts
    cdef int32_t *code
    cdef Py_ssize_t rows, room

    def __cinit__(self):
        self.texts = Keys.__new__(Keys)

    def __dealloc__(self):
        PyMem_Free(self.code)

    cdef int reach(self, Py_ssize_t rows) except -1:
        """Have this many rows, the new ones without a text."""
        while self.room < rows:
            self.code = <int32_t *>grown(self.code, &self.room, sizeof(int32_t))
        while self.rows < rows:
            self.code[self.rows] = -1
            self.rows += 1
        return 0

    cdef Py_ssize_t put(self, Py_ssize_t first, Py_ssize_t end, Span text) except -1:
        """Give some rows a text; returns its number."""
        cdef Py_ssize_t number = self.texts.number_of(text)
        self.put_code(first, end, <int32_t>number)
        return number

    cdef inline int put_code(self, Py_ssize_t first, Py_ssize_t end, int32_t code) except -1:
        cdef Py_ssize_t row
        self.reach(end)
        for row in range(first, end):
            self.code[row] = code
        return 0

    cdef object drawn(self, Py_ssize_t rows):
        """Make a column of at least this many rows."""
        self.reach(rows)
        return Coded(bytes_of(<At>self.code, <At>(self.code + self.rows)), self.texts.keys)


cdef enum:
    PLACES = 128

cdef struct Tagged:  # a tag that was seen lately: an agent gives all its envelopes the same ones, in any order
    Span entry
    Py_ssize_t tag
    int32_t code


cdef inline int place_of(Span entry) noexcept nogil:
    """Where a tag is looked for among those seen lately."""
    if entry.size < 4:
        return 0
    return (entry.size + 5 * entry.at[3] + 23 * entry.at[entry.size - 1] + 11 * entry.at[entry.size >> 1]) % PLACES


cdef class Table:
    """The columns of a batch, as they grow."""

    cdef Py_ssize_t rows, most_tags, latest_room
    cdef Py_ssize_t *latest  # the row that had each name latest, by the number of the name
    cdef Writer times, kinds, streams, values, deltas, durations, texts, ends, broken
    cdef Codes source_id, instance_id, name, unit
    cdef Keys tag_names
    cdef list tags, more  # `tags` by the number of the name
    cdef Tagged seen[PLACES]

    def __cinit__(self, Py_ssize_t most_tags, Py_ssize_t size):
        self.most_tags = most_tags
        open_writer(&self.times, 1024)
        open_writer(&self.kinds, 128)
        open_writer(&self.streams, 128)
        open_writer(&self.values, 1024)
        open_writer(&self.deltas, 1024)
        open_writer(&self.durations, 1024)
        open_writer(&self.texts, size + 1)
        open_writer(&self.ends, 1024)
        open_writer(&self.broken, 128)
        self.source_id, self.instance_id = Codes.__new__(Codes), Codes.__new__(Codes)
        self.name, self.unit = Codes.__new__(Codes), Codes.__new__(Codes)
        self.tag_names = Keys.__new__(Keys)
        self.tags, self.more = [], []
        self.put_end()

    def __dealloc__(self):
        PyMem_Free(self.times.start)
        PyMem_Free(self.kinds.start)
        PyMem_Free(self.streams.start)
        PyMem_Free(self.values.start)
        PyMem_Free(self.deltas.start)
        PyMem_Free(self.durations.start)
        PyMem_Free(self.texts.start)
        PyMem_Free(self.ends.start)
        PyMem_Free(self.broken.start)
        PyMem_Free(self.latest)

    cdef int put_end(self) except -1:
        cdef Py_ssize_t size = self.texts.out - self.texts.start
        cdef int32_t end = <int32_t>size
        if size > 0x7FFFFFFF:
            raise OverflowError("the texts of a batch take more than 2 GiB")
        reserve(&self.ends, 4)
        self.ends.out = put_raw(self.ends.out, <At>&end, 4)
        return 0

    cdef int put_row(self, int kind, int stream, uint64_t value, uint64_t delta, uint64_t duration, Span text) except -1:
        """Write what every row has; `value` are the bits of a double."""
        reserve(&self.kinds, 1)
        reserve(&self.streams, 1)
        reserve(&self.values, 8)
        reserve(&self.deltas, 8)
        reserve(&self.durations, 8)
        reserve(&self.texts, text.size)
        reserve(&self.broken, 1)
        self.kinds.out[0] = <unsigned char>kind
        self.kinds.out += 1
        self.streams.out[0] = <unsigned char>stream
        self.streams.out += 1
        self.values.out = put_raw(self.values.out, <At>&value, 8)
        self.deltas.out = put_raw(self.deltas.out, <At>&delta, 8)
        self.durations.out = put_raw(self.durations.out, <At>&duration, 8)
        self.texts.out = put_raw(self.texts.out, text.at, text.size)
        self.broken.out[0] = 0 if is_utf8(text) else 1
        self.broken.out += 1
        self.put_end()
        self.rows += 1
        return 0

    cdef int take(self, Span envelope, Shape *shape) except -1:
        """Write the rows of an envelope that is ordinary to its last byte."""
        cdef Py_ssize_t first = self.rows, row
        cdef int64_t time = shape.timestamp
        self.take_message(shape, envelope)
        for row in range(first, self.rows):
            reserve(&self.times, 8)
            self.times.out = put_raw(self.times.out, <At>&time, 8)
        self.source_id.put(first, self.rows, shape.source_id)
        self.instance_id.put(first, self.rows, shape.instance_id)
        if shape.tags:
            self.take_tags(envelope, first)
        return self.bound()

    cdef int bound(self) except -1:
        """Refuse to grow beyond measure: a small gauge may have many metrics and many tags."""
        if self.rows * len(self.tags) > MOST_CELLS or len(self.more) > MOST_MORE:
            raise OverflowError("the envelopes of a batch have too many rows with too many tags")
        return 0

    cdef int take_message(self, Shape *shape, Span envelope) except -1:
        cdef Slot slots[3]
        cdef Span message = shape.message, none
        cdef int kind = shape.kind
        cdef double total
        cdef uint64_t bits
        none.at = envelope.at
        none.size = 0
        if kind == LOG:
            read_fields(message, LAYOUT_LOG, slots)
            bits = slots[1].number if slots[1].present else 0
            return self.put_row(kind, bits == 1, 0, 0, 0, text_of(&slots[0], message.at))
        if kind == GAUGE:
            return self.take_metrics(message, none)
        if kind == TIMER:
            read_fields(message, LAYOUT_TIMER, slots)
            bits = (slots[2].number if slots[2].present else 0) - (slots[1].number if slots[1].present else 0)
            self.put_row(kind, OF_NO_STREAM, 0, 0, bits, none)
        elif kind == COUNTER:
            read_fields(message, LAYOUT_COUNTER, slots)
            total = <double>(slots[2].number if slots[2].present else 0)
            memcpy(&bits, &total, 8)
            self.put_row(kind, OF_NO_STREAM, bits, slots[1].number if slots[1].present else 0, 0, none)
        elif kind == EVENT:
            read_fields(message, LAYOUT_EVENT, slots)
            self.put_row(kind, OF_NO_STREAM, 0, 0, 0, text_of(&slots[1], message.at))
        else:
            return self.put_row(kind, OF_NO_STREAM, 0, 0, 0, none)
        self.put_name(self.rows - 1, text_of(&slots[0], message.at))
        return 0

    cdef int put_name(self, Py_ssize_t row, Span name) except -1:
        cdef Py_ssize_t number = self.name.put(row, row + 1, name)
        while self.latest_room <= number:
            self.latest = <Py_ssize_t *>grown(self.latest, &self.latest_room, sizeof(Py_ssize_t))
        self.latest[number] = row
        return 0

    cdef int take_metrics(self, Span message, Span none) except -1:
        """Write a row for each metric of a gauge; of one that comes twice the last counts, as in any map."""
        cdef Slot slots[3]
        cdef Slot data[3]
        cdef Span entry, name
        cdef Py_ssize_t first = self.rows, named, number, row
        cdef uint64_t bits
        cdef At p = message.at
        cdef At end = p + message.size
        if p == end:
            return self.put_row(GAUGE, OF_NO_STREAM, 0, 0, 0, none)
        while p < end:
            p = read_span(p + 1, end, &entry)
            read_fields(entry, LAYOUT_ENTRY, slots)
            data[0].present = data[1].present = False
            if slots[1].present:
                read_fields(slots[1].span, LAYOUT_GAUGE_VALUE, data)
            name = text_of(&slots[0], entry.at)
            bits = data[1].number if data[1].present else 0
            named = len(self.name.texts.keys)
            number = self.name.texts.number_of(name)
            row = self.latest[number] if number < named else -1
            if row < first:
                row = self.rows
                self.put_row(GAUGE, OF_NO_STREAM, bits, 0, 0, none)
                self.put_name(row, name)
            else:
                memcpy(self.values.start + 8 * row, &bits, 8)
            self.unit.put(row, row + 1, text_of(&data[0], entry.at))
        return 0

    cdef int take_tags(self, Span envelope, Py_ssize_t first) except -1:
        """Tag the rows from `first` on."""
        cdef At p = envelope.at
        cdef At end = p + envelope.size
        cdef Span span, key, value
        cdef uint64_t number
        cdef Tagged *seen
        while p < end:
            if p[0] == KEY_TIMESTAMP:
                p = read_varint(p + 1, end, &number)
                continue
            if p[0] != KEY_TAG:
                p = read_span(p + 1, end, &span)
                continue
            p = read_span(p + 1, end, &span)
            seen = &self.seen[place_of(span)]
            if seen.entry.at != NULL and same(seen.entry, span):
                (<Codes>self.tags[seen.tag]).put_code(first, self.rows, seen.code)
                continue
            read_tag(span, &key, &value)
            seen.tag = self.put_tag(first, key, value)
            seen.entry.at = NULL
            if seen.tag >= 0:
                seen.entry = span
                seen.code = (<Codes>self.tags[seen.tag]).code[self.rows - 1]
        return 0

    cdef Py_ssize_t put_tag(self, Py_ssize_t first, Span key, Span value) except -2:
        """Tag the rows from `first` on; returns the number of the tag, -1 if there is no column for it."""
        cdef Py_hash_t hash = HASHING.hash(key.at, key.size)
        cdef Known *known = self.tag_names.find(key, hash)
        cdef Py_ssize_t number = known.number
        cdef Py_ssize_t row
        if known.key.at == NULL:
            if len(self.tags) >= self.most_tags:
                if len(self.more) + self.rows - first > MOST_MORE:
                    raise OverflowError("the envelopes of a batch have too many rows with too many tags")
                for row in range(first, self.rows):
                    self.more.append((row, bytes_of(key.at, key.at + key.size), bytes_of(value.at, value.at + value.size)))
                return -1
            number = self.tag_names.add(key, hash)
            self.tags.append(Codes.__new__(Codes))
            self.bound()
        (<Codes>self.tags[number]).put(first, self.rows, value)
        return number

    cdef int take_foreign(self, made) except -1:
        """Add the rows that the reference made of one envelope."""
        cdef Py_ssize_t first = self.rows, count = made.rows, row
        cdef Span times = span_of(made.times), kinds = span_of(made.kinds), streams = span_of(made.streams)
        cdef Span values = span_of(made.values), deltas = span_of(made.deltas), durations = span_of(made.durations)
        cdef Span texts = span_of(made.texts), ends = span_of(made.ends), text
        cdef int32_t start, end
        cdef uint64_t value, delta, duration
        append(&self.times, made.times)
        for row in range(count):
            memcpy(&value, values.at + 8 * row, 8)
            memcpy(&delta, deltas.at + 8 * row, 8)
            memcpy(&duration, durations.at + 8 * row, 8)
            memcpy(&start, ends.at + 4 * row, 4)
            memcpy(&end, ends.at + 4 * row + 4, 4)
            text.at = texts.at + start
            text.size = end - start
            self.put_row(kinds.at[row], streams.at[row], value, delta, duration, text)
        for row, text_of_row in texts_of(made.source_id):
            self.source_id.put(first + row, first + row + 1, span_of(text_of_row))
        for row, text_of_row in texts_of(made.instance_id):
            self.instance_id.put(first + row, first + row + 1, span_of(text_of_row))
        for row, text_of_row in texts_of(made.name):
            self.put_name(first + row, span_of(text_of_row))
        for row, text_of_row in texts_of(made.unit):
            self.unit.put(first + row, first + row + 1, span_of(text_of_row))
        if count:
            for name, coded in made.tags.items():
                self.put_tag(first, span_of(name), span_of(coded.values[0]))  # all rows of an envelope have its tags
        return self.bound()

    cdef object drawn(self):
        """Make the columns."""
        rows = self.rows
        return Columns(
            rows, written(&self.times), written(&self.kinds), written(&self.streams), written(&self.values),
            written(&self.deltas), written(&self.durations), written(&self.texts), written(&self.ends),
            written(&self.broken), self.source_id.drawn(rows), self.instance_id.drawn(rows), self.name.drawn(rows),
            self.unit.drawn(rows), dict(zip(self.tag_names.keys, [(<Codes>tag).drawn(0) for tag in self.tags])),
            self.more,
        )


def texts_of(coded):
    """The rows of a coded column that have a text, and which."""
    codes = memoryview(coded.codes).cast("i")
    return [(row, coded.values[code]) for row, code in enumerate(codes) if code >= 0]


def columns(bytes batch not None, Py_ssize_t most_tags=MOST_TAG_COLUMNS):
    """Turn a batch into columns, one row for an envelope or for a metric of a gauge."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef At after
    cdef Span envelope
    cdef Shape shape
    cdef Table table
    if not is_framed(whole):
        return reference.columns(batch, most_tags)
    table = Table(most_tags, whole.size)
    while at < end:
        after = next_envelope(at, end, &envelope)
        if check(envelope, &shape) and shape.deprecated_tags == 0:
            table.take(envelope, &shape)
        else:
            one = on_its_own(reference.columns, batch, bytes_of(at, after), after, (envelope.size,))  # all its tags
            table.take_foreign(one)
        at = after
    return table.drawn()
