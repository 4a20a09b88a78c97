# Writing: one growing buffer for a whole batch, nothing allocated for a single envelope.
#
# A `put_` function writes at `out`, where there is room, and returns where the next byte goes.

cdef enum:
    MOST_HEADER = 10  # bytes, of the key and length of an envelope or of the header of a WebSocket frame
    LIKELY_HEADER = 4  # of a frame whose payload has 126 to 65,535 bytes

cdef struct Writer:
    unsigned char *start
    unsigned char *out  # where the next byte goes
    unsigned char *end


cdef int open_writer(Writer *w, Py_ssize_t size) except -1:
    w.start = w.out = <unsigned char *>PyMem_Malloc(size)
    if w.start == NULL:
        raise MemoryError
    w.end = w.start + size
    return 0


cdef int grow(Writer *w, Py_ssize_t more) except -1:
    cdef Py_ssize_t used = w.out - w.start
    cdef Py_ssize_t size = 2 * (w.end - w.start) + more
    cdef unsigned char *start = <unsigned char *>PyMem_Realloc(w.start, size)
    if start == NULL:
        raise MemoryError
    w.start = start
    w.out = start + used
    w.end = start + size
    return 0


cdef inline int reserve(Writer *w, Py_ssize_t more) except -1:
    """See to it that `more` bytes can be written without asking again."""
    if w.end - w.out < more:
        grow(w, more)
    return 0


cdef inline bytes written(Writer *w):
    return bytes_of(w.start, w.out)


cdef inline unsigned char *put_varint(unsigned char *out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out[0] = <unsigned char>(value | 0x80)
        out += 1
        value >>= 7
    out[0] = <unsigned char>value
    return out + 1


cdef inline unsigned char *put_raw(unsigned char *out, At at, Py_ssize_t size) noexcept nogil:
    memcpy(out, at, size)
    return out + size


cdef inline unsigned char *put_number(unsigned char *out, unsigned char key, uint64_t value) noexcept nogil:
    out[0] = key
    return put_varint(out + 1, value)


cdef inline unsigned char *put_span(unsigned char *out, unsigned char key, Span span) noexcept nogil:
    out = put_number(out, key, span.size)
    return put_raw(out, span.at, span.size)


cdef inline Py_ssize_t varint_size(uint64_t value) noexcept nogil:
    cdef Py_ssize_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline Py_ssize_t span_size(Py_ssize_t size) noexcept nogil:
    """How many bytes a field of `size` bytes takes with its one-byte key and its length."""
    return 1 + varint_size(size) + size


cdef int append(Writer *w, bytes more) except -1:
    cdef Span span = span_of(more)
    reserve(w, span.size)
    w.out = put_raw(w.out, span.at, span.size)
    return 0
