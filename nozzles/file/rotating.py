"""The file that grows, until it is finished and the next one begun. Blocking file I/O."""

from __future__ import annotations

import errno
import time

from nozzles.file.config import Config
from nozzles.file.finished import FinishedFiles
from nozzles.json_lines import LineFile


class RotatingFile:
    """The file that grows, and its rotation. Blocking: one thread at a time. `now` is in seconds, and never falls."""

    def __init__(self, config: Config, finished: FinishedFiles, now: float) -> None:
        self._config = config
        self._finished = finished
        self._file = LineFile(config.path, sync=config.sync)
        if not self._file.regular:
            self._file.close()
            raise OSError(errno.EINVAL, "only a regular file can be rotated", str(config.path))
        self._begun_at = now - max(0.0, time.time() - self._file.changed_at)
        self.rotations = 0

    @property
    def due_at(self) -> float:
        """When it is to be finished for its age; infinity when it is empty, or age does not count."""
        age = self._config.rotate_s
        return self._begun_at + age if age is not None and self._file.size else float("inf")

    def append(self, text: bytes, now: float) -> None:
        """Write lines, to a new file if it is time for one."""
        self.rotate_if_due(now, len(text))
        if not self._file.size:
            self._begun_at = now
        self._file.append(text)

    def rotate_if_due(self, now: float, more: int = 0) -> None:
        """Finish the file if it is too old, or would be too large with so many bytes more.

        One that somebody has moved or removed is theirs: a new one is begun.
        """
        if not self._file.is_in_place():
            self._open_anew()
        too_large = self._file.size > 0 and self._file.size + more > self._config.rotate_bytes
        if too_large or now >= self.due_at:
            self._config.path.rename(self._finished.next_path())
            self.rotations += 1
            self._open_anew()
            self._finished.prune()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open_anew(self) -> None:
        before, self._file = self._file, LineFile(self._config.path, sync=self._config.sync)
        before.close()
