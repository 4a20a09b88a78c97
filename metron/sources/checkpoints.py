"""Remember across restarts how far each file has been read and delivered.

In:    the position of every followed file, once a second.
Out:   one JSON file, replaced whole and only after it is on disk.
Drops: nothing. A position never passes what has been delivered, so a kill at any moment makes the next start send
       again what was read after the last save (a second's worth, and what was on its way): at least once, never less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

import orjson
import structlog
import trio
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from metron.sources.counts import SourceCounts
from metron.sources.tail import FileKey, Fingerprint
from plumbing.private_files import locked, write_file

log = structlog.get_logger(__name__)

MAX_ENTRIES = 10_000
MAX_GONE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Position:
    """How far one file has been read and delivered."""

    path: str
    pattern: str
    offset: int
    fingerprint: Fingerprint
    gone_s: float | None = None
    """When the file was first missed; None while it is there."""


class Checkpoints:
    """The positions of all files, in memory and, given a path, on disk.

    Files that are there are always remembered. Files gone for more than a day are forgotten, and earlier, longest
    gone first, while there are more than `max_entries` in all.
    """

    def __init__(
        self,
        path: Path | None,
        counts: SourceCounts,
        *,
        now_s: Callable[[], float],
        write: Callable[[Path, bytes], None] | None = None,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._path = path
        self._counts = counts
        self._now_s = now_s
        self._write = write or _write
        self._max_entries = max_entries
        self._patterns: set[str] = set()
        self._positions: dict[FileKey, Position] = {}
        self._by_path: dict[str, FileKey] = {}
        self._changed = False
        self._failing = False
        self._saving = trio.Lock()

    def load(self) -> None:
        """Read what an earlier life has saved; a file that makes no sense is set aside, and all begins anew."""
        if self._path is None:
            return
        try:
            document = _Document.model_validate(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._set_aside(self._path, error)
            return
        self._patterns = {_unquoted(pattern) for pattern in document.patterns}
        self._positions = {entry.key: entry.position for entry in document.files}
        still_there_last = sorted(self._positions.items(), key=lambda item: item[1].gone_s is None)
        self._by_path = {position.path: key for key, position in still_there_last}

    def find(self, key: FileKey, path: str) -> Position | None:
        """Return the position of a file; one whose device alone has another number, as after a reboot, is the same."""
        if position := self._positions.get(key):
            return position
        namesake = self._by_path.get(path)
        return self._positions.get(namesake) if namesake and namesake.inode == key.inode else None

    def knows(self, pattern: str, path: str) -> bool:
        """Whether this glob, or a file at this path, was followed in an earlier life."""
        return pattern in self._patterns or path in self._by_path

    def add_patterns(self, patterns: Iterable[str]) -> None:
        """Remember these globs as followed: what they match from now on is new, and read from its beginning."""
        new = set(patterns) - self._patterns
        self._patterns |= new
        self._changed = self._changed or bool(new)

    def still_there(self) -> dict[FileKey, Position]:
        """Return the positions of all files that were there when last heard of."""
        return {key: position for key, position in self._positions.items() if position.gone_s is None}

    def update(self, followed: Mapping[FileKey, Position]) -> None:
        """Take in the positions of all files followed now; all others are gone."""
        now = self._now_s()
        for key, position in self.still_there().items():
            if key not in followed:
                self._positions[key] = replace(position, gone_s=now)
                self._changed = True
        for key, position in followed.items():
            if self._positions.get(key) != position:
                self._positions[key] = position
                self._changed = True
        self._forget(now)

    async def save(self) -> None:
        """Write the positions down if they have changed; when that fails, complain once and leave it for next time."""
        if self._path is None:
            return
        async with self._saving:
            if not self._changed:
                return
            content, self._changed = self._serialise(), False
            try:
                await trio.to_thread.run_sync(self._write, self._path, content)
            except OSError as error:
                self._changed = True
                self._failed(error)
            except trio.Cancelled:
                self._changed = True
                raise
            else:
                self._succeeded()

    def _forget(self, now: float) -> None:
        gone = sorted((p.gone_s, key) for key, p in self._positions.items() if p.gone_s is not None)
        excess = len(self._positions) - self._max_entries
        for place, (gone_s, key) in enumerate(gone):
            if place < excess or now - gone_s > MAX_GONE_S:
                del self._positions[key]
                self._changed = True

    def _serialise(self) -> bytes:
        files = [_as_entry(key, position) for key, position in self._positions.items()]
        return orjson.dumps({"version": 1, "patterns": sorted(map(_quoted, self._patterns)), "files": files})

    def _failed(self, error: OSError) -> None:
        self._counts.errors["checkpoint_save"] += 1
        if not self._failing:
            self._failing = True
            log.warning(
                "checkpoint_not_saved", path=str(self._path), error=str(error), then="trying again every second"
            )

    def _succeeded(self) -> None:
        if self._failing:
            self._failing = False
            log.info("checkpoint_saved_again", path=str(self._path))

    def _set_aside(self, path: Path, error: Exception) -> None:
        self._counts.errors["checkpoint_unusable"] += 1
        aside = path.with_name(path.name + ".bad")
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        try:
            path.replace(aside)
        except OSError as failure:
            log.warning("checkpoint_unusable", path=str(path), reason=reason, not_set_aside=str(failure))
        else:
            log.warning("checkpoint_unusable", path=str(path), reason=reason, set_aside_as=str(aside))


class _Entry(BaseModel):
    """One file, as it is written down."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    device: NonNegativeInt
    inode: NonNegativeInt
    path: str
    pattern: str
    offset: NonNegativeInt
    head_bytes: NonNegativeInt
    head_hash: str
    gone_s: float | None

    @property
    def key(self) -> FileKey:
        return FileKey(self.device, self.inode)

    @property
    def position(self) -> Position:
        fingerprint = Fingerprint(self.head_bytes, self.head_hash)
        return Position(_unquoted(self.path), _unquoted(self.pattern), self.offset, fingerprint, self.gone_s)


class _Document(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: Literal[1]
    patterns: list[str]
    files: list[_Entry]


def _as_entry(key: FileKey, position: Position) -> dict[str, object]:
    return {
        "device": key.device,
        "inode": key.inode,
        "path": _quoted(position.path),
        "pattern": _quoted(position.pattern),
        "offset": position.offset,
        "head_bytes": position.fingerprint.size,
        "head_hash": position.fingerprint.digest,
        "gone_s": position.gone_s,
    }


def _quoted(path: str) -> str:
    """Write a path as in a URL: JSON has no way to hold one that is not UTF-8."""
    return quote(path, errors="surrogateescape")


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def _write(path: Path, content: bytes) -> None:
    with locked(path.parent):
        write_file(path, content)
