# Filters of words: which words, whatever their case, texts surely do not have. `envelope.words` says what a filter is.
#
# Text is read eight bytes at a time. A filter takes milliseconds to make, so the GIL is let go of meanwhile.

import os

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

cdef extern from *:
    """
    static inline uint64_t folded_product(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t folded_product(uint64_t a, uint64_t b) noexcept nogil
    int __builtin_ctzll(unsigned long long number) noexcept nogil

cdef enum:
    EIGHT = 8
    FEWEST_PLACES = 1024
    MOST_PLACES = 1 << 16  # at first
    FILTER_HEAD = 8
    MOST_TRIES = 64
    ALL_NOTED = -1
    NO_MEMORY = -2

cdef uint64_t EACH = 0x0101010101010101
cdef uint64_t TOP_BITS = 0x8080808080808080
cdef uint64_t WORDS_START = 0x9E3779B97F4A7C15  # as in envelope/words.py, and so are the next two
cdef uint64_t WORDS_STEP = 0xD6E8FEB86659FD93
cdef uint64_t TRIES_STEP = 0x9E3779B97F4A7C15
cdef uint64_t PLACING = int.from_bytes(os.urandom(8), "little") | 1  # nobody outside can foresee which words collide


cdef struct Words:
    uint64_t *places  # a hash table: each word's hash, or 0
    size_t size  # a power of two
    size_t count


cdef struct WordFilter:
    size_t third  # of the slots
    uint64_t *keys  # of each slot: those of all words that have it, exclusive or; of a word that is taken out, its own
    uint32_t *counts  # of each slot: how many words have it
    uint32_t *alone  # slots that one word alone has, and is to be taken out of
    uint32_t *order  # of words that are taken out, where they were alone
    size_t count  # how many those are


cdef inline uint64_t at_least(uint64_t low, int least) noexcept nogil:
    """Of bytes below 128: the top bit of each that is not less."""
    return (low + (128 - least) * EACH) & TOP_BITS


cdef inline uint64_t of_words(uint64_t eight) noexcept nogil:
    """The top bit of each byte that is a letter, a digit or `_`."""
    cdef uint64_t low = eight & ~TOP_BITS
    cdef uint64_t small = low | 0x20 * EACH
    cdef uint64_t letters = at_least(small, 0x61) & ~at_least(small, 0x7B)
    cdef uint64_t digits = at_least(low, 0x30) & ~at_least(low, 0x3A)
    cdef uint64_t lines = at_least(low, 0x5F) & ~at_least(low, 0x60)
    return (letters | digits | lines) & ~eight


cdef inline uint64_t eight_of(At p, At end, At readable) noexcept nogil:
    """Eight bytes from `p` on; zeros from `end` on."""
    cdef uint64_t eight = 0
    if readable - p >= EIGHT:
        memcpy(&eight, p, EIGHT)
        if end - p < EIGHT:
            eight &= (<uint64_t>1 << 8 * (end - p)) - 1
    else:
        memcpy(&eight, p, end - p)
    return eight


cdef inline uint64_t stirred(uint64_t hash, uint64_t eight) noexcept nogil:
    """Go on with eight characters of a word; a letter is small, and `_` something that is nothing else."""
    return folded_product(hash ^ (eight | (eight & 0x40 * EACH) >> 1), WORDS_STEP)


cdef At hash_of_word(At p, At end, At readable, uint64_t *hash) noexcept nogil:
    """Hash the word that begins at `p`, if there is one; returns where it ends."""
    cdef uint64_t eight, others
    cdef int size
    hash[0] = WORDS_START
    while p < end:
        eight = eight_of(p, end, readable)
        others = of_words(eight) ^ TOP_BITS
        if others == 0:
            hash[0] = stirred(hash[0], eight)
            p += EIGHT
            continue
        size = __builtin_ctzll(others) >> 3
        if size:
            hash[0] = stirred(hash[0], eight & ((<uint64_t>1 << 8 * size) - 1))
        return p + size
    return p


cdef inline size_t place_in(size_t size, uint64_t hash) noexcept nogil:
    """Where a word is looked for first."""
    return folded_product(hash, PLACING) & (size - 1)


cdef bint note_word(Words *words, uint64_t hash) noexcept nogil:
    """Put a word's hash into the table; False if there is no memory."""
    cdef size_t mask = words.size - 1
    cdef size_t place
    hash += hash == 0
    place = place_in(words.size, hash)
    while words.places[place]:
        if words.places[place] == hash:
            return True
        place = (place + 1) & mask
    words.places[place] = hash
    words.count += 1
    return words.count * 2 < words.size or widen(words)


