"""What tests of the sources share: an outlet in memory, and a set of files driven by hand."""

from collections.abc import Callable
from pathlib import Path

import trio

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from metron.sources import Checkpoints, FilesConfig, FileSource, SourceCounts
from metron.sources.file_set import FileSet
from metron.sources.follow import Reading


class FakeOutlet:
    """Keeps what it is sent; settles it at once, or when `settle` is called."""

    def __init__(self, *, settles: bool = True) -> None:
        self.batches: list[bytes] = []
        self.counts: list[int] = []
        self.unsettled: list[Callable[[], None]] = []
        self._settles = settles
        self._more = trio.Event()

    @property
    def envelopes(self) -> list[Envelope]:
        return list(EnvelopeBatch.FromString(b"".join(self.batches)).batch)

    @property
    def lines(self) -> list[bytes]:
        return [envelope.log.payload for envelope in self.envelopes]

    async def send(self, batch: bytes, count: int, settled: Callable[[], None] | None = None) -> None:
        await trio.lowlevel.checkpoint()
        self.batches.append(batch)
        self.counts.append(count)
        if settled is not None:
            self.unsettled.append(settled)
        if self._settles:
            self.settle()
        self._more.set()

    def settle(self) -> None:
        waiting, self.unsettled = self.unsettled, []
        for settled in waiting:
            settled()

    async def wait_for(self, count: int) -> list[bytes]:
        """Wait until `count` lines have come, and return all."""
        with trio.fail_after(10):
            while sum(self.counts) < count:
                self._more = trio.Event()
                await self._more.wait()
        return self.lines


class Follower:
    """A FileSet and its checkpoints, as they live from one start to one end."""

    def __init__(
        self,
        *paths: Path | str,
        checkpoints: Path | None = None,
        start: str = "beginning",
        exclude: list[str] | None = None,
        **settings: float,
    ) -> None:
        self.counts = SourceCounts()
        source = FileSource(paths=[str(path) for path in paths], source_id="app", start=start, exclude=exclude or [])
        self.config = FilesConfig(sources=[source], **settings)
        self.checkpoints = Checkpoints(checkpoints, self.counts, now_s=lambda: 1000.0)
        self.checkpoints.load()
        self.files = FileSet(self.config, self.checkpoints, self.counts)

    def read(self, now: float = 0.0) -> list[Reading]:
        """Look once, and read all there is; nothing of it settles."""
        self.files.scan(now)
        readings = []
        while self.files.ready:
            readings += self.files.read_round(now)
        return readings

    def lines(self, now: float = 0.0) -> list[bytes]:
        """Look once, read all there is, and have it settle."""
        readings = self.read(now)
        for reading in readings:
            reading.expect()()
        return [line for reading in readings for line in reading.run.lines]

    def note(self) -> None:
        """Take the positions over into the checkpoints."""
        self.checkpoints.update(self.files.positions())

    async def save(self) -> None:
        """Save the checkpoints."""
        self.note()
        await self.checkpoints.save()


def append(path: Path, content: bytes) -> None:
    """Write to the end of a file, as loggers do."""
    with path.open("ab") as file:
        file.write(content)
