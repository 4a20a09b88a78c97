# To the parts of a batch, one for each source: what every envelope belongs to is noted first, then all is copied.

cdef enum:
    INDEX_RECORD = 13  # bytes: time, end, kind

cdef struct Piece:
    At at
    At after
    Py_ssize_t part
    int64_t timestamp
    int kind

cdef struct Part:
    bint wanted
    int kinds
    Py_ssize_t size
    Py_ssize_t count
    unsigned char *start
    unsigned char *out  # where its next envelope goes
    unsigned char *index  # where the next record of its index goes


cdef class Parts:
    """Which envelope of a batch belongs to which part of it; a part has the number of its source_id."""

    cdef Keys sources
    cdef Piece *piece
    cdef Part *part
    cdef Py_ssize_t pieces, parts, room_for_pieces, room_for_parts

    def __cinit__(self):
        self.sources = Keys.__new__(Keys)

    def __dealloc__(self):
        PyMem_Free(self.piece)
        PyMem_Free(self.part)

    cdef int note(self, bytes batch, sources) except -1:
        """Note every envelope of a framed batch whose source_id is among `sources` (None: of every source)."""
        cdef Span whole = span_of(batch)
        cdef At at = whole.at
        cdef At end = at + whole.size
        cdef At after
        cdef Span envelope
        cdef Shape shape
        cdef Py_ssize_t number
        while at < end:
            after = next_envelope(at, end, &envelope)
            if not skim(envelope, &shape):
                shape.kind, source_id, shape.timestamp = describe(batch, at, after)
                shape.source_id = span_of(source_id)
            number = self.sources.number_of(shape.source_id)
            if number == self.parts:
                self.add_part(sources is None or self.sources.keys[number] in sources)
            if self.part[number].wanted:
                self.add(Piece(at, after, number, shape.timestamp, shape.kind))
            at = after
        return 0

    cdef int add_part(self, bint wanted) except -1:
        if self.parts == self.room_for_parts:
            self.part = <Part *>grown(self.part, &self.room_for_parts, sizeof(Part))
        self.part[self.parts] = Part(wanted, 0, 0, 0, NULL, NULL, NULL)
        self.parts += 1
        return 0

    cdef inline int add(self, Piece piece) except -1:
        cdef Part *part = &self.part[piece.part]
        if self.pieces == self.room_for_pieces:
            self.piece = <Piece *>grown(self.piece, &self.room_for_pieces, sizeof(Piece))
        self.piece[self.pieces] = piece
        self.pieces += 1
        part.size += piece.after - piece.at
        part.count += 1
        part.kinds |= piece.kind
        return 0

    cdef dict cut(self, bint indexed):
        """Make the parts: source_id -> (part, index), or (part, count, kinds)."""
        cdef dict result = {}
        cdef bytes batch, index
        cdef Py_ssize_t number
        cdef Part *part
        for number in range(self.parts):
            part = &self.part[number]
            if not part.wanted:
                continue
            if indexed and part.size > <Py_ssize_t>0xFFFFFFFF:
                raise OverflowError("the envelopes of one source take more than 4 GiB")
            batch = PyBytes_FromStringAndSize(NULL, part.size)
            part.start = part.out = <unsigned char *>PyBytes_AS_STRING(batch)
            if indexed:
                index = PyBytes_FromStringAndSize(NULL, INDEX_RECORD * part.count)
                part.index = <unsigned char *>PyBytes_AS_STRING(index)
                result[self.sources.keys[number]] = batch, index
            else:
                result[self.sources.keys[number]] = batch, part.count, part.kinds
        self.copy(indexed)
        return result

    cdef void copy(self, bint indexed) noexcept:
        cdef Piece *piece = self.piece
        cdef Piece *last = piece + self.pieces
        cdef Part *part
        while piece < last:
            part = &self.part[piece.part]
            part.out = put_raw(part.out, piece.at, piece.after - piece.at)
            if indexed:
                part.index = put_index_record(part.index, piece.timestamp, part.out - part.start, piece.kind)
            piece += 1


cdef inline unsigned char *put_index_record(unsigned char *out, int64_t time, Py_ssize_t end, int kind) noexcept nogil:
    cdef uint32_t short_end = <uint32_t>end
    memcpy(out, &time, 8)
    memcpy(out + 8, &short_end, 4)
    out[12] = <unsigned char>kind
    return out + INDEX_RECORD


def split(bytes batch not None, sources):
    """Deal a batch out by source: source_id -> (its part in order, count, kinds), for those in `sources`."""
    cdef Parts parts = Parts.__new__(Parts)
    if sources is None or not is_framed(span_of(batch)):  # None would be every source to `note`
        return reference.split(batch, sources)
    parts.note(batch, sources)
    return parts.cut(False)


def deal(bytes batch not None):
    """Deal a batch out to all its sources: source_id -> (its part in order, an index of times, ends and kinds)."""
    cdef Parts parts = Parts.__new__(Parts)
    if not is_framed(span_of(batch)):
        return reference.deal(batch)
    parts.note(batch, None)
    return parts.cut(True)