cdef bint widen(Words *words) noexcept nogil:
    cdef uint64_t *old = words.places
    cdef size_t i, place, size = words.size
    words.places = <uint64_t *>calloc(2 * size, sizeof(uint64_t))
    if words.places == NULL:
        words.places = old
        return False
    words.size = 2 * size
    for i in range(size):
        if old[i]:
            place = place_in(words.size, old[i])
            while words.places[place]:
                place = (place + 1) & (words.size - 1)
            words.places[place] = old[i]
    free(old)
    return True


cdef bint note_words(Words *words, At p, At end, At readable) noexcept nogil:
    cdef uint64_t hash
    cdef At after
    while p < end:
        after = hash_of_word(p, end, readable, &hash)
        if after > p and not note_word(words, hash):
            return False
        p = after + 1
    return True


cdef inline uint64_t key_of(uint64_t hash, int attempt) noexcept nogil:
    cdef uint64_t key = hash + attempt * TRIES_STEP
    key = (key ^ key >> 33) * <uint64_t>0xFF51AFD7ED558CCD
    key = (key ^ key >> 33) * <uint64_t>0xC4CEB9FE1A85EC53
    return key ^ key >> 33


cdef inline size_t slot_of(uint64_t key, int third, size_t slots) noexcept nogil:
    """Where a key is in one third of a filter, which has so many slots."""
    if third:
        key = key << 21 * third | key >> (64 - 21 * third)
    return third * slots + (<uint64_t><uint32_t>key * slots >> 32)


cdef inline unsigned char print_of(uint64_t key) noexcept nogil:
    return <unsigned char>(key ^ key >> 32)


cdef bint peel(Words *words, WordFilter *filter, int attempt) noexcept nogil:
    """Put the words in an order in which each has a slot that none behind it has; False if there is no such order."""
    cdef size_t i, own, slot, waiting = 0
    cdef uint64_t key
    cdef int part
    memset(filter.keys, 0, 3 * filter.third * sizeof(uint64_t))
    memset(filter.counts, 0, 3 * filter.third * sizeof(uint32_t))
    for i in range(words.size):
        if words.places[i]:
            key = key_of(words.places[i], attempt)
            for part in range(3):
                slot = slot_of(key, part, filter.third)
                filter.keys[slot] ^= key
                filter.counts[slot] += 1
    for i in range(3 * filter.third):
        filter.alone[waiting] = <uint32_t>i
        waiting += filter.counts[i] == 1
    filter.count = 0
    while waiting:
        waiting -= 1
        own = filter.alone[waiting]
        if filter.counts[own] != 1:
            continue
        filter.order[filter.count] = <uint32_t>own
        filter.count += 1
        filter.counts[own] = 0
        key = filter.keys[own]
        for part in range(3):
            slot = slot_of(key, part, filter.third)
            if slot != own:
                filter.keys[slot] ^= key
                filter.counts[slot] -= 1
                filter.alone[waiting] = <uint32_t>slot
                waiting += filter.counts[slot] == 1
    return filter.count == words.count


cdef void put_prints(WordFilter *filter, unsigned char *out) noexcept nogil:
    """Give the slots bytes, so that the three of each word make up its print."""
    cdef size_t slot, i = filter.count
    cdef uint64_t key
    while i:
        i -= 1
        slot = filter.order[i]
        key = filter.keys[slot]
        out[slot] = print_of(key) ^ three_of(out, key, filter.third)


cdef inline unsigned char three_of(const unsigned char *prints, uint64_t key, size_t third) noexcept nogil:
    """What the three slots of a word make up."""
    return prints[slot_of(key, 0, third)] ^ prints[slot_of(key, 1, third)] ^ prints[slot_of(key, 2, third)]


