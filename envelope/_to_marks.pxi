# To marks: what each envelope is known again by, as `envelope.marks` describes it.

cdef extern from *:
    """
    static inline uint64_t mixed(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return a ^ b ^ (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t mixed(uint64_t a, uint64_t b) noexcept nogil

cdef uint64_t MARK_START = marking.START
cdef uint64_t MARK_TAKEN_IN = marking.TAKEN_IN
cdef uint64_t MARK_END = marking.END
cdef uint64_t MARK_SIZE = marking.SIZE


cdef uint64_t mark_of(Span envelope) noexcept nogil:
    cdef At p = envelope.at
    cdef At end = p + envelope.size
    cdef uint64_t block[2]
    cdef uint64_t state = MARK_START
    while end - p >= 16:
        memcpy(block, p, 16)
        state = mixed(block[0] ^ MARK_TAKEN_IN, block[1] ^ state)
        p += 16
    if p < end:
        block[0] = block[1] = 0
        memcpy(block, p, end - p)
        state = mixed(block[0] ^ MARK_TAKEN_IN, block[1] ^ state)
    return mixed(mixed(state ^ MARK_END, <uint64_t>envelope.size ^ MARK_SIZE), MARK_START)


def marks(bytes batch not None):
    """Make the mark of each envelope, one behind the other."""
    cdef Span whole = span_of(batch)
    cdef At at = whole.at
    cdef At end = at + whole.size
    cdef Span envelope
    cdef uint64_t mark
    cdef Writer w
    if not is_framed(whole):
        return reference.marks(batch)
    open_writer(&w, whole.size // 16 + 64)
    try:
        while at < end:
            at = next_envelope(at, end, &envelope)
            mark = mark_of(envelope)
            reserve(&w, 8)
            w.out = put_raw(w.out, <At>&mark, 8)
        return written(&w)
    finally:
        PyMem_Free(w.start)
