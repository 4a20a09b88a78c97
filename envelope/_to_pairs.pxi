# To pairs: one pass over a line, as `envelope.pairs` describes it.

cdef enum:
    LONGEST_KEY = 100

cdef enum PairKind:  # as in envelope/pairs.py
    PAIR_TEXT = 0
    PAIR_NUMBER = 1
    PAIR_QUOTED = 2

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


cdef struct Pair:
    Span key
    Span value  # as it stands there, without quotes
    int kind  # as in envelope/pairs.py


cdef At next_pair(At p, At end, bint *opened, Pair *pair) noexcept nogil:
    """Find the next pair, and step behind it; NULL if there is none. `opened`: whether a key may begin at `p`."""
    cdef At key, value
    while p < end:
        if not (opened[0] and CLASSES[p[0]] & BEGINS):
            opened[0] = CLASSES[p[0]] & OPENS
            p += 1
            continue
        key = p
        while p < end and CLASSES[p[0]] & KEY:
            p += 1
        opened[0] = False
        if p == end or p[0] != 0x3D or p - key > LONGEST_KEY:
            continue
        pair.key.at, pair.key.size = key, p - key
        p += 1
        if p == end:
            return NULL
        value = p
        if p[0] == 0x22:
            p += 1
            while p < end and p[0] != 0x22:
                p += 2 if p[0] == 0x5C else 1
            if p >= end:
                return NULL
            pair.value.at, pair.value.size, pair.kind = value + 1, p - value - 1, PAIR_QUOTED
            return p + 1
        if p[0] == 0x3D:
            continue
        while p < end and not CLASSES[p[0]] & CLOSES:
            p += 1
        if p > value:
            pair.value.at, pair.value.size = value, p - value
            pair.kind = PAIR_NUMBER if is_number(value, p) else PAIR_TEXT
            return p
    return NULL


def pairs(bytes line not None, Py_ssize_t most):
    """Find the first `most` pairs of a line."""
    cdef Span whole = span_of(line)
    cdef At p = whole.at
    cdef At end = p + whole.size
    cdef bint opened = True
    cdef Pair pair
    cdef list found = []
    while len(found) < most:
        p = next_pair(p, end, &opened, &pair)
        if p == NULL:
            break
        value = bytes_of(pair.value.at, pair.value.at + pair.value.size)
        found.append((bytes_of(pair.key.at, pair.key.at + pair.key.size), value, pair.kind))
    return found