cdef bytes filter_of(Words *words):
    """Make a filter of all words that were noted; an empty one, which has them all, where none can be made."""
    cdef WordFilter filter
    cdef int attempt
    cdef bytes made
    cdef uint32_t third = <uint32_t>((words.count * 123 // 100 + 32) // 3)
    cdef unsigned char *out
    if words.count == 0:
        third = 0
    made = PyBytes_FromStringAndSize(NULL, FILTER_HEAD + 3 * <Py_ssize_t>third)
    out = <unsigned char *>PyBytes_AS_STRING(made)
    memset(out, 0, FILTER_HEAD + 3 * <size_t>third)
    memcpy(out + 4, &third, 4)
    if third == 0:
        return made
    filter.third = third
    filter.keys = <uint64_t *>malloc(3 * <size_t>third * sizeof(uint64_t))
    filter.counts = <uint32_t *>malloc(3 * <size_t>third * sizeof(uint32_t))
    filter.alone = <uint32_t *>malloc((3 * <size_t>third + 1) * sizeof(uint32_t))
    filter.order = <uint32_t *>malloc(words.count * sizeof(uint32_t))
    try:
        if filter.keys == NULL or filter.counts == NULL or filter.alone == NULL or filter.order == NULL:
            raise MemoryError
        for attempt in range(MOST_TRIES):
            with nogil:
                if peel(words, &filter, attempt):
                    out[0] = <unsigned char>attempt
                    put_prints(&filter, out + FILTER_HEAD)
                    break
        else:
            return b""
        return made
    finally:
        free(filter.keys)
        free(filter.counts)
        free(filter.alone)
        free(filter.order)


cdef Py_ssize_t note_rows(Words *words, Span texts, At ends, At valid, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """Note the words of some rows. Returns which row does not lie within the texts, or one of the above.

    Whoever has the buffers may write to them meanwhile: each offset is looked at once, and used as it was then.
    """
    cdef int32_t start, end
    cdef Py_ssize_t row
    memcpy(&start, ends + 4 * first, 4)
    for row in range(first, first + rows):
        memcpy(&end, ends + 4 * row + 4, 4)
        if start < 0 or end < start or end > texts.size:
            return row
        if valid == NULL or valid[row >> 3] >> (row & 7) & 1:
            if not note_words(words, texts.at + start, texts.at + end, texts.at + texts.size):
                return NO_MEMORY
        start = end
    return ALL_NOTED


def word_filter(texts, ends, Py_ssize_t first, Py_ssize_t rows, validity):
    """Make a filter of the words of some rows; `envelope.words` says how."""
    cdef Py_buffer text_bytes, offsets, bits
    cdef Span every
    cdef At valid = NULL
    cdef Words words
    cdef Py_ssize_t odd
    memset(&text_bytes, 0, sizeof(Py_buffer))
    memset(&offsets, 0, sizeof(Py_buffer))
    memset(&bits, 0, sizeof(Py_buffer))
    words.places = NULL
    try:
        PyObject_GetBuffer(texts, &text_bytes, PyBUF_SIMPLE)
        PyObject_GetBuffer(ends, &offsets, PyBUF_SIMPLE)
        if first < 0 or rows < 0 or first > (1 << 40) or rows > (1 << 40) or (first + rows + 1) * 4 > offsets.len:
            raise ValueError(f"there are no {rows} rows from {first} on")
        if validity is not None:
            PyObject_GetBuffer(validity, &bits, PyBUF_SIMPLE)
            if (first + rows + 7) // 8 > bits.len:
                raise ValueError(f"nothing says which of {rows} rows from {first} on are null")
            valid = <At>bits.buf
        every.at, every.size = <At>text_bytes.buf, text_bytes.len
        words.size, words.count = FEWEST_PLACES, 0
        while words.size < MOST_PLACES and words.size < 8 * <size_t>rows:
            words.size *= 2
        words.places = <uint64_t *>calloc(words.size, sizeof(uint64_t))
        if words.places == NULL:
            raise MemoryError
        with nogil:
            odd = note_rows(&words, every, <At>offsets.buf, valid, first, rows)
        if odd == NO_MEMORY:
            raise MemoryError
        if odd != ALL_NOTED:
            raise ValueError(f"text {odd} is not within the {text_bytes.len} bytes of all of them")
        return filter_of(&words)
    finally:
        free(words.places)
        PyBuffer_Release(&bits)
        PyBuffer_Release(&offsets)
        PyBuffer_Release(&text_bytes)


def filter_has(filter_, bytes word not None):
    """Whether a word may be among those that a filter was made of; False only if it surely is not."""
    cdef Py_buffer content
    cdef Span span = span_of(word)
    cdef At end = span.at + span.size
    cdef const unsigned char *prints
    cdef uint64_t key, hash
    cdef uint32_t third
    if hash_of_word(span.at, end, end, &hash) != end or not span.size:
        raise ValueError(f"{word!r} is no word")
    PyObject_GetBuffer(filter_, &content, PyBUF_SIMPLE)
    try:
        if content.len < FILTER_HEAD:
            return True
        prints = <const unsigned char *>content.buf
        memcpy(&third, prints + 4, 4)
        if content.len != FILTER_HEAD + 3 * <Py_ssize_t>third:
            return True
        if third == 0:
            return False
        key = key_of(hash + (hash == 0), prints[0])
        return print_of(key) == three_of(prints + FILTER_HEAD, key, third)
    finally:
        PyBuffer_Release(&content)
