"""All followed files together: take up new ones, read them in turn, let go of those that are no more. No tasks."""

import errno
from collections import OrderedDict, deque

import structlog

from metron.sources.checkpoints import Checkpoints, Position
from metron.sources.config import FilesConfig
from metron.sources.counts import Faults, SourceCounts, printable
from metron.sources.discovery import Discovery, Sighting, Stamp, find_renamed
from metron.sources.follow import FollowedFile, Reading, Start
from metron.sources.tail import FileKey

log = structlog.get_logger(__name__)

ROUND_BYTES = 1024 * 1024
"""How much is read before what was read is sent: bounds the memory, and the time until new lines of a file are seen."""


class FileSet:
    """The files that some sources name.

    Call `scan` now and then to see what has changed, `read_round` while there is something `ready`, and `let_go`
    sometimes. The first two touch files and may take long: call them in a thread, and never two methods at a time.
    """

    def __init__(self, config: FilesConfig, checkpoints: Checkpoints, counts: SourceCounts) -> None:
        self._config = config
        self._checkpoints = checkpoints
        self._counts = counts
        self._faults = Faults(counts)
        self._discovery = Discovery(config.sources, self._faults)
        self._source_of = {pattern: source for source in reversed(config.sources) for pattern in source.paths}
        self._files: dict[FileKey, FollowedFile] = {}
        self._open: OrderedDict[FileKey, FollowedFile] = OrderedDict()  # least lately read first
        self._ready: deque[FollowedFile] = deque()  # have something to read; all of them say `queued`
        self._flushed: list[Reading] = []
        self._paths: set[str] = set()  # of all files, as of the last scan
        self._scanned = False

    @property
    def ready(self) -> bool:
        """Whether `read_round` has something to do."""
        return bool(self._ready or self._flushed)

    def positions(self) -> dict[FileKey, Position]:
        """Return where to start again in each file if this process died now."""
        return {key: file.position for key, file in self._files.items()}

    def scan(self, now: float) -> None:
        """Look up the globs, and see which files are new, have changed or are gone."""
        found = self._discovery.look()
        for key, sighting in found.items():
            file = self._files.get(key) or self._take_up(sighting, now)
            file.path, file.stamp, file.lost_s = sighting.path, sighting.stamp, None
            self._queue_if_changed(file)
        if not self._scanned:
            self._take_up_renamed(now)
            self._checkpoints.add_patterns(self._source_of)
            self._scanned = True
            log.info("files_found", count=len(self._files))
        for file in self._files.values():
            if file.key not in found:
                self._follow_lost(file, now)
            if self._is_overdue(file, now):
                self._flushed += file.flush()
        self._paths = {file.path for file in self._files.values()}

    def read_round(self, now: float) -> list[Reading]:
        """Read one chunk of each file in turn, up to a bound in all; then see `ready`."""
        readings, self._flushed = self._flushed, []
        taken = 0
        while self._ready and taken < ROUND_BYTES:
            file = self._ready.popleft()
            file.queued = False
            lines, size = self._read(file, now)
            readings += lines
            taken += size
            if file.is_open:
                self._queue_if_changed(file)
        return readings

    def let_go(self, now: float) -> None:
        """Close and forget the files that are gone, read to their end, quiet for a while, and delivered."""
        for file in [file for file in self._files.values() if self._is_finished(file, now)]:
            self._close(file)
            del self._files[file.key]
            log.info("file_let_go", path=printable(file.path), read=file.offset)

    def close(self) -> None:
        """Close every file."""
        for file in list(self._open.values()):
            self._close(file)

    def _take_up(self, sighting: Sighting, now: float) -> FollowedFile:
        start = self._start_of(sighting)
        file = FollowedFile(sighting, start, self._config.max_line_bytes, self._counts)
        file.grown_s = now
        self._files[file.key] = file
        if sighting.path in self._paths:
            self._counts.rotations += 1
        if self._scanned:
            log.info("file_found", path=printable(file.path), size=sighting.stamp.size)
        if len(self._open) < self._config.max_open_files:
            self._opened(file)  # at once, not when it is read: only an open file can still be read once it is removed
        return file

    def _start_of(self, sighting: Sighting) -> Start:
        if position := self._checkpoints.find(sighting.key, sighting.path):
            return Start(position.offset, position.fingerprint)
        is_new = self._scanned or self._checkpoints.knows(sighting.pattern, sighting.path)
        return Start(0 if is_new or sighting.source.start == "beginning" else sighting.stamp.size)

    def _take_up_renamed(self, now: float) -> None:
        """Read on in files that were renamed away from every glob while nobody was looking."""
        for key, position in self._checkpoints.still_there().items():
            source = self._source_of.get(position.pattern)
            if source is None or key in self._files:
                continue
            path = find_renamed(position.path, key)
            if path is None or not position.fingerprint.size:  # without one, the inode may be another file's by now
                log.info("file_gone", path=printable(position.path), read=position.offset)
            else:
                self._read_on(Sighting(position.path, key, Stamp(0, 0), source, position.pattern), path, position, now)

    def _read_on(self, sighting: Sighting, path: str, position: Position, now: float) -> None:
        start = Start(position.offset, position.fingerprint)
        file = FollowedFile(sighting, start, self._config.max_line_bytes, self._counts)
        file.path, file.lost_s, file.grown_s = path, now, now
        if not self._opened(file):
            return
        try:
            continues = file.continues()
        except OSError as error:
            self._failed(file, error)
            return
        if continues:
            self._files[file.key] = file
            log.info("file_found_renamed", path=printable(sighting.path), now=printable(path), start=position.offset)
        else:
            self._close(file)

    def _follow_lost(self, file: FollowedFile, now: float) -> None:
        """Look after a file that no glob names any more."""
        if file.lost_s is None:
            file.lost_s = now
            if not file.is_open:
                self._recover(file)
        if file.is_open:
            try:
                file.look()
            except OSError as error:
                self._failed(file, error)
            else:
                self._queue_if_changed(file)

    def _recover(self, file: FollowedFile) -> None:
        """Open a lost file by the name it was given in its directory; without one, what was not read is gone."""
        path = find_renamed(file.path, file.key)
        if path is not None:
            file.path = path
            if self._opened(file):
                return
        unread = file.stamp.size - file.offset
        if unread > 0:
            self._counts.errors["vanished"] += 1
            log.warning("file_vanished", path=printable(file.path), unread_bytes=unread)

    def _is_overdue(self, file: FollowedFile, now: float) -> bool:
        """Whether the end of a held line need not be waited for any longer."""
        if not file.held or file.queued:
            return False
        quiet_s = now - file.grown_s
        last_chance = file.lost_s is not None and (not file.is_open or quiet_s >= self._config.rotate_grace_s)
        return last_chance or quiet_s >= self._config.partial_flush_s

    def _is_finished(self, file: FollowedFile, now: float) -> bool:
        if file.lost_s is None or file.held or file.queued or not file.settled:
            return False
        return not file.is_open or now - max(file.lost_s, file.grown_s) >= self._config.rotate_grace_s

    def _read(self, file: FollowedFile, now: float) -> tuple[list[Reading], int]:
        if not self._opened(file):
            return [], 0
        try:
            result = file.read(now, self._config.chunk_bytes)
        except OSError as error:
            self._failed(file, error)
            return [], 0
        if file.lost_s is None:
            self._faults.clear(file.path)
        return result

    def _queue_if_changed(self, file: FollowedFile) -> None:
        if not file.at_end and not file.queued:
            file.queued = True
            self._ready.append(file)

    def _opened(self, file: FollowedFile) -> bool:
        """Open the file if it is not, and there is room; a failure is reported, and tried again after the next scan."""
        if not file.is_open:
            if not self._has_room():
                return False
            try:
                file.open()
            except FileNotFoundError:
                return False  # renamed or removed since the scan: the next one will see it
            except OSError as error:
                self._faults.report(file.path, _REASONS.get(error.errno or 0, "open_failed"), error)
                return False
        self._open[file.key] = file
        self._open.move_to_end(file.key)
        self._counts.files_open = len(self._open)
        return True

    def _has_room(self) -> bool:
        """Make room for one more open file, if there is none, by closing the one least lately read."""
        if len(self._open) < self._config.max_open_files:
            return True
        for file in self._open.values():
            if file.lost_s is None:  # can be opened again
                self._close(file)
                return True
        return False

    def _failed(self, file: FollowedFile, error: OSError) -> None:
        self._faults.report(file.path, "read_failed", error)
        self._close(file)

    def _close(self, file: FollowedFile) -> None:
        file.close()
        self._open.pop(file.key, None)
        self._counts.files_open = len(self._open)


_REASONS = {
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
    errno.EMFILE: "too_many_open_files",
    errno.ENFILE: "too_many_open_files",
}
