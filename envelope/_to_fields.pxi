# To fields: what is plain in the lines of a batch, straight into columns; `envelope.line_fields` says what is not.

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **end, void *overflow) except? -1.0

cdef enum:
    MOST_MEMBERS = 64
    LONGEST_NUMBER = 60
    LONGEST_FIELD_NAME = 100
    LONGEST_FIELD = 1024

cdef Py_ssize_t MOST_JSON = in_lines.MOST_JSON
cdef Py_ssize_t MOST_PAIRS = in_lines.MOST_PAIRS
assert (MOST_MEMBERS, LONGEST_FIELD_NAME, LONGEST_FIELD) == (in_lines.MOST_FIELDS, in_lines.MOST_NAME, in_lines.MOST_TEXT)

cdef struct Member:  # a field of the line that is read
    Py_ssize_t name
    bint numeric
    double number
    Span text

cdef struct Use:  # what there is of a name: the numbers of its columns, -1 for none, and the line that had it latest
    Py_ssize_t texts
    Py_ssize_t numbers
    Py_ssize_t latest

cdef double TENS[16]
for _power in range(16):
    TENS[_power] = 10.0**_power

cdef unsigned char PLAIN[256]  # 1 for what a JSON text holds as it is
for _c in range(256):
    PLAIN[_c] = _c >= 0x20 and _c != 0x22 and _c != 0x5C


cdef double number_from(At start, At end) except? -1.0:
    """Read a number: digits, perhaps with a sign, a point and an exponent. It is rounded as `float` does it."""
    cdef At p = start
    cdef uint64_t digits = 0
    cdef Py_ssize_t count = 0, behind_point = -1
    cdef bint negative = False
    cdef double number
    cdef char token[LONGEST_NUMBER + 1]
    if p[0] == 0x2D or p[0] == 0x2B:
        negative = p[0] == 0x2D
        p += 1
    while p < end and (is_digit(p[0]) or p[0] == 0x2E) and count < 20:
        if p[0] == 0x2E:
            behind_point = count
        else:
            digits = digits * 10 + p[0] - 0x30
            count += 1
        p += 1
    if p == end and behind_point < 0 and count <= 19:
        number = <double>digits
    elif p == end and count <= 15:  # both are exact, so that their quotient is rounded once
        number = <double>digits / TENS[count - behind_point]
    else:
        memcpy(token, start, end - start)
        token[end - start] = 0
        return PyOS_string_to_double(token, NULL, NULL)
    return -number if negative else number


cdef inline At behind_space(At p, At end) noexcept nogil:
    while p < end and (p[0] == 0x20 or p[0] == 0x09 or p[0] == 0x0A or p[0] == 0x0D):
        p += 1
    return p


cdef inline At read_text(At p, At end, Span *text) noexcept nogil:
    """Read a JSON text; NULL if it has an escape, or is none."""
    if p >= end or p[0] != 0x22:
        return NULL
    p += 1
    text.at = p
    while p < end and PLAIN[p[0]]:
        p += 1
    text.size = p - text.at
    return p + 1 if p < end and p[0] == 0x22 and is_utf8(text[0]) else NULL


cdef At behind_digits(At p, At end) noexcept nogil:
    """Step over digits; NULL if there is none."""
    cdef At start = p
    while p < end and is_digit(p[0]):
        p += 1
    if p == start:
        return NULL
    return p


cdef At behind_number(At p, At end) noexcept nogil:
    """Step over a JSON number of a common form; NULL if it is another: -0, one of many digits, with an exponent."""
    cdef At start = p
    cdef At first
    if p < end and p[0] == 0x2D:
        p += 1
    first = p
    p = behind_digits(p, end)
    if p == NULL or p - first > 19 or first[0] == 0x30 and (p - first > 1 or first > start):
        return NULL
    if p < end and p[0] == 0x2E:
        p = behind_digits(p + 1, end)
    if p == NULL or p - start > LONGEST_NUMBER or p < end and p[0] | 0x20 == 0x65:
        return NULL
    return p


cdef inline bint says(At p, At end, const char *word, Py_ssize_t size) noexcept nogil:
    return end - p >= size and memcmp(p, word, size) == 0


cdef inline bint is_short(Span text) noexcept nogil:
    """Whether a text has no more characters than a field may have; only what is no longer in bytes is sure to be."""
    return text.size <= LONGEST_FIELD


