# To pairs: one pass over a line, as `envelope.pairs` describes it.

cdef enum:
    LONGEST_KEY = 100

cdef enum Class:  # what a character can be part of
    OPENS = 1  # stands before a key
    BEGINS = 2  # the first of a key
    KEY = 4
    CLOSES = 8  # ends a bare value

cdef unsigned char CLASSES[256]


def _learn_classes():
    for c in range(256):
        letter, space = is_letter(c) or c == 0x5F, c == 0x20 or 0x09 <= c <= 0x0D
        CLASSES[c] = (
            OPENS * (space or c in b",;([{|")
            | BEGINS * letter
            | KEY * (letter or is_digit(c) or c in b".-")
            | CLOSES * (space or c in b',;)]}|"')
        )


_learn_classes()


cdef At digits_from(At p, At end, Py_ssize_t most) noexcept nogil:
    """Step over one to `most` digits; NULL if there is none, or there are more."""
    cdef At start = p
    while p < end and is_digit(p[0]):
        p += 1
    return p if 1 <= p - start <= most else NULL


cdef bint is_number(At p, At end) noexcept nogil:
    if p < end and (p[0] == 0x2B or p[0] == 0x2D):
        p += 1
    if p < end and p[0] != 0x2E:
        p = digits_from(p, end, 18)
        if p == NULL:
            return False
        if p == end:
            return True
    if p < end and p[0] == 0x2E:
        p = digits_from(p + 1, end, 18)
        if p == NULL:
            return False
    elif p == end:
        return False
    if p == end:
        return True
    if p[0] | 0x20 != 0x65:
        return False
    p += 1
    if p < end and (p[0] == 0x2B or p[0] == 0x2D):
        p += 1
    return digits_from(p, end, 3) == end


def pairs(bytes line not None, Py_ssize_t most):
    """Find the first `most` pairs of a line."""
    cdef Span whole = span_of(line)
    cdef At p = whole.at, key, equals, value
    cdef At end = p + whole.size
    cdef bint opened = True  # a key may begin here
    cdef list found = []
    while p < end and len(found) < most:
        if not (opened and CLASSES[p[0]] & BEGINS):
            opened = CLASSES[p[0]] & OPENS
            p += 1
            continue
        key = p
        while p < end and CLASSES[p[0]] & KEY:
            p += 1
        opened = False
        if p == end or p[0] != 0x3D or p - key > LONGEST_KEY:
            continue
        equals = p
        p += 1
        if p == end:
            break
        value = p
        if p[0] == 0x22:
            p += 1
            while p < end and p[0] != 0x22:
                p += 2 if p[0] == 0x5C else 1
            if p >= end:
                break
            found.append((bytes_of(key, equals), bytes_of(value + 1, p), 2))
            p += 1
            continue
        if p[0] == 0x3D:
            continue
        while p < end and not CLASSES[p[0]] & CLOSES:
            p += 1
        if p > value:
            found.append((bytes_of(key, equals), bytes_of(value, p), <int>is_number(value, p)))
    return found
