"""Standard output that keeps what is written."""

from __future__ import annotations

from standpipe.reading.stdout import Stdout


class Paper(Stdout):
    """Keeps what was written; after `until` writes nobody reads any more."""

    def __init__(self, until: int = 1_000) -> None:
        super().__init__(-1)
        self.writes: list[bytes] = []
        self.until = until

    async def write(self, data: bytes) -> bool:
        self.writes.append(data)
        return len(self.writes) < self.until

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.writes).splitlines()