cdef class SparseNumbers:
    """A column of numbers that few rows have."""

    cdef Writer rows, values

    def __cinit__(self):
        open_writer(&self.rows, 64)
        open_writer(&self.values, 128)

    def __dealloc__(self):
        PyMem_Free(self.rows.start)
        PyMem_Free(self.values.start)

    cdef int put(self, Py_ssize_t row, double value) except -1:
        cdef int32_t place = <int32_t>row
        reserve(&self.rows, 4)
        reserve(&self.values, 8)
        self.rows.out = put_raw(self.rows.out, <At>&place, 4)
        self.values.out = put_raw(self.values.out, <At>&value, 8)
        return 0


cdef class FieldTable:
    """The columns of the fields of lines, as they grow."""

    cdef Keys names
    cdef Use *uses  # by the number of the name
    cdef Py_ssize_t uses_room, uses_known
    cdef Py_ssize_t rows, most, count
    cdef Member members[MOST_MEMBERS]  # of the line that is read
    cdef list texts, text_names, numbers, number_names, more

    def __cinit__(self, Py_ssize_t rows, Py_ssize_t most):
        self.rows, self.most = rows, most
        self.names = Keys.__new__(Keys)
        self.texts, self.text_names, self.numbers, self.number_names, self.more = [], [], [], [], []

    def __dealloc__(self):
        PyMem_Free(self.uses)

    cdef Py_ssize_t name_of(self, Span name) except -1:
        cdef Py_ssize_t number = self.names.number_of(name)
        while self.uses_room <= number:
            self.uses = <Use *>grown(self.uses, &self.uses_room, sizeof(Use))
        while self.uses_known <= number:
            self.uses[self.uses_known] = Use(-1, -1, -1)
            self.uses_known += 1
        return number

    cdef int take(self, Span line, Py_ssize_t row, read) except -1:
        """Write the fields of a line."""
        cdef bint is_plain
        self.count = 0
        if line.size and line.at[0] == 0x7B:
            is_plain = line.size <= MOST_JSON and self.read_object(line, row)
        elif memchr(line.at, 0x3D, line.size) == NULL:
            return 0
        else:
            is_plain = self.read_pairs(line, row)
        if is_plain:
            self.put_members(row)
        else:
            self.take_foreign(row, read(bytes_of(line.at, line.at + line.size)))
        return 0

    cdef bint read_pairs(self, Span line, Py_ssize_t row) except -1:
        """Read the pairs of a line; False if one of them is not plain."""
        cdef At p = line.at
        cdef At end = p + (line.size if line.size < MOST_PAIRS else MOST_PAIRS)
        cdef bint opened = True
        cdef Pair pair
        cdef Py_ssize_t name, found = 0
        cdef Member *member
        while found < MOST_MEMBERS:
            p = next_pair(p, end, &opened, &pair)
            if p == NULL:
                return True
            found += 1
            name = self.name_of(pair.key)
            if self.uses[name].latest == row:
                continue
            member = &self.members[self.count]
            member.name, member.text, member.numeric = name, pair.value, pair.kind == PAIR_NUMBER
            if member.numeric:
                member.number = number_from(pair.value.at, pair.value.at + pair.value.size)
            elif not is_short(pair.value) or not is_utf8(pair.value):
                return False
            elif pair.kind == PAIR_QUOTED and memchr(pair.value.at, 0x5C, pair.value.size) != NULL:
                return False
            self.uses[name].latest = row
            self.count += 1
        return True

    cdef bint read_object(self, Span line, Py_ssize_t row) except -1:
        """Read a line that is a JSON object; False if it is none, or one that is not plain."""
        cdef At p = line.at
        cdef At end = p + line.size
        cdef Py_ssize_t members = 0
        p = behind_space(p + 1, end)
        if p < end and p[0] == 0x7D:
            return behind_space(p + 1, end) == end
        while members < MOST_MEMBERS:
            members += 1
            p = self.read_member(p, end, row)
            if p == NULL:
                return False
            p = behind_space(p, end)
            if p == end:
                return False
            if p[0] == 0x7D:
                return behind_space(p + 1, end) == end
            if p[0] != 0x2C:
                return False
            p = behind_space(p + 1, end)
        return False

    cdef At read_member(self, At p, At end, Py_ssize_t row) except? NULL:
        cdef Span key
        cdef Member *member = &self.members[self.count]
        cdef At start
        p = read_text(p, end, &key)
        if p == NULL or key.size == 0 or key.size > LONGEST_FIELD_NAME or memchr(key.at, 0x24, key.size) != NULL:
            return NULL  # a name with $ may be none of a text
        p = behind_space(p, end)
        if p == end or p[0] != 0x3A:
            return NULL
        p = behind_space(p + 1, end)
        member.name = self.name_of(key)
        if self.uses[member.name].latest == row:  # the last one of a name counts
            return NULL
        self.uses[member.name].latest = row
        member.numeric = False
        if p == end:
            return NULL
        if p[0] == 0x22:
            p = read_text(p, end, &member.text)
            if p == NULL or not is_short(member.text):
                return NULL
        elif is_digit(p[0]) or p[0] == 0x2D:
            start = p
            p = behind_number(p, end)
            if p == NULL:
                return NULL
            member.numeric, member.number = True, number_from(start, p)
        elif says(p, end, b"null", 4):
            return p + 4
        elif says(p, end, b"true", 4) or says(p, end, b"false", 5):
            member.text.at, member.text.size = p, 4 if p[0] == 0x74 else 5
            p += member.text.size
        else:
            return NULL
        self.count += 1
        return p

    cdef int put_members(self, Py_ssize_t row) except -1:
        cdef Member *member
        cdef Py_ssize_t i
        for i in range(self.count):
            member = &self.members[i]
            if member.numeric:
                self.put_number(row, member.name, member.number)
            else:
                self.put_text(row, member.name, member.text)
        return 0

    cdef int take_foreign(self, Py_ssize_t row, fields) except -1:
        """Write the fields that somebody else has read."""
        cdef Py_ssize_t number
        cdef bytes key, text
        for name, value in fields.items():
            key = name.encode()
            number = self.name_of(span_of(key))
            if type(value) is str:
                text = value.encode()
                self.put_text(row, number, span_of(text))
            else:
                self.put_number(row, number, value)
        return 0

    cdef int put_text(self, Py_ssize_t row, Py_ssize_t name, Span text) except -1:
        cdef Use *use = &self.uses[name]
        if use.texts < 0:
            if not self.has_room():
                self.more.append((row, self.names.keys[name], bytes_of(text.at, text.at + text.size).decode()))
                return 0
            use.texts = len(self.texts)
            self.texts.append(Codes.__new__(Codes))
            self.text_names.append(self.names.keys[name])
        (<Codes>self.texts[use.texts]).put(row, row + 1, text)
        return 0

    cdef int put_number(self, Py_ssize_t row, Py_ssize_t name, double value) except -1:
        cdef Use *use = &self.uses[name]
        if use.numbers < 0:
            if not self.has_room():
                self.more.append((row, self.names.keys[name], value))
                return 0
            use.numbers = len(self.numbers)
            self.numbers.append(SparseNumbers.__new__(SparseNumbers))
            self.number_names.append(self.names.keys[name])
        (<SparseNumbers>self.numbers[use.numbers]).put(row, value)
        return 0

    cdef bint has_room(self) except -1:
        """Whether there may be one more column."""
        cdef Py_ssize_t columns = len(self.texts) + len(self.numbers)
        if columns >= self.most:
            return False
        if (columns + 1) * self.rows > MOST_CELLS:
            raise OverflowError("the lines of a batch are too many with too many fields")
        return True

    cdef object drawn(self):
        """Make the columns."""
        texts = [(<Codes>codes).drawn(0) for codes in self.texts]
        numbers = [
            Numbers(written(&(<SparseNumbers>column).rows), written(&(<SparseNumbers>column).values))
            for column in self.numbers
        ]
        return LineFields(dict(zip(self.text_names, texts)), dict(zip(self.number_names, numbers)), self.more)


def line_fields(bytes texts not None, bytes ends not None, bytes kinds not None, Py_ssize_t most, read):
    """Find the fields of each text that is of a log, column by column."""
    cdef Span all_texts = span_of(texts), offsets = span_of(ends), of_rows = span_of(kinds), line
    cdef Py_ssize_t rows = of_rows.size, row
    cdef int32_t start, end
    cdef FieldTable table = FieldTable(rows, most)
    if offsets.size // 4 != rows + 1:
        raise ValueError(f"{rows} kinds, and {offsets.size // 4} ends of texts")
    for row in range(rows):
        memcpy(&start, offsets.at + 4 * row, 4)
        memcpy(&end, offsets.at + 4 * row + 4, 4)
        if not 0 <= start <= end <= all_texts.size:
            raise ValueError(f"text {row} ends at {end}, and all of them at {all_texts.size}")
        if of_rows.at[row] == LOG:
            line.at, line.size = all_texts.at + start, end - start
            table.take(line, row, read)
    return table.drawn()
