# Keys: byte strings numbered in the order they first come. Only a new one costs a Python object.

cdef extern from "Python.h":
    ctypedef struct PyHash_FuncDef:
        Py_hash_t hash(const void *, Py_ssize_t) noexcept nogil
    PyHash_FuncDef *PyHash_GetFuncDef()

cdef PyHash_FuncDef *HASHING = PyHash_GetFuncDef()  # as for `bytes`: nobody outside can foresee what collides

cdef struct Known:
    Span key  # its `at` is NULL where there is none
    Py_hash_t hash
    Py_ssize_t number


cdef class Keys:
    """A hash table, at most half full."""

    cdef list keys  # by number
    cdef Known *known
    cdef Py_ssize_t room  # a power of two

    def __cinit__(self):
        self.keys = []
        self.make_room(256)

    def __dealloc__(self):
        PyMem_Free(self.known)

    cdef int make_room(self, Py_ssize_t room) except -1:
        cdef Known *old = self.known
        cdef Py_ssize_t old_room = self.room, i
        cdef Known *known = <Known *>PyMem_Calloc(room, sizeof(Known))
        if known == NULL:
            raise MemoryError
        self.known = known
        self.room = room
        for i in range(old_room):
            if old[i].key.at != NULL:
                self.find(old[i].key, old[i].hash)[0] = old[i]
        PyMem_Free(old)
        return 0

    cdef inline Known *find(self, Span key, Py_hash_t hash) noexcept:
        """Where a key is, or else where it belongs."""
        cdef Py_ssize_t last = self.room - 1, at = hash & last
        while self.known[at].key.at != NULL and not (self.known[at].hash == hash and same(self.known[at].key, key)):
            at = at + 1 & last
        return &self.known[at]

    cdef inline Py_ssize_t number_of(self, Span key) except -1:
        """The number of a key: the next one if it is new."""
        cdef Py_hash_t hash = HASHING.hash(key.at, key.size)
        cdef Known *known = self.find(key, hash)
        return known.number if known.key.at != NULL else self.add(key, hash)

    cdef Py_ssize_t add(self, Span key, Py_hash_t hash) except -1:
        cdef Py_ssize_t number = len(self.keys)
        cdef bytes kept = bytes_of(key.at, key.at + key.size)
        cdef Known *known
        if 2 * number >= self.room:
            self.make_room(2 * self.room)
        self.keys.append(kept)
        known = self.find(key, hash)
        known.key, known.hash, known.number = span_of(kept), hash, number
        return number


cdef void *grown(void *array, Py_ssize_t *room, Py_ssize_t size) except NULL:
    """Give an array of things of `size` bytes room for twice as many and more."""
    cdef Py_ssize_t more = 2 * room[0] + 64
    array = PyMem_Realloc(array, more * size)
    if array == NULL:
        raise MemoryError
    room[0] = more
    return array
