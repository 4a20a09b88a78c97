# To severities: the first word of a text that names a level, where it stands as one.

cdef enum:
    MOST_LOOKED_AT = 256  # bytes, from the start of a text
    LONGEST_LEVEL = 13

cdef struct Level:
    const char *word
    Py_ssize_t size
    int severity

cdef Level LEVELS[20]
cdef Py_ssize_t LEVEL_COUNT = 0
cdef int PRIORITIES[8]


def _learn_levels():
    """Take over what `envelope.severities` knows; its words live as long as it does."""
    global LEVEL_COUNT
    for word, severity in guessing.WORDS.items():
        LEVELS[LEVEL_COUNT] = Level(PyBytes_AS_STRING(word), len(word), severity)
        LEVEL_COUNT += 1
    for number, severity in enumerate(guessing.PRIORITIES):
        PRIORITIES[number] = severity


_learn_levels()


cdef inline bint is_letter(unsigned char c) noexcept nogil:
    return 0x61 <= (c | 0x20) <= 0x7A


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return 0x30 <= c <= 0x39


cdef unsigned char OF_WORDS[256]  # 1 for what words are made of
for _c in range(256):
    OF_WORDS[_c] = is_letter(_c) or is_digit(_c) or _c == 0x5F


cdef inline bint in_word(unsigned char c) noexcept nogil:
    return OF_WORDS[c]


cdef int level_of(At word, Py_ssize_t size) noexcept nogil:
    """The severity that a word names, in whatever case; 0 for none."""
    cdef unsigned char small[LONGEST_LEVEL]
    cdef Py_ssize_t i
    if size > LONGEST_LEVEL or size < 3:
        return 0
    for i in range(size):
        small[i] = word[i] | 0x20
    for i in range(LEVEL_COUNT):
        if LEVELS[i].size == size and memcmp(LEVELS[i].word, small, size) == 0:
            return LEVELS[i].severity
    return 0


cdef bint stands_as_level(At start, At word, At after, At end) noexcept nogil:
    """Whether a word is in capitals, or in brackets, quotes, behind `=` or before `:`."""
    cdef At p = word
    while p < after and not p[0] & 0x20:
        p += 1
    if p == after:
        return True
    if word > start and (word - 1)[0] in (0x5B, 0x3C, 0x28, 0x3D, 0x22, 0x27):  # [ < ( = " '
        return True
    return after < end and after[0] in (0x5D, 0x3E, 0x29, 0x3A, 0x22, 0x27)  # ] > ) : " '


cdef int leading_severity(At p, At end) noexcept nogil:
    """What a text says before its first word: `<PRI>` of syslog, or a letter and four digits, as klog writes."""
    cdef int number = 0
    cdef Py_ssize_t digits = 0
    if end - p < 3:
        return 0
    if p[0] == 0x3C:
        while digits < 3 and p + 1 + digits < end and is_digit(p[1 + digits]):
            number = number * 10 + p[1 + digits] - 0x30
            digits += 1
        if digits and p + 1 + digits < end and p[1 + digits] == 0x3E and number <= 191:
            return PRIORITIES[number & 7]
        return 0
    if end - p > 5 and is_digit(p[1]) and is_digit(p[2]) and is_digit(p[3]) and is_digit(p[4]) and p[5] == 0x20:
        return 3 if p[0] == 0x49 else 4 if p[0] == 0x57 else 5 if p[0] == 0x45 else 6 if p[0] == 0x46 else 0
    return 0


cdef int severity_of(At start, At end) noexcept nogil:
    cdef At p = start, word
    cdef int found
    if end - p > MOST_LOOKED_AT:
        end = p + MOST_LOOKED_AT
    found = leading_severity(p, end)
    while found == 0 and p < end:
        if not in_word(p[0]):
            p += 1
            continue
        word = p
        while p < end and in_word(p[0]):
            p += 1
        found = level_of(word, p - word) if is_letter(word[0]) else 0
        if found and not stands_as_level(start, word, p, end):
            found = 0
    return found


def severities(bytes texts not None, bytes ends not None):
    """Guess the severity of each text; `envelope.severities` says how."""
    cdef Span all_texts = span_of(texts), offsets = span_of(ends)
    cdef Py_ssize_t count = offsets.size // 4 - 1, row
    cdef int32_t start = 0, end
    cdef bytes guessed = PyBytes_FromStringAndSize(NULL, max(count, 0))
    cdef unsigned char *out = <unsigned char *>PyBytes_AS_STRING(guessed)
    for row in range(count):
        memcpy(&end, offsets.at + 4 * row + 4, 4)
        if end < start or end > all_texts.size:
            raise ValueError(f"text {row} ends at {end}, and all of them at {all_texts.size}")
        out[row] = <unsigned char>severity_of(all_texts.at + start, all_texts.at + end)
        start = end
    return guessed
