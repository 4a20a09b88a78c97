"""What running queries take of memory together, by estimate, so that none of them drives the envelopes out of it."""

from __future__ import annotations

from threading import Lock

from log_cache.promql.values import QueryError


class QueryMemory:
    """A bound for all queries together; counted in any thread."""

    def __init__(self, most_bytes: int) -> None:
        self.held_bytes = 0
        self._most_bytes = most_bytes
        self._lock = Lock()

    def share(self) -> Share:
        """Begin with nothing, for one query."""
        return Share(self)

    def change(self, size: int, share_bytes: int) -> None:
        """Count what is to be `share_bytes` of one query; raises `QueryError` for what would be too much."""
        with self._lock:
            if size > 0 and share_bytes > self._most_bytes:
                raise QueryError("execution", "query processing would load too many samples into memory")
            if size > 0 and self.held_bytes + size > self._most_bytes:
                raise QueryError("execution", "all queries together would load too many samples into memory: try again")
            self.held_bytes += size


class Share:
    """What one query takes."""

    def __init__(self, memory: QueryMemory) -> None:
        self.is_over = False
        """Whether the query has ended, and may take nothing more."""
        self._memory = memory
        self._held_bytes = 0
        self._lock = Lock()

    def hold(self, size: int) -> None:
        """Count so much more; raises `QueryError` for too much, or when the query has ended."""
        with self._lock:
            if self.is_over:
                raise QueryError("timeout", "nobody waits for this query any more")
            self._memory.change(size, self._held_bytes + size)
            self._held_bytes += size

    def end(self) -> None:
        """Give everything back."""
        with self._lock:
            self.is_over = True
            self._memory.change(-self._held_bytes, 0)
            self._held_bytes = 0
